"""What a sampler is: a generator function over a walk, and the driver that runs it.

A method reads like its paper. It is handed a `Walk` and the latent, asks for the model's output
with ``output = yield Evaluate(x, level)``, and ends each step with ``x = yield Done(x, denoised)``:

    @sampler("euler", ...)
    def euler(walk: Walk[StraightSpace], x: Tensor) -> Steps:
        for here, after in walk.steps():
            output = yield Evaluate(x, here)
            ...
            x = yield Done(x + (after.sigma - here.sigma) * slope, denoised)

It never calls the model itself, so that the loop around it may preview, cancel, checkpoint, mask,
or evaluate several samplings in one batch:

    while not sampler.done:
        sampler.feed(model(sampler.model_input(), sampler.timestep))

Synonyms elsewhere: scheduler (diffusers), solver (refiners).
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor

from nodegraph.core.pack_faults import plugin_fault, raise_plugin_fault, tensor_misfit
from nodegraph.core.plugins import module_of
from nodegraph.core.text_format import pluralize
from nodegraph.errors import InvalidValue
from nodegraph.families.noise import draw_batch
from nodegraph.families.sampler_names import SAMPLER_PLUGINS
from nodegraph.sampling.brownian import BrownianTree
from nodegraph.sampling.sampler_options import ResolvedOptions, check_declared
from nodegraph.sampling.samplers.spaces import FlowSpace, NoiseLevel, NoiseSpace, S, Spaces
from nodegraph.sampling.table_schedules import COMMON, COMMON_FINITE, Grid

NOISY = {"eta": 1.0, "s_noise": 1.0}
"""Options of methods that draw part of the noise anew."""
CHURN = {"s_churn": 0.0, "s_tmin": 0.0, "s_tmax": math.inf, "s_noise": 1.0}
"""Options of methods that may raise the noise before their steps."""


class Evaluate(NamedTuple):
    """A method asks for the model's output for x at a noise level, and is sent that output.

    The driver rounds x to the latent's precision. A method that computes with the rounded x itself
    rounds it first, by `Walk.kept`.
    """

    x: Tensor
    level: NoiseLevel[NoiseSpace]


class Done(NamedTuple):
    """A step is done: x is at the next noise level. The driver rounds x to the latent's precision,
    and sends it back, changed where a mask keeps a part of an image.

    Attributes:
        denoised: The clean latent that the model predicted last.
    """

    x: Tensor
    denoised: Tensor


Steps: TypeAlias = "Generator[Evaluate | Done, Tensor, None]"
_NEARLY_ALL = 0.9998
"""Sigma of a flow from which on all is noise."""


class Walk(Generic[S]):
    """What a method is handed besides the latent.

    Attributes:
        space: How the latent is kept; of a kind that the method names for the model's noise.
        noise_levels: The noise levels.
        options: The numbers that the method takes.
        memory: What a multistep method remembers from step to step, and nothing else of it: tensors
            of x's shape by name, written before a step is done.
        index: The level that the walk began at, or was resumed at.
        unguided: The model's output without guidance at the last `Evaluate`, for those that
            ask for it. None: as the guided one.
        brownian_tree: Where fresh noise comes from. None: the generators, whose noise depends on
            how often they were drawn from.
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
        """The levels that each of the remaining steps leads from and to."""
        for index in range(self.index, self.noise_levels.end):
            yield self.level(index), self.level(index + 1)

    def level(self, index: int) -> NoiseLevel[S]:
        return NoiseLevel(self.space, index)

    @property
    def count(self) -> int:
        """Steps of the whole schedule, of which the walk may be a part: the index of its end."""
        return self.noise_levels.level_count

    def is_last(self, level: NoiseLevel[NoiseSpace]) -> bool:
        """Whether a step from a level leads to the end of the whole schedule."""
        return level.index == self.count - 1

    @property
    def is_comfyui(self) -> bool:
        """Whether it is walked by ComfyUI's convention."""
        return self.noise_levels.comfyui_progress is not None

    @property
    def whole_range(self) -> tuple[int, int]:
        """The first level and the end of the schedule that this is a part of, or all."""
        levels = self.noise_levels
        return levels.whole_range or (levels.first, levels.level_count)

    def kept(self, x: Tensor) -> Tensor:
        """x rounded to the latent's precision, mostly that of the model."""
        return x.to(self.dtype)

    def unguided_denoised(
        self, level: NoiseLevel[NoiseSpace], x: Tensor, denoised: Tensor
    ) -> Tensor:
        """What the model predicts without guidance, where it predicted `denoised` with it; both
        float32."""
        if self.unguided is None:
            return denoised
        return level.denoised(self.unguided, x).to(torch.float32)

    def noise(self, like: Tensor) -> Tensor:
        """The generators' next noise, times s_noise; drawn in float32, also for narrower `like`."""
        drawn = draw_batch(self.generators, like.shape).to(like.device, like.dtype)
        return drawn if self.options.s_noise == 1 else drawn * self.options.s_noise

    def noise_between(self, like: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """As `noise`, but of the Brownian motion between two sigmas where there is one."""
        if self.brownian_tree is None:
            return self.noise(like)
        start_sigma, end_sigma = (float(level.to(torch.float32)) for level in (start, end))
        drawn = self.brownian_tree.unit(start_sigma, end_sigma).to(like.device, like.dtype)
        return drawn if self.options.s_noise == 1 else drawn * self.options.s_noise


def _once(walk: Walk[Any], index: int) -> int:
    return 1


@dataclass(frozen=True)
class Method:
    """A sampler's method and all that is known of it; made by `method`.

    `nodegraph/families/samplers.json` is made of it, as most of it is asked for without torch.

    Attributes:
        name: As in workflows.
        walk: The generator function; its docstring names the paper.
        spaces: By kind of noise, the space that it works in; where there is none, it can't sample
            such models.
        grid: How it lays its steps over training timesteps.
        comfyui_spaces: By kind of noise, the space that it works in by ComfyUI's convention, where
            that is another.
        uses_brownian_noise: Whether what it draws may be the steps of a Brownian motion over noise
            levels.
        draws: How often fresh noise is drawn in the step from a level; 1 if not given. Without
            meaning for methods that draw none. By it a part of a schedule begins with the noise
            that the whole would draw there.
        keeps_precision: Whether a latent that is wider than the model's output stays so between
            steps, as with diffusers' scheduler of this method.
        order: Of convergence, without what it draws: with half the step, the error falls to
            1 / 2**order. 0 for methods of models that were distilled for few steps, and of draws.
        options: The options that it takes, of `SamplerOptions`, and what they are of themselves.
        comfyui_options: What they are by ComfyUI's convention, where that is another.
        highest_order: Greatest value of its option ``order``.
        asks_unguided: Whether it looks at what the model says without guidance: the negative
            prompt is evaluated whatever the guidance scale.
        evaluations: (a, b): n steps ask the model a · n + b times, and one step asks once. Of
            `restart` about: it depends on the schedule.
        elsewhere: By tool, its names there, where they aren't written alike.
        also_comfyui: ComfyUI's samplers that step as it does, though others here have their names.
        may_rise: Whether it walks from little noise to much, too.
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
        """The module of its function."""
        return module_of(self.walk)

    @property
    def record(self) -> dict[str, Any]:
        """What is asked of it without torch, as JSON has it."""
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
        """How it lays its steps by one of `nodegraph.sampling.sampling_parts.CONVENTIONS`."""
        if convention == "diffusers" or (
            self.grid.reads_table and "discrete" not in self.comfyui_spaces
        ):
            return self.grid
        needs_finite = self.grid.flow in ("finite", "from_one", "below_one")
        return COMMON_FINITE if needs_finite and "flow" not in self.comfyui_spaces else COMMON


def _plain(options: Mapping[str, float]) -> dict[str, float | None]:
    """Options as JSON has them, which knows no infinity."""
    return {name: None if math.isinf(value) else value for name, value in options.items()}


def sampler(
    name: str, spaces: Spaces, grid: Grid, **facts: Any
) -> Callable[[Callable[[Walk[Any], Tensor], Steps]], Method]:
    """Make a sampler of a generator function; arguments as of `Method`."""
    return lambda walk: Method(name, walk, spaces, grid, **facts)


class Sampler:
    """Runs a method over noise levels, one evaluation of the model at a time.

    Args:
        space: How the latent is kept; of the kind that the method has for the model's noise.
        generators: One for each item, already used for the initial noise, or one for all of them;
            methods that add noise on the way draw from them.
        options: What the method takes of them is said in `SAMPLER_OPTIONS`.
    Attributes:
        step_index: Index of the noise level that x is at.
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
        """The latent as the sampler keeps it at `step_index`; on the model's device, in its dtype
        or a wider one, shape (batch, channels, height / 8, width / 8)."""
        return self._x

    @x.setter
    def x(self, x: Tensor) -> None:
        self._rewind()
        self._x = x

    @property
    def unguided(self) -> Tensor | None:
        """The model's output without guidance, for methods that ask for it: the loop sets it
        before it feeds the guided one."""
        return self._walk.unguided

    @unguided.setter
    def unguided(self, output: Tensor | None) -> None:
        self._walk.unguided = output

    @property
    def done(self) -> bool:
        """Whether the end of the noise levels is reached; x is then the result."""
        return self.step_index == self.noise_levels.end

    @property
    def steps_done(self) -> int:
        """Steps completed so far."""
        return self.step_index - self.noise_levels.first

    @property
    def timestep(self) -> Tensor:
        """Where the model is to be evaluated next; 0-dimensional, on the CPU."""
        return self._evaluation().level.timestep

    @property
    def model_timestep(self) -> Tensor:
        """The same on the latent's device, where all of them were put once: nothing to wait for."""
        level = self._evaluation().level
        return self._timesteps(level.space)[level.index]

    @property
    def next_timestep(self) -> Tensor:
        """Where the step after this one begins, 0 if there is none; as `model_timestep`."""
        return self._timesteps(self.space)[self.step_index + 1]

    @property
    def sigma(self) -> Tensor:
        """Noise level of x; 0-dimensional."""
        return self.noise_levels.sigmas[self.step_index]

    @property
    def next_sigma(self) -> Tensor:
        """Noise level that the current step leads to; 0 at the end of a whole schedule."""
        return self.noise_levels.sigmas[self.step_index + 1]

    def pure_noise(self, noise: Tensor) -> Tensor:
        """Where sampling starts when nothing is given but standard normal noise."""
        return self.space.pure_noise(noise)

    def add_noise(self, latent: Tensor, noise: Tensor, step_index: int) -> Tensor:
        """A clean latent with standard normal noise at a noise level, as the sampler keeps it.

        Args:
            step_index: 0 to the number of levels, where the latent comes back as it is.
        """
        return self.space.add_noise(latent, noise, step_index)

    def draws(self, step_index: int) -> int:
        """How often fresh noise is drawn in the step from a level, if any is."""
        return self.method.draws(self._walk, step_index)

    @property
    def evaluation_point(self) -> tuple[NoiseSpace, int]:
        """The space over the noise levels at which the model is asked next, and the index there."""
        level = self._evaluation().level
        return level.space, level.index

    def evaluation_x(self) -> Tensor:
        """The latent that the model is asked about next, as the sampler keeps it."""
        return self._walk.kept(self._evaluation().x)

    def model_input(self) -> Tensor:
        """The same as the model takes it."""
        level = self._evaluation().level
        return level.space.model_input(self.evaluation_x(), level.index)

    def feed(self, output: Tensor) -> None:
        """Go on with the model's output for `model_input` at `timestep`."""
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
        """Begin at x, as `pure_noise` or `add_noise` gave it."""
        self.x = x
        self._placed = []

    def use_brownian_noise(self, seed: int, shape: Sequence[int]) -> None:
        """Draw what comes as the steps of a Brownian motion, if the method may.

        Args:
            seed: Of the motion, 0 to 2**64 - 1.
            shape: Of the latent.
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
        """All that is needed to go on later to the same bits; a step that is under way is walked
        anew from its start.

        Contiguous tensors on the CPU that share no memory, by name: ready for safetensors.
        """
        state = {"x": self.x, "step": torch.tensor(self.step_index)}
        state |= {f"memory.{name}": tensor for name, tensor in self._memory.items()}
        state = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in state.items()}
        at = self._generator_states if self._pending else [g.get_state() for g in self.generators]
        return state | {name: item.clone() for name, item in zip(self._names, at, strict=True)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from what `state` returned, in a sampler made with the same arguments.

        Call `start` first, with any x of the same shape, dtype and device, and
        `use_brownian_noise` again if it was called: the tree is no part of the state.

        Raises:
            ValueError: It is damaged, or of another batch, latent size, precision or schedule;
                nothing was changed.
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
        """What the method asks next; it goes on from the last step once somebody wants to know."""
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
        """What the method yields next, once it is sent the answer to what it yielded last.

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
            if self.method.name not in SAMPLER_PLUGINS:
                raise
            raise_plugin_fault(error, "sampler", self.method.name, self.method.walk)
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
        self, what: str, actual: str | None = None, expected: str | None = None
    ) -> InvalidValue:
        method = self.method
        return plugin_fault(
            "sampler", method.name, method.walk, what, actual=actual, expected=expected
        )

    def _rewind(self) -> None:
        """Forget a step that is under way, with what it drew."""
        if self._pending is not None:
            for generator, before in zip(self.generators, self._generator_states, strict=True):
                generator.set_state(before)
            self._steps = self._pending = None

    def _timesteps(self, space: NoiseSpace) -> Tensor:
        """The timesteps of a space on the latent's device, and a 0 after them."""
        for known, timesteps in self._placed:
            if known is space:
                return timesteps
        own = space.noise_levels.timesteps
        placed = torch.cat([own, own.new_zeros(1)]).to(self._x.device)
        self._placed.append((space, placed))
        return placed

    @property
    def _names(self) -> list[str]:
        """Of the generators, in a state."""
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
    """A generator that goes on from a saved state."""
    generator = torch.Generator("cpu")
    try:
        generator.set_state(state.to("cpu", copy=True))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"the saved state of a generator is damaged: {error}") from error
    return generator
