"""Points of trajectories from noise to picture: what a model's answer says of them.

A place is one of the model's training timesteps, counted from the least noise, 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.diffusion.flow_noise import FlowNoise, ModelNoise
from nodegraph.diffusion.samplers.lcm import SIGMA_DATA
from nodegraph.diffusion.teaching.objectives import flow_levels


@dataclass(frozen=True)
class TrajectoryPlaces:
    """The noise of each training timestep, and what answers mean there.

    Attributes:
        signal, noise: What picture and noise are multiplied by; float32, shape (timesteps,).
        told: What the model is told; same shape.
        kind: What it answers: ``epsilon``, ``v_prediction``, ``sample``, or ``flow``: the noise
            less the picture.
        scaling: Of timesteps in the boundary condition; None for flows, which need none.
    """

    signal: Tensor
    noise: Tensor
    told: Tensor
    kind: str
    scaling: float | None

    @classmethod
    def of(cls, noise: ModelNoise, device: torch.device) -> TrajectoryPlaces:
        """Those of what a model was trained on."""
        if isinstance(noise, FlowNoise):
            levels = flow_levels(noise).flip(0).to(device)
            return cls(1.0 - levels, levels, levels * noise.timesteps, "flow", None)
        table = noise.alphas_cumprod.to(device)
        told = torch.arange(noise.timesteps, device=device)
        kind, scaling = noise.prediction_type, noise.timestep_scaling
        return cls(table**0.5, (1 - table) ** 0.5, told, kind, scaling)

    @property
    def count(self) -> int:
        """Of the places."""
        return len(self.signal)

    def mixed(self, clean: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """What lies at places; all shaped (examples, channels, …)."""
        return _wide(self.signal[places], clean) * clean + _wide(self.noise[places], noise) * noise

    def parted(self, answer: Tensor, seen: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Picture and noise that an answer sees in what was seen; float32."""
        answer, seen = answer.float(), seen.float()
        signal, noise = (_wide(item[places], seen) for item in (self.signal, self.noise))
        if self.kind == "flow":
            return seen - noise * answer, seen + signal * answer
        if self.kind == "v_prediction":
            return signal * seen - noise * answer, signal * answer + noise * seen
        if self.kind == "sample":
            return answer, (seen - signal * answer) / noise
        return (seen - noise * answer) / signal, answer

    def ended(self, answer: Tensor, seen: Tensor, places: Tensor) -> Tensor:
        """Where an answer says that the trajectory through what was seen ends; float32.

        At place 0 of a table it is what was seen, whatever the answer: as the sampler `lcm` has it.
        Source: Song et al. 2023, arXiv:2303.01469, appendix C.
        """
        clean, _ = self.parted(answer, seen, places)
        if self.scaling is None:
            return clean
        scaled = places.float() * self.scaling
        keep = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        take = scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5
        return _wide(take, clean) * clean + _wide(keep, seen) * seen.float()


def _wide(numbers: Tensor, like: Tensor) -> Tensor:
    """Numbers of examples, to be multiplied with what they are of."""
    return numbers.view(-1, *(1,) * (like.ndim - 1))
