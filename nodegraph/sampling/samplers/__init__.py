"""Samplers: the methods that turn noise into a latent, one step at a time.

What a sampler may be told besides its name is a `SamplerOptions`, which nodes fill without torch:
`make_sampler` takes it, and `Denoising` hands it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch

from nodegraph.families.flow_noise import ModelNoise
from nodegraph.families.sampler_names import SAMPLER_NAMES, check_sampler
from nodegraph.sampling.sampler_options import SamplerOptions, resolve_options
from nodegraph.sampling.samplers import (
    cfg_pp,
    consistency,
    ddim,
    dpmpp,
    er_sde,
    euler,
    exponential_integrators,
    heun,
    linear_multistep,
    midpoint,
    predictor_corrector,
)
from nodegraph.sampling.samplers.base import Method, Sampler, method
from nodegraph.sampling.schedules import NoiseLevels

__all__ = ["SAMPLERS", "Method", "Sampler", "make_sampler", "method"]

_MODULES = (
    cfg_pp,
    consistency,
    ddim,
    dpmpp,
    er_sde,
    euler,
    exponential_integrators,
    heun,
    linear_multistep,
    midpoint,
    predictor_corrector,
)
_METHODS = {
    value.name: value
    for module in _MODULES
    for value in vars(module).values()
    if isinstance(value, Method)
}
SAMPLERS: Mapping[str, Method] = MappingProxyType({name: _METHODS[name] for name in SAMPLER_NAMES})
"""By the names of `nodegraph.families.sampler_names`."""


def make_sampler(
    name: str,
    noise_levels: NoiseLevels,
    noise: ModelNoise,
    generators: Sequence[torch.Generator] = (),
    options: SamplerOptions = SamplerOptions(),  # noqa: B008  (frozen)
    *,
    convention: str = "diffusers",
) -> Sampler:
    """A sampler in the space that it takes for a model's noise.

    Args:
        name: One of `SAMPLERS`.
        noise_levels: The noise levels, laid over `noise` for this sampler's grid.
        noise: What the model was trained on.
        generators: One for each item; see `Sampler`.
        options: What it is told besides.
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`: that by which
            the ladder was laid.
    Raises:
        InvalidValue: There is no such sampler, it can't sample such models, or an option is out of
            range or nothing that it heeds.
    """
    check_sampler(name, noise.kind)
    chosen = SAMPLERS[name]
    spaces = (
        chosen.spaces if convention == "diffusers" else {**chosen.spaces, **chosen.comfyui_spaces}
    )
    space = spaces[noise.kind](noise_levels, noise)
    return Sampler(chosen, space, generators, resolve_options(name, options, convention))
