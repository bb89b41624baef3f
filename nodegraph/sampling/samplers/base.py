"""Samplers: generator functions over the steps of a `Walk`, and the driver that runs them.

A sampler method is written like the formulas of its paper. It receives a `Walk` and the latent. It
gets the model's output with ``output = yield Evaluate(x, level)``, and ends each step with
``x = yield Done(x, denoised)``:

    @sampler("euler", ...)
    def euler(walk: Walk[StraightSpace], x: Tensor) -> Steps:
        for here, after in walk.steps():
            output = yield Evaluate(x, here)
            ...
            x = yield Done(x + (after.sigma - here.sigma) * slope, denoised)

It never calls the model itself. The loop around it can therefore show previews, cancel, save
checkpoints, apply masks, or evaluate several samplings in one batch:

    while not sampler.done:
        sampler.feed(model(sampler.model_input(), sampler.timestep))

Names in other libraries: scheduler (diffusers), solver (refiners).
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor

from nodegraph.core.pack_faults import is_fault, plugin_fault, tensor_misfit
from nodegraph.core.plugins import module_of
from nodegraph.core.text_format import pluralize
from nodegraph.errors import InvalidValue
from nodegraph.families.noise import draw_batch
from nodegraph.families.sampler_names import SAMPLER_PLUGINS
from nodegraph.sampling.latent_noise import BrownianTree
from nodegraph.sampling.sampler_options import ResolvedOptions, check_declared
from nodegraph.sampling.samplers.spaces import FlowSpace, NoiseLevel, NoiseSpace, S, Spaces
from nodegraph.sampling.table_schedules import COMMON, COMMON_FINITE, Grid

NOISY = {"eta": 1.0, "s_noise": 1.0}
"""Options and defaults of methods that add fresh noise in each step."""
CHURN = {"s_churn": 0.0, "s_tmin": 0.0, "s_tmax": math.inf, "s_noise": 1.0}
"""Options and defaults of methods that may raise the noise level before a step."""


class Evaluate(NamedTuple):
    """Request for the model's output at a noise level; ``yield`` returns that output.

    The driver rounds x to the latent's precision. A method that also computes with the rounded x
    rounds it first with `Walk.kept`.
    """

    x: Tensor
    level: NoiseLevel[NoiseSpace]


class Done(NamedTuple):
    """End of a step, with x at the next noise level; ``yield`` returns x for the next step.

    The driver rounds x to the latent's precision, and changes it where a mask keeps the image.

    Attributes:
        denoised: The clean latent that the model predicted last.
    """

    x: Tensor
    denoised: Tensor


Steps: TypeAlias = "Generator[Evaluate | Done, Tensor, None]"
_NEARLY_ALL = 0.9998
"""Sigma of a flow model above which a latent counts as pure noise."""


class Walk(Generic[S]):
    """Steps, options, memory and noise of one sampling, for a sampler method.

    Attributes:
        space: Representation of the latent, from the method's `spaces` for the model's noise kind.
        noise_levels: The noise levels.
        options: Values of the method's options.
        memory: State of a multistep method: tensors of the shape of x by name, written before
            `Done`. Keep no other state between steps.
        index: Index of the first level, or of the level that the sampling resumes at.
        unguided: The model's output without guidance at the last `Evaluate`, for methods with
            `asks_unguided`. None if it is equal to the guided output.
        brownian_tree: Source of fresh noise. None for the generators, whose noise depends on the
            number of draws.
    """

    def __init__(
        self, space: S, generators: Sequence[torch.Generator], options: ResolvedOptions
    ) -> None:
        self.space = space
        self.noise_levels = space.noise_levels
        self.options = options
        self.generators = tuple(generators)
        self.index = self.noise_levels.first
        self.memory: dict[str, Tensor] = {}
        self.unguided: Tensor | None = None
        self.brownian_tree: BrownianTree | None = None
        self.dtype = torch.float32

    def steps(self) -> Iterator[tuple[NoiseLevel[S], NoiseLevel[S]]]:
        """Yield the noise level before and after each of the remaining steps."""
        for index in range(self.index, self.noise_levels.end):
            yield self.level(index), self.level(index + 1)

    def level(self, index: int) -> NoiseLevel[S]:
        """Return the noise level of an index."""
        return NoiseLevel(self.space, index)

    @property
    def count(self) -> int:
        """Number of steps of the whole schedule, which may have more steps than this walk."""
        return self.noise_levels.level_count

    def is_last(self, level: NoiseLevel[NoiseSpace]) -> bool:
        """Return whether the step from a level is the last of the whole schedule."""
        return level.index == self.count - 1

    @property
    def is_comfyui(self) -> bool:
        """Whether the sampling follows ComfyUI's convention."""
        return self.noise_levels.comfyui_progress is not None

    @property
    def whole_range(self) -> tuple[int, int]:
        """First level and end of the whole schedule, which may be longer than this walk."""
        levels = self.noise_levels
        return levels.whole_range or (levels.first, levels.level_count)

    def kept(self, x: Tensor) -> Tensor:
        """Round x to the latent's precision, which is usually that of the model."""
        return x.to(self.dtype)

    def unguided_denoised(
        self, level: NoiseLevel[NoiseSpace], x: Tensor, denoised: Tensor
    ) -> Tensor:
        """Return the clean latent predicted without guidance, float32; `denoised` is that with
        guidance."""
        if self.unguided is None:
            return denoised
        return level.denoised(self.unguided, x).to(torch.float32)

    def noise(self, like: Tensor) -> Tensor:
        """Draw noise from the generators, times s_noise, in float32 and cast to `like`'s dtype."""
        drawn = draw_batch(self.generators, like.shape).to(like.device, like.dtype)
        return drawn if self.options.s_noise == 1 else drawn * self.options.s_noise

    def noise_between(self, like: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Draw noise as `noise` does, or from the Brownian tree between two sigmas if it is set."""
        if self.brownian_tree is None:
            return self.noise(like)
        start_sigma, end_sigma = (float(level.to(torch.float32)) for level in (start, end))
        drawn = self.brownian_tree.unit(start_sigma, end_sigma).to(like.device, like.dtype)
        return drawn if self.options.s_noise == 1 else drawn * self.options.s_noise


def _once(walk: Walk[Any], index: int) -> int:
    return 1


@dataclass(frozen=True)
class Method:
    """Sampler method and its properties; made by `sampler`.

    Checks that run without torch read the properties from `nodegraph/families/samplers.json`.

    Attributes:
        name: Name of the sampler in workflows.
        walk: The generator function; its docstring names the paper.
        spaces: Representation of the latent that it works in, by noise kind. Models of other
            noise kinds are not supported.
        grid: How its steps are placed on the training timesteps.
        comfyui_spaces: Representations that differ under ComfyUI's convention, by noise kind.
        uses_brownian_noise: Whether its noise may be increments of a Brownian motion over noise
            levels.
        draws: Function that returns how many times the step from a level draws fresh noise;
            default 1. A sampling of part of a schedule uses it to start with the noise that the
            whole schedule would draw there. Methods without fresh noise ignore it.
        keeps_precision: Whether a latent with a wider dtype than the model's output keeps it
            between steps, as in diffusers' scheduler of this method.
        order: Order of convergence without fresh noise: half the step size divides the error by
            2**order. 0 for methods of few-step distilled models and for stochastic methods.
        options: The options of `SamplerOptions` that it takes, with their defaults.
        comfyui_options: Defaults that differ under ComfyUI's convention.
        highest_order: Greatest value of its option ``order``.
        asks_unguided: Whether it uses the model's prediction without guidance (CFG++). The
            negative prompt is then evaluated at every guidance scale.
        evaluations: (a, b): n steps evaluate the model a · n + b times, and one step once.
            Approximate for `restart`, where it depends on the schedule.
        elsewhere: Names in other tools that differ from `name`, by tool.
        also_comfyui: Names of ComfyUI's samplers that compute the same, but name another one here.
        may_rise: Whether it can also sample from low noise to high noise.
    """

    plugin_group: ClassVar[str] = SAMPLER_PLUGINS.name

    name: str
    walk: Callable[[Walk[Any], Tensor], Steps]
    spaces: Spaces
    grid: Grid
    comfyui_spaces: Spaces = field(default_factory=dict)
    uses_brownian_noise: bool = False
    draws: Callable[[Walk[Any], int], int] = _once
    keeps_precision: bool = False
    order: int = 0
    options: Mapping[str, float] = field(default_factory=dict)
    comfyui_options: Mapping[str, float] = field(default_factory=dict)
    highest_order: int = 4
    asks_unguided: bool = False
    evaluations: tuple[int, int] = (1, 0)
    elsewhere: Mapping[str, Sequence[str]] = field(default_factory=dict)
    also_comfyui: Sequence[str] = ()
    may_rise: bool = False

    @property
    def module(self) -> str:
        """Name of the module of its function."""
        return module_of(self.walk)

    @property
    def record(self) -> dict[str, Any]:
        """Properties that checks need without torch, as JSON values."""
        check_declared(self)
        return {
            "kinds": list(self.spaces),
            "reads_table": self.grid.reads_table,
            "reads_table_as_comfyui": self.grid_for("comfyui").reads_table,
            "options": _plain(self.options),
            "comfyui_options": _plain(self.comfyui_options),
            "highest_order": self.highest_order,
            "asks_unguided": self.asks_unguided,
            "evaluations": list(self.evaluations),
            "elsewhere": {tool: list(names) for tool, names in self.elsewhere.items()},
            "also_comfyui": list(self.also_comfyui),
            "may_rise": self.may_rise,
        }

    def grid_for(self, convention: str = "diffusers") -> Grid:
        """Return its grid for one of `nodegraph.sampling.sampling_parts.CONVENTIONS`."""
        if convention == "diffusers" or (
            self.grid.reads_table and "discrete" not in self.comfyui_spaces
        ):
            return self.grid
        needs_finite = self.grid.flow in ("finite", "from_one", "below_one")
        return COMMON_FINITE if needs_finite and "flow" not in self.comfyui_spaces else COMMON


def _plain(options: Mapping[str, float]) -> dict[str, float | None]:
    """Return options for JSON, which has no infinity: None instead."""
    return {name: None if math.isinf(value) else value for name, value in options.items()}


def sampler(
    name: str, spaces: Spaces, grid: Grid, **facts: Any
) -> Callable[[Callable[[Walk[Any], Tensor], Steps]], Method]:
    """Make a sampler from the generator function it decorates; arguments as in `Method`."""
    return lambda walk: Method(name, walk, spaces, grid, **facts)


class Sampler:
    """Runs a method over noise levels, one evaluation of the model at a time.

    Args:
        space: Representation of the latent, from the method's `spaces` for the model's noise kind.
        generators: One for each item, already used for the initial noise, or one for all items.
            Stochastic methods draw from them.
        options: Values of the options; `SAMPLER_OPTIONS` lists those that the method takes.
    Attributes:
        step_index: Index of the current noise level of x.
        denoised: The clean latent that the model predicted last, shaped as x; None at first.
    """

    def __init__(
        self,
        method: Method,
        space: NoiseSpace,
        generators: Sequence[torch.Generator] = (),
        options: ResolvedOptions = ResolvedOptions(),  # noqa: B008  (frozen)
    ) -> None:
        self.method = method
        self.space = space
        self.noise_levels = space.noise_levels
        self.generators = tuple(generators)
        self.options = options
        self.step_index = self.noise_levels.first
        self.denoised: Tensor | None = None
        self._walk: Walk[NoiseSpace] = Walk(space, generators, options)
        self._x = torch.empty(0)
        self._memory: dict[str, Tensor] = {}
        self._steps: Steps | None = None
        self._pending: Evaluate | None = None
        # Of the generators where the step began that is under way.
        self._generator_states: list[Tensor] = []
        self._placed: list[tuple[NoiseSpace, Tensor]] = []

    @property
    def x(self) -> Tensor:
        """The latent at `step_index`, in the sampler's representation: on the model's device, in
        its dtype or a wider one, shape (batch, channels, height / 8, width / 8)."""
        return self._x

    @x.setter
    def x(self, x: Tensor) -> None:
        self._rewind()
        self._x = x

    @property
    def unguided(self) -> Tensor | None:
        """The model's output without guidance, for methods with `asks_unguided`: the loop sets it
        before it calls `feed` with the guided output."""
        return self._walk.unguided

    @unguided.setter
    def unguided(self, output: Tensor | None) -> None:
        self._walk.unguided = output

    @property
    def done(self) -> bool:
        """Whether the last noise level is reached; x is then the result."""
        return self.step_index == self.noise_levels.end

    @property
    def steps_done(self) -> int:
        """Number of completed steps."""
        return self.step_index - self.noise_levels.first

    @property
    def timestep(self) -> Tensor:
        """Timestep of the next evaluation of the model; 0-dimensional, on the CPU."""
        return self._evaluation().level.timestep

    @property
    def model_timestep(self) -> Tensor:
        """Timestep of the next evaluation on the latent's device, available without a sync."""
        level = self._evaluation().level
        return self._timesteps(level.space)[level.index]

    @property
    def next_timestep(self) -> Tensor:
        """Start of the next step on the latent's device, 0 if there is none."""
        return self._timesteps(self.space)[self.step_index + 1]

    @property
    def sigma(self) -> Tensor:
        """Noise level of x; 0-dimensional."""
        return self.noise_levels.sigmas[self.step_index]

    @property
    def next_sigma(self) -> Tensor:
        """Noise level after the current step; 0 at the end of a whole schedule."""
        return self.noise_levels.sigmas[self.step_index + 1]

    def pure_noise(self, noise: Tensor) -> Tensor:
        """Return the initial latent from standard normal noise."""
        return self.space.pure_noise(noise)

    def add_noise(self, latent: Tensor, noise: Tensor, step_index: int) -> Tensor:
        """Add standard normal noise of a level to a clean latent, in the sampler's representation.

        Args:
            step_index: 0 to the number of levels; the last returns the latent unchanged.
        """
        return self.space.add_noise(latent, noise, step_index)

    def draws(self, step_index: int) -> int:
        """Return how many times the step from a level draws fresh noise, if it does."""
        return self.method.draws(self._walk, step_index)

    @property
    def evaluation_point(self) -> tuple[NoiseSpace, int]:
        """Space and index of the noise level of the next evaluation of the model."""
        level = self._evaluation().level
        return level.space, level.index

    def evaluation_x(self) -> Tensor:
        """Return the latent of the next evaluation, in the sampler's representation."""
        return self._walk.kept(self._evaluation().x)

    def model_input(self) -> Tensor:
        """Return the latent of the next evaluation as the model takes it."""
        level = self._evaluation().level
        return level.space.model_input(self.evaluation_x(), level.index)

    def feed(self, output: Tensor) -> None:
        """Continue with the model's output for `model_input` at `timestep`."""
        self._evaluation()
        assert self._steps is not None
        dtype = self._x.dtype if self.method.keeps_precision else output.dtype
        self._walk.dtype = dtype
        event = self._next_event(output)
        if isinstance(event, Evaluate):
            self._pending = event
            return
        self._check_memory()
        self._pending = None
        self._x = event.x.to(dtype)
        self.denoised = event.denoised.to(dtype)
        self._memory = dict(self._walk.memory)
        self.step_index += 1

    def start(self, x: Tensor) -> None:
        """Start at x, as returned by `pure_noise` or `add_noise`."""
        self.x = x
        self._placed = []

    def use_brownian_noise(self, seed: int, shape: Sequence[int]) -> None:
        """Draw fresh noise from a Brownian motion, if the method supports it.

        Args:
            seed: Seed of the motion, 0 to 2**64 - 1.
            shape: Shape of the latent.
        """
        if self.method.uses_brownian_noise:
            levels = self.noise_levels.sigmas[
                self.noise_levels.first : self.noise_levels.end + 1
            ].to(torch.float32)
            high = float(levels.max())
            if isinstance(self.space, FlowSpace) and high > _NEARLY_ALL:
                # Schedules stop just below 1, where all is noise; the motion begins there.
                high = 1.0
            # Steps to 0 take the motion up to the lowest level above it.
            low = float(levels[levels > 0].min())
            self._walk.brownian_tree = BrownianTree(seed, low, high, shape)

    def state(self) -> dict[str, Tensor]:
        """Return the state that is needed to resume with the same bits.

        A step that has begun is computed again from its start. The state has contiguous tensors on
        the CPU that share no memory, by name, for safetensors.
        """
        state = {"x": self.x, "step": torch.tensor(self.step_index)}
        state |= {f"memory.{name}": tensor for name, tensor in self._memory.items()}
        state = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in state.items()}
        at = self._generator_states if self._pending else [g.get_state() for g in self.generators]
        return state | {name: item.clone() for name, item in zip(self._names, at, strict=True)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from what `state` returned, in a sampler made with the same arguments.

        Call `start` first, with any x of the same shape, dtype and device, and
        `use_brownian_noise` again if it was called: the tree is not part of the state.

        Raises:
            ValueError: It is damaged, or of another batch, latent size, precision or schedule.
                Nothing is changed.
        """
        self._check_state(state)
        generators = [_generator_at(state[name]) for name in self._names]
        self.step_index = int(state["step"])
        self._x = self._like_x(state["x"])
        self._memory = {
            name.removeprefix("memory."): self._like_x(tensor)
            for name, tensor in state.items()
            if name.startswith("memory.")
        }
        for generator, saved in zip(self.generators, generators, strict=True):
            generator.set_state(saved.get_state())
        self._steps = self._pending = None

    def _evaluation(self) -> Evaluate:
        """Return the next evaluation that the method requests; advance the method if needed."""
        if self._pending is None:
            self._generator_states = [item.get_state() for item in self.generators]
            if self._steps is None:
                self._walk.index, self._walk.memory = self.step_index, dict(self._memory)
                self._walk.dtype = self._x.dtype
                event = self._next_event(None)
            else:
                event = self._next_event(self._x)
            if not isinstance(event, Evaluate):
                raise self._fault("ends a step before it evaluates the model", "Done", "Evaluate")
            self._pending = event
        return self._pending

    def _next_event(self, answer: Tensor | None) -> Evaluate | Done:
        """Send the method the answer to its last ``yield``, and return what it yields next.

        Raises:
            InvalidValue: A package's or a pack's method yields something else, or raises an error.
        """
        try:
            if answer is None:
                self._steps = self.method.walk(self._walk, self._x)
            if not isinstance(self._steps, Generator):
                raise self._fault("is not a generator function", _kind(self._steps), "yield in it")
            event: Any = self._steps.send(answer)  # type: ignore[arg-type]  # None begins
        except StopIteration:
            steps = self.noise_levels.end - self.noise_levels.first
            done, wanted = pluralize(self.steps_done, "step"), pluralize(steps, "step")
            raise self._fault("ends too early", done, wanted) from None
        except BaseException as error:
            if self.method.name not in SAMPLER_PLUGINS or not is_fault(error):
                raise
            raise self._fault(error) from error
        tensors = {"x": getattr(event, "x", None)}
        if isinstance(event, Done):
            tensors["denoised"] = event.denoised
        elif not (isinstance(event, Evaluate) and isinstance(event.level, NoiseLevel)):
            expected = "Evaluate(x, level) or Done(x, denoised)"
            raise self._fault("yields something else", _kind(event), expected)
        elif event.level.index not in range(event.level.space.noise_levels.timesteps.numel()):
            levels = event.level.space.noise_levels.timesteps.numel()
            what = "evaluates the model at a level that does not exist"
            raise self._fault(what, f"level {event.level.index}", f"level 0 to {levels - 1}")
        for name, tensor in tensors.items():
            self._check_tensor(f"yields another `{name}`", tensor)
        return cast("Evaluate | Done", event)

    def _check_memory(self) -> None:
        memory: Any = self._walk.memory
        if not isinstance(memory, dict) or not all(isinstance(key, str) for key in memory):
            keys = reprlib.repr(list(memory)) if isinstance(memory, dict) else _kind(memory)
            what = "keeps something else in `walk.memory`"
            raise self._fault(what, keys, "a dictionary whose keys are strings")
        for name, tensor in memory.items():
            self._check_tensor(f"keeps something else in `walk.memory[{name!r}]`", tensor)

    def _check_tensor(self, what: str, tensor: object) -> None:
        misfit = tensor_misfit(tensor, self._x)
        if misfit is not None:
            raise self._fault(what, *misfit)

    def _fault(
        self, what: str | BaseException, actual: str | None = None, expected: str | None = None
    ) -> InvalidValue:
        method = self.method
        return plugin_fault(
            "sampler", method.name, method.walk, what, actual=actual, expected=expected
        )

    def _rewind(self) -> None:
        """Discard a step that has begun, and restore the generators."""
        if self._pending is not None:
            for generator, before in zip(self.generators, self._generator_states, strict=True):
                generator.set_state(before)
            self._steps = self._pending = None

    def _timesteps(self, space: NoiseSpace) -> Tensor:
        """Return the timesteps of a space on the latent's device, and a 0 after them."""
        for known, timesteps in self._placed:
            if known is space:
                return timesteps
        own = space.noise_levels.timesteps
        placed = torch.cat([own, own.new_zeros(1)]).to(self._x.device)
        self._placed.append((space, placed))
        return placed

    @property
    def _names(self) -> list[str]:
        """Names of the generators in a state."""
        return [f"generator.{index}" for index in range(len(self.generators))]

    def _check_state(self, state: Mapping[str, Tensor]) -> None:
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise ValueError("the saved state is of something else")
        kept = {name: item for name, item in state.items() if name.startswith("memory.")}
        named = {"x", "step", *self._names}
        if state.keys() - kept.keys() != named or state["x"].shape != self.x.shape:
            raise ValueError("the saved state is of another batch or latent size")
        if state["x"].dtype != self.x.dtype:
            raise ValueError("the saved state is of another precision")
        if state["step"].numel() != 1 or any(item.shape != self.x.shape for item in kept.values()):
            raise ValueError("the saved state is damaged")
        if not self.noise_levels.first <= int(state["step"]) <= self.noise_levels.end:
            raise ValueError("the saved state is of another schedule")

    def _like_x(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.x.device, copy=True)


def _kind(value: object) -> str:
    return type(value).__name__


def _generator_at(state: Tensor) -> torch.Generator:
    """Return a generator that continues from a saved state."""
    generator = torch.Generator("cpu")
    try:
        generator.set_state(state.to("cpu", copy=True))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"the saved state of a generator is damaged: {error}") from error
    return generator
