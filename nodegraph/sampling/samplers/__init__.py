"""Samplers: the methods that turn noise into a latent, one step at a time.

What a sampler may be told besides its name is a `SamplerOptions`, which nodes fill without torch:
`make_sampler` takes it, and `Denoising` hands it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch

from nodegraph.families.flow_noise import ModelNoise
from nodegraph.families.sampler_names import check_sampler
from nodegraph.sampling.sampler_options import SamplerOptions, resolve_options
from nodegraph.sampling.samplers.base import Sampler
from nodegraph.sampling.samplers.cfg_pp import (
    DPMpp2MCFGpp,
    EulerAncestralCFGpp,
    EulerCFGpp,
    GradientEstimationCFGpp,
)
from nodegraph.sampling.samplers.consistency import LCM, TCD
from nodegraph.sampling.samplers.ddim import DDIM, DDPM, PNDM
from nodegraph.sampling.samplers.dpmpp import (
    DPMpp2M,
    DPMpp2MSDE,
    DPMpp2MSDEHeun,
    DPMpp2S,
    DPMpp3M,
    DPMpp3MSDE,
    ResMultistep,
    ResMultistepAncestral,
)
from nodegraph.sampling.samplers.er_sde import ERSDE
from nodegraph.sampling.samplers.euler import Euler, EulerAncestral, GradientEstimation
from nodegraph.sampling.samplers.exponential_integrators import (
    SEEDS2,
    SEEDS3,
    DPMppSDE,
    ExpHeun2,
    ExpHeun2SDE,
)
from nodegraph.sampling.samplers.heun import Heun, HeunPP2, Restart
from nodegraph.sampling.samplers.linear_multistep import DEIS, IPNDM, IPNDMV, LMS
from nodegraph.sampling.samplers.midpoint import (
    DPM2,
    DPM2Ancestral,
    DPMpp2SAncestral,
    DPMpp2SAncestralCFGpp,
)
from nodegraph.sampling.samplers.predictor_corrector import SASolver, SASolverPECE, UniPC, UniPCB1
from nodegraph.sampling.schedules import NoiseLevels

__all__ = ["SAMPLERS", "Sampler", "make_sampler"]

SAMPLERS: Mapping[str, type[Sampler]] = MappingProxyType(
    {
        "euler": Euler,
        "euler_ancestral": EulerAncestral,
        "heun": Heun,
        "heunpp2": HeunPP2,
        "restart": Restart,
        "dpm_2": DPM2,
        "dpm_2_ancestral": DPM2Ancestral,
        "dpmpp_2s": DPMpp2S,
        "dpmpp_2s_ancestral": DPMpp2SAncestral,
        "dpmpp_sde": DPMppSDE,
        "dpmpp_2m": DPMpp2M,
        "dpmpp_2m_sde": DPMpp2MSDE,
        "dpmpp_2m_sde_heun": DPMpp2MSDEHeun,
        "dpmpp_3m": DPMpp3M,
        "dpmpp_3m_sde": DPMpp3MSDE,
        "res_multistep": ResMultistep,
        "res_multistep_ancestral": ResMultistepAncestral,
        "exp_heun_2_x0": ExpHeun2,
        "exp_heun_2_x0_sde": ExpHeun2SDE,
        "seeds_2": SEEDS2,
        "seeds_3": SEEDS3,
        "er_sde": ERSDE,
        "sa_solver": SASolver,
        "sa_solver_pece": SASolverPECE,
        "gradient_estimation": GradientEstimation,
        "euler_cfg_pp": EulerCFGpp,
        "euler_ancestral_cfg_pp": EulerAncestralCFGpp,
        "dpmpp_2s_ancestral_cfg_pp": DPMpp2SAncestralCFGpp,
        "dpmpp_2m_cfg_pp": DPMpp2MCFGpp,
        "gradient_estimation_cfg_pp": GradientEstimationCFGpp,
        "uni_pc": UniPC,
        "uni_pc_bh1": UniPCB1,
        "deis": DEIS,
        "lms": LMS,
        "ipndm": IPNDM,
        "ipndm_v": IPNDMV,
        "ddim": DDIM,
        "ddpm": DDPM,
        "pndm": PNDM,
        "lcm": LCM,
        "tcd": TCD,
    }
)
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
    return chosen(space, generators, resolve_options(name, options, convention))
