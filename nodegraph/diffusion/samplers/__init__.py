"""Samplers: the methods that turn noise into a latent, one step at a time.

What a sampler may be told besides its name is a `SamplerOptions`, which nodes fill without torch:
`make_sampler` takes it, and `Denoising` hands it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch

from nodegraph.diffusion.flow_noise import ModelNoise
from nodegraph.diffusion.names import check_sampler
from nodegraph.diffusion.sampler_options import SamplerOptions, resolved
from nodegraph.diffusion.samplers.base import Sampler
from nodegraph.diffusion.samplers.cfg_pp import (
    DPMpp2MCFGpp,
    EulerAncestralCFGpp,
    EulerCFGpp,
    GradientEstimationCFGpp,
)
from nodegraph.diffusion.samplers.ddim import DDIM
from nodegraph.diffusion.samplers.ddpm import DDPM
from nodegraph.diffusion.samplers.dpm_2 import DPM2, DPM2Ancestral
from nodegraph.diffusion.samplers.dpmpp import DPMpp2M, DPMpp2MSDE, DPMpp2MSDEHeun
from nodegraph.diffusion.samplers.dpmpp_2s import DPMpp2S
from nodegraph.diffusion.samplers.dpmpp_2s_ancestral import (
    DPMpp2SAncestral,
    DPMpp2SAncestralCFGpp,
)
from nodegraph.diffusion.samplers.dpmpp_3m import DPMpp3M, DPMpp3MSDE
from nodegraph.diffusion.samplers.er_sde import ERSDE
from nodegraph.diffusion.samplers.euler import Euler, EulerAncestral
from nodegraph.diffusion.samplers.exponential import (
    SEEDS2,
    SEEDS3,
    DPMppSDE,
    ExpHeun2,
    ExpHeun2SDE,
)
from nodegraph.diffusion.samplers.gradient_estimation import GradientEstimation
from nodegraph.diffusion.samplers.heun import Heun
from nodegraph.diffusion.samplers.heunpp2 import HeunPP2
from nodegraph.diffusion.samplers.lcm import LCM
from nodegraph.diffusion.samplers.pndm import PNDM
from nodegraph.diffusion.samplers.res import ResMultistep, ResMultistepAncestral
from nodegraph.diffusion.samplers.restart import Restart
from nodegraph.diffusion.samplers.sa_solver import SASolver, SASolverPECE
from nodegraph.diffusion.samplers.slopes import DEIS, IPNDM, IPNDMV, LMS
from nodegraph.diffusion.samplers.tcd import TCD
from nodegraph.diffusion.samplers.uni_pc import UniPC, UniPCB1
from nodegraph.diffusion.schedules import Ladder

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
"""By the names of `nodegraph.diffusion.names`."""


def make_sampler(
    name: str,
    ladder: Ladder,
    noise: ModelNoise,
    generators: Sequence[torch.Generator] = (),
    options: SamplerOptions = SamplerOptions(),  # noqa: B008  (frozen)
    *,
    convention: str = "diffusers",
) -> Sampler:
    """A sampler in the space that it takes for a model's noise.

    Args:
        name: One of `SAMPLERS`.
        ladder: The noise levels, laid over `noise` for this sampler's grid.
        noise: What the model was trained on.
        generators: One for each item; see `Sampler`.
        options: What it is told besides.
        convention: One of `nodegraph.diffusion.sampling_parts.CONVENTIONS`: that by which the
            ladder was laid.
    Raises:
        InvalidValue: There is no such sampler, it can't sample such models, or an option is out of
            range or nothing that it heeds.
    """
    check_sampler(name, noise.kind)
    chosen = SAMPLERS[name]
    spaces = chosen.spaces if convention == "diffusers" else {**chosen.spaces, **chosen.common}
    space = spaces[noise.kind](ladder, noise)
    return chosen(space, generators, resolved(name, options, convention))
