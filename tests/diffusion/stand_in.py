"""A cheap function in a model's place, for the tests of samplers."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.diffusion.samplers import Sampler

SHAPE = (4, 6, 6)


def model(x: Tensor, timestep: Tensor) -> Tensor:
    """Nonlinear in the latent, different at every timestep."""
    return torch.tanh(x.roll(1, -1) * 0.7 + float(timestep) / 1000)


def evaluate(sampler: Sampler) -> None:
    sampler.feed(model(sampler.model_input(), sampler.model_timestep))


def run(sampler: Sampler) -> Tensor:
    while not sampler.done:
        evaluate(sampler)
    return sampler.x
