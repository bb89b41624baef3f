"""Samplers: the methods that turn noise into a latent, one step at a time.

The options of a sampler are a `SamplerOptions`, which nodes fill without torch:
`make_sampler` takes it, and `Denoising` hands it on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from nodegraph.families.flow_noise import ModelNoise
from nodegraph.families.sampler_names import SAMPLER_PLUGINS, check_sampler
from nodegraph.sampling.sampler_options import SamplerOptions, resolve_options
from nodegraph.sampling.samplers import (
    ddim,
    dpmpp,
    euler,
    exponential_integrators,
    heun,
    linear_multistep,
    midpoint,
    predictor_corrector,
)
from nodegraph.sampling.samplers.base import Method, Sampler, sampler
from nodegraph.sampling.schedules import NoiseLevels

__all__ = ["SAMPLERS", "Method", "Sampler", "make_sampler", "sampler"]

_METHODS = (
    euler.euler,
    euler.euler_ancestral,
    heun.heun,
    heun.heunpp2,
    heun.restart,
    midpoint.dpm_2,
    midpoint.dpm_2_ancestral,
    dpmpp.dpmpp_2s,
    midpoint.dpmpp_2s_ancestral,
    exponential_integrators.dpmpp_sde,
    dpmpp.dpmpp_2m,
    dpmpp.dpmpp_2m_sde,
    dpmpp.dpmpp_2m_sde_heun,
    dpmpp.dpmpp_3m,
    dpmpp.dpmpp_3m_sde,
    dpmpp.res_multistep,
    dpmpp.res_multistep_ancestral,
    exponential_integrators.exp_heun_2_x0,
    exponential_integrators.exp_heun_2_x0_sde,
    exponential_integrators.seeds_2,
    exponential_integrators.seeds_3,
    exponential_integrators.er_sde,
    predictor_corrector.sa_solver,
    predictor_corrector.sa_solver_pece,
    euler.gradient_estimation,
    euler.euler_cfg_pp,
    euler.euler_ancestral_cfg_pp,
    midpoint.dpmpp_2s_ancestral_cfg_pp,
    euler.dpmpp_2m_cfg_pp,
    euler.gradient_estimation_cfg_pp,
    predictor_corrector.uni_pc,
    predictor_corrector.uni_pc_bh1,
    linear_multistep.deis,
    linear_multistep.lms,
    linear_multistep.ipndm,
    linear_multistep.ipndm_v,
    ddim.ddim,
    ddim.ddpm,
    ddim.pndm,
    ddim.cogvideox_dpm,
    ddim.lcm,
    ddim.tcd,
)
"""In the order in which they are offered."""


class _Samplers(Mapping[str, Method]):
    """By name; packages and packs are asked only for other names than the built-in ones."""

    def __getitem__(self, name: str) -> Method:
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        chosen: Method = SAMPLER_PLUGINS[name].load()
        return chosen

    def __iter__(self) -> Iterator[str]:
        yield from _BUILT_IN
        yield from SAMPLER_PLUGINS

    def __len__(self) -> int:
        return len(_BUILT_IN) + len(SAMPLER_PLUGINS)


_BUILT_IN = {each.name: each for each in _METHODS}
SAMPLERS: Mapping[str, Method] = _Samplers()


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
        options: Options of the sampler.
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`: that by which
            the ladder was laid.
    Raises:
        InvalidValue: There is no such sampler, it can't sample such models, or an option is out of
            range or one that it does not use.
    """
    check_sampler(name, noise.kind)
    chosen = SAMPLERS[name]
    spaces = (
        chosen.spaces if convention == "diffusers" else {**chosen.spaces, **chosen.comfyui_spaces}
    )
    space = spaces[noise.kind](noise_levels, noise)
    return Sampler(chosen, space, generators, resolve_options(name, options, convention))
