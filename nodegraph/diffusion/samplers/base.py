"""What all samplers share: where they stand, how they are asked and told, how they are saved.

A sampler is a state machine that never calls the model itself:

    while not sampler.done:
        output = model(sampler.model_input(), sampler.timestep)
        sampler.feed(output)

so that the loop around it may preview, cancel, checkpoint, or evaluate several samplings in one
batch. Synonyms elsewhere: scheduler (diffusers), solver (refiners).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.noise import draw_from
from nodegraph.diffusion.samplers.spaces import NoiseSpace
from nodegraph.diffusion.schedules import Grid, Ladder

Spaces = Mapping[str, Callable[[Ladder, Any], NoiseSpace]]
"""By kind of noise: what makes a space of a ladder and a model's noise."""


class Sampler(ABC):
    """Walks a latent down a ladder of noise levels.

    Args:
        space: How the latent is kept; of the kind that `spaces` has for the model's noise.
        generators: One for each item, already used for the initial noise; samplers that add noise
            on the way go on drawing from them.
    Attributes:
        spaces: By kind of noise, the space that this sampler works in; where there is none, it
            can't sample such models.
        grid: How this sampler lays its steps over training timesteps.
        ladder: The noise levels.
        x: The latent as the sampler keeps it; on the model's device and in its dtype, shape
            (batch, channels, height / 8, width / 8).
        rung: Index of the noise level that x is at.
        denoised: The clean latent that the model last predicted, same shape; None at first.
        history: What is kept of earlier evaluations, by name; same shapes.
    """

    spaces: ClassVar[Spaces]
    grid: ClassVar[Grid]

    def __init__(self, space: NoiseSpace, generators: Sequence[torch.Generator] = ()) -> None:
        self.space = space
        self.ladder = space.ladder
        self.generators = tuple(generators)
        self.rung = self.ladder.first
        self.x = torch.empty(0)
        self._placed_timesteps = self._with_end(torch.device("cpu"))
        self.denoised: Tensor | None = None
        self.history: dict[str, Tensor] = {}

    @property
    def done(self) -> bool:
        """Whether the ladder's end is reached; x is then the result."""
        return self.rung == self.ladder.rungs

    @property
    def steps_done(self) -> int:
        """Steps completed so far."""
        return self.rung - self.ladder.first

    @property
    def timestep(self) -> Tensor:
        """Where the model is to be evaluated next; 0-dimensional, on the CPU."""
        return self.ladder.timesteps[self._asked_rung]

    @property
    def model_timestep(self) -> Tensor:
        """The same on the latent's device, where all of them were put once: nothing to wait for."""
        return self._placed_timesteps[self._asked_rung]

    @property
    def following_timestep(self) -> Tensor:
        """Where the model is asked in the step after this one, 0 if it is the last; as
        `model_timestep`."""
        return self._placed_timesteps[self.rung + 1]

    @property
    def sigma(self) -> Tensor:
        """Noise level of x; 0-dimensional."""
        return self.ladder.sigmas[self.rung]

    @property
    def next_sigma(self) -> Tensor:
        """Noise level that the current step leads to; 0 in the last one."""
        return self.ladder.sigmas[self.rung + 1]

    def pure_noise(self, noise: Tensor) -> Tensor:
        """Where sampling starts when nothing is given but standard normal noise."""
        return self.space.pure_noise(noise)

    def noised(self, latent: Tensor, noise: Tensor, rung: int) -> Tensor:
        """A clean latent with standard normal noise at a rung's level, as the sampler keeps it.

        Args:
            rung: 0 to the number of rungs, where the latent comes back as it is.
        """
        return self.space.noised(latent, noise, rung)

    def model_input(self) -> Tensor:
        """x as the model takes it."""
        return self.space.model_input(self.x, self._asked_rung)

    @abstractmethod
    def feed(self, output: Tensor) -> None:
        """Go on with the model's output for `model_input` at `timestep`."""

    def start(self, x: Tensor) -> None:
        """Begin at x, as `pure_noise` or `noised` gave it."""
        self.x = x
        self._placed_timesteps = self._with_end(x.device)

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on later to the same bits.

        Contiguous tensors on the CPU that share no memory, by name: ready for safetensors.
        """
        state = {"x": self.x, "rung": torch.tensor(self.rung)}
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
        self.rung = int(state["rung"])
        self.x = self._like_x(state["x"])
        self.history = {
            name.removeprefix("history."): self._like_x(tensor)
            for name, tensor in state.items()
            if name.startswith("history.")
        }
        for generator, saved in zip(self.generators, generators, strict=True):
            generator.set_state(saved.get_state())

    def _with_end(self, device: torch.device) -> Tensor:
        """The timesteps on a device, and a 0 after them."""
        timesteps = self.ladder.timesteps
        return torch.cat([timesteps, timesteps.new_zeros(1)]).to(device)

    @property
    def _asked_rung(self) -> int:
        """The rung whose noise level x has now, and whose timestep the model is asked at."""
        return self.rung

    @property
    def _generator_names(self) -> list[str]:
        return [f"generator.{index}" for index in range(len(self.generators))]

    def _check_state(self, state: Mapping[str, Tensor]) -> None:
        named = {"x", "rung", *self._generator_names}
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise ValueError("the saved state is of something else")
        found = {name for name in state if not name.startswith("history.")}
        if found != named or state["x"].shape != self.x.shape:
            raise ValueError("the saved state is of another batch or latent size")
        if state["x"].dtype != self.x.dtype:
            raise ValueError("the saved state is of another precision")
        kept = [tensor for name, tensor in state.items() if name not in found]
        if state["rung"].numel() != 1 or any(item.shape != self.x.shape for item in kept):
            raise ValueError("the saved state is damaged")
        if not self.ladder.first <= int(state["rung"]) <= self.ladder.rungs:
            raise ValueError("the saved state is of another schedule")

    def _like_x(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.x.device, copy=True)

    def _fresh_noise(self, like: Tensor) -> Tensor:
        """The generators' next noise, drawn in float32 whatever precision `like` has."""
        return draw_from(self.generators, like.shape[1:]).to(like.device, like.dtype)


def _generator_at(state: Tensor) -> torch.Generator:
    """A generator that goes on from a saved state."""
    generator = torch.Generator("cpu")
    try:
        generator.set_state(state.to("cpu", copy=True))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"the saved state of a generator is damaged: {error}") from error
    return generator
