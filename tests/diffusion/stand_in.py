"""A cheap function in a model's place, for the tests of samplers, and which of them to try."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.sampling.samplers import SAMPLERS, Sampler

SHAPE = (4, 6, 6)

ONE_OF_EACH = tuple({sampler.walk.__module__: name for name, sampler in SAMPLERS.items()}.values())
"""Samplers, one of each module, for tests that compute with a model: all others are told apart by
what is tested on the stand-in."""


def model(x: Tensor, timestep: Tensor) -> Tensor:
    """Nonlinear in the latent, different at every timestep."""
    return torch.tanh(x.roll(1, -1) * 0.7 + float(timestep) / 1000)


def evaluate(sampler: Sampler) -> None:
    sampler.feed(model(sampler.model_input(), sampler.model_timestep))


def run(sampler: Sampler) -> Tensor:
    while not sampler.done:
        evaluate(sampler)
    return sampler.x
