"""The base class of samplers: position on the schedule, evaluations, saved state.

A sampler is a state machine that never calls the model itself:

    while not sampler.done:
        output = model(sampler.model_input(), sampler.timestep)
        sampler.feed(output)

so that the loop around it may preview, cancel, checkpoint, or evaluate several samplings in one
batch. Synonyms elsewhere: scheduler (diffusers), solver (refiners).

What it may be told besides its name, such as how much of the noise it draws anew, are the
`ResolvedOptions` of `nodegraph.sampling.sampler_options`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from nodegraph.families.noise import draw_batch
from nodegraph.sampling.brownian import BrownianTree
from nodegraph.sampling.sampler_options import ResolvedOptions
from nodegraph.sampling.samplers.spaces import FlowSpace, NoiseSpace
from nodegraph.sampling.schedules import NoiseLevels
from nodegraph.sampling.table_schedules import COMMON, COMMON_FINITE, Grid

Spaces = Mapping[str, Callable[[NoiseLevels, Any], NoiseSpace]]
"""By kind of noise: what makes a space of a ladder and a model's noise."""


_NEARLY_ALL = 0.9998
"""Level of a flow from which on all is noise."""


class Sampler(ABC):
    """Walks a latent down a ladder of noise levels.

    Args:
        space: How the latent is kept; of the kind that `spaces` has for the model's noise.
        generators: One for each item, already used for the initial noise, or one for all of them;
            samplers that add noise on the way draw from them, as often in each step as its noise
            levels say: what an item gets depends on its seed and the step alone.
        options: What the sampler heeds of them is said in `SAMPLER_OPTIONS`.
    Attributes:
        spaces: By kind of noise, the space that this sampler works in; where there is none, it
            can't sample such models.
        grid: How this sampler lays its steps over training timesteps.
        uses_brownian_noise: Whether what it draws may be the steps of a Brownian motion over noise
            levels.
        brownian_tree: That motion; None: what it draws depends on how often it drew.
        comfyui_spaces: By kind of noise, the space that it works in by ComfyUI's convention, where
            that is another.
        noise_levels: The noise levels.
        x: The latent as the sampler keeps it; on the model's device and in its dtype, shape
            (batch, channels, height / 8, width / 8).
        step_index: Index of the noise level that x is at.
        stage: How often the model was asked in this step.
        unguided: The model's output without guidance, for samplers of `CFG_PP_SAMPLERS`: the loop
            sets it before it feeds the guided one. None: as the guided one.
        denoised: The clean latent that the model last predicted, same shape; None at first.
        history: What is kept of earlier evaluations, by name; same shapes.
    """

    spaces: ClassVar[Spaces]
    grid: ClassVar[Grid]
    comfyui_spaces: ClassVar[Spaces] = {}
    uses_brownian_noise: ClassVar[bool] = False

    def __init__(
        self,
        space: NoiseSpace,
        generators: Sequence[torch.Generator] = (),
        options: ResolvedOptions = ResolvedOptions(),  # noqa: B008  (frozen)
    ) -> None:
        self.space = space
        self.noise_levels = space.noise_levels
        self.generators = tuple(generators)
        self.options = options
        self.step_index = self.noise_levels.first
        self.stage = 0
        self.x = torch.empty(0)
        self._spaces: tuple[NoiseSpace, ...] = (space, *self._other_spaces())
        self._placed_timesteps = self._placed(torch.device("cpu"))
        self.unguided: Tensor | None = None
        self.denoised: Tensor | None = None
        self.history: dict[str, Tensor] = {}
        self.brownian_tree: BrownianTree | None = None

    @classmethod
    def grid_for(cls, convention: str = "diffusers") -> Grid:
        """How it lays its steps by a convention.

        Args:
            convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`.
        """
        if convention == "diffusers" or (
            cls.grid.reads_table and "discrete" not in cls.comfyui_spaces
        ):
            return cls.grid
        needs_finite = cls.grid.flow in ("finite", "from_one", "below_one")
        return COMMON_FINITE if needs_finite and "flow" not in cls.comfyui_spaces else COMMON

    @property
    def done(self) -> bool:
        """Whether the ladder's end is reached; x is then the result."""
        return self.step_index == self.noise_levels.end

    @property
    def steps_done(self) -> int:
        """Steps completed so far."""
        return self.step_index - self.noise_levels.first

    @property
    def timestep(self) -> Tensor:
        """Where the model is to be evaluated next; 0-dimensional, on the CPU."""
        space, step_index = self._evaluation_index
        return self._spaces[space].noise_levels.timesteps[step_index]

    @property
    def model_timestep(self) -> Tensor:
        """The same on the latent's device, where all of them were put once: nothing to wait for."""
        space, step_index = self._evaluation_index
        return self._placed_timesteps[space][step_index]

    @property
    def next_timestep(self) -> Tensor:
        """Where the model is asked in the step after this one, 0 if it is the last; as
        `model_timestep`."""
        return self._placed_timesteps[0][self.step_index + 1]

    @property
    def sigma(self) -> Tensor:
        """Noise level of x; 0-dimensional."""
        return self.noise_levels.sigmas[self.step_index]

    @property
    def next_sigma(self) -> Tensor:
        """Noise level that the current step leads to; 0 in the last one."""
        return self.noise_levels.sigmas[self.step_index + 1]

    def pure_noise(self, noise: Tensor) -> Tensor:
        """Where sampling starts when nothing is given but standard normal noise."""
        return self.space.pure_noise(noise)

    def add_noise(self, latent: Tensor, noise: Tensor, step_index: int) -> Tensor:
        """A clean latent with standard normal noise at a rung's level, as the sampler keeps it.

        Args:
            step_index: 0 to the number of rungs, where the latent comes back as it is.
        """
        return self.space.add_noise(latent, noise, step_index)

    def draws(self, step_index: int) -> int:
        """How often fresh noise is drawn in the step from a rung, if any is."""
        return 1

    @property
    def evaluation_point(self) -> tuple[NoiseSpace, int]:
        """The space over the noise levels at which the model is asked next, and the rung there."""
        space_index, step_index = self._evaluation_index
        return self._spaces[space_index], step_index

    def evaluation_x(self) -> Tensor:
        """The latent that the model is asked about next, as the sampler keeps it."""
        return self._evaluation_x()

    def model_input(self) -> Tensor:
        """x as the model takes it."""
        space, step_index = self.evaluation_point
        return space.model_input(self._evaluation_x(), step_index)

    @abstractmethod
    def feed(self, output: Tensor) -> None:
        """Go on with the model's output for `model_input` at `timestep`."""

    def start(self, x: Tensor) -> None:
        """Begin at x, as `pure_noise` or `add_noise` gave it."""
        self.x = x
        self._placed_timesteps = self._placed(x.device)

    def use_brownian_noise(self, seed: int, shape: Sequence[int]) -> None:
        """Draw what comes as the steps of a Brownian motion, if it is one of those that `moves`.

        Args:
            seed: Of the motion, 0 to 2**64 - 1.
            shape: Of the latent.
        """
        if self.uses_brownian_noise:
            levels = self.noise_levels.sigmas[
                self.noise_levels.first : self.noise_levels.end + 1
            ].to(torch.float32)
            high = float(levels.max())
            if isinstance(self.space, FlowSpace) and high > _NEARLY_ALL:
                # The last level before all is noise stands for that, but the motion knows it.
                high = 1.0
            self.brownian_tree = BrownianTree(seed, float(levels[levels > 0].min()), high, shape)

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on later to the same bits.

        Contiguous tensors on the CPU that share no memory, by name: ready for safetensors.
        """
        state = {"x": self.x, "rung": torch.tensor(self.step_index)}
        if self.stage:
            state["stage"] = torch.tensor(self.stage)
        state |= {f"history.{name}": tensor for name, tensor in self.history.items()}
        state = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in state.items()}
        for index, generator in enumerate(self.generators):
            state[f"generator.{index}"] = generator.get_state()
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned, in a sampler made with the same arguments.

        Raises:
            ValueError: It is damaged, or of another batch, latent size, precision or ladder;
                nothing was changed.
        """
        self._check_state(state)
        generators = [_generator_at(state[name]) for name in self._generator_names]
        self.step_index = int(state["rung"])
        self.stage = int(state.get("stage", 0))
        self.x = self._like_x(state["x"])
        self.history = {
            name.removeprefix("history."): self._like_x(tensor)
            for name, tensor in state.items()
            if name.startswith("history.")
        }
        for generator, saved in zip(self.generators, generators, strict=True):
            generator.set_state(saved.get_state())

    def _other_spaces(self) -> Sequence[NoiseSpace]:
        """Spaces over other noise levels than the rungs', if the model is asked there, too."""
        return ()

    @property
    def _is_comfyui(self) -> bool:
        """Whether it is walked by ComfyUI's convention."""
        return self.noise_levels.comfyui_progress is not None

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        """Where the model is asked: the place in `_spaces`, 0 for its own, and the rung there."""
        return 0, self.step_index

    def _evaluation_x(self) -> Tensor:
        """The latent that the model is asked about, with the noise of where it is asked."""
        return self.x

    def _placed(self, device: torch.device) -> tuple[Tensor, ...]:
        """The timesteps of each space on a device, and a 0 after them."""
        timesteps = [space.noise_levels.timesteps for space in self._spaces]
        return tuple(torch.cat([item, item.new_zeros(1)]).to(device) for item in timesteps)

    @property
    def _generator_names(self) -> list[str]:
        return [f"generator.{index}" for index in range(len(self.generators))]

    def _check_state(self, state: Mapping[str, Tensor]) -> None:
        named = {"x", "rung", *self._generator_names}
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise ValueError("the saved state is of something else")
        names = {name for name in state if not name.startswith("history.")}
        if names - {"stage"} != named or state["x"].shape != self.x.shape:
            raise ValueError("the saved state is of another batch or latent size")
        if state["x"].dtype != self.x.dtype:
            raise ValueError("the saved state is of another precision")
        kept = [tensor for name, tensor in state.items() if name not in names]
        counts = [state["rung"], state.get("stage", state["rung"])]
        if any(item.numel() != 1 for item in counts) or any(
            item.shape != self.x.shape for item in kept
        ):
            raise ValueError("the saved state is damaged")
        if not self.noise_levels.first <= int(state["rung"]) <= self.noise_levels.end:
            raise ValueError("the saved state is of another schedule")

    def _like_x(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.x.device, copy=True)

    def _noise_between(self, like: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Noise for the way between two levels: the motion's, or else fresh."""
        if self.brownian_tree is None:
            return self._fresh_noise(like)
        start_sigma, end_sigma = (float(level.to(torch.float32)) for level in (start, end))
        drawn = self.brownian_tree.unit(start_sigma, end_sigma).to(like.device, like.dtype)
        return drawn if self.options.s_noise == 1 else drawn * self.options.s_noise

    def _fresh_noise(self, like: Tensor) -> Tensor:
        """The generators' next noise, drawn in float32 whatever precision `like` has."""
        drawn = draw_batch(self.generators, like.shape).to(like.device, like.dtype)
        return drawn if self.options.s_noise == 1 else drawn * self.options.s_noise


def _generator_at(state: Tensor) -> torch.Generator:
    """A generator that goes on from a saved state."""
    generator = torch.Generator("cpu")
    try:
        generator.set_state(state.to("cpu", copy=True))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"the saved state of a generator is damaged: {error}") from error
    return generator
