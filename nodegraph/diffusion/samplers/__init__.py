"""Samplers: the methods that turn noise into a latent, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch

from nodegraph.diffusion.flow_noise import ModelNoise
from nodegraph.diffusion.names import check_sampler
from nodegraph.diffusion.samplers.base import Sampler
from nodegraph.diffusion.samplers.ddim import DDIM
from nodegraph.diffusion.samplers.ddpm import DDPM
from nodegraph.diffusion.samplers.dpm_2 import DPM2, DPM2Ancestral
from nodegraph.diffusion.samplers.dpmpp import DPMpp2M, DPMpp2MSDE
from nodegraph.diffusion.samplers.dpmpp_3m import DPMpp3M, DPMpp3MSDE
from nodegraph.diffusion.samplers.euler import Euler, EulerAncestral
from nodegraph.diffusion.samplers.heun import Heun
from nodegraph.diffusion.samplers.lcm import LCM
from nodegraph.diffusion.samplers.res import ResMultistep
from nodegraph.diffusion.samplers.slopes import DEIS, IPNDM, LMS
from nodegraph.diffusion.samplers.tcd import TCD
from nodegraph.diffusion.samplers.uni_pc import UniPC
from nodegraph.diffusion.schedules import Ladder

__all__ = ["SAMPLERS", "Sampler", "make_sampler"]

SAMPLERS: Mapping[str, type[Sampler]] = MappingProxyType(
    {
        "euler": Euler,
        "euler_ancestral": EulerAncestral,
        "heun": Heun,
        "dpm_2": DPM2,
        "dpm_2_ancestral": DPM2Ancestral,
        "dpmpp_2m": DPMpp2M,
        "dpmpp_2m_sde": DPMpp2MSDE,
        "dpmpp_3m": DPMpp3M,
        "dpmpp_3m_sde": DPMpp3MSDE,
        "res_multistep": ResMultistep,
        "uni_pc": UniPC,
        "deis": DEIS,
        "lms": LMS,
        "ipndm": IPNDM,
        "ddim": DDIM,
        "ddpm": DDPM,
        "lcm": LCM,
        "tcd": TCD,
    }
)
"""By the names of `nodegraph.diffusion.names`."""


def make_sampler(
    name: str, ladder: Ladder, noise: ModelNoise, generators: Sequence[torch.Generator] = ()
) -> Sampler:
    """A sampler in the space that it takes for a model's noise.

    Args:
        name: One of `SAMPLERS`.
        ladder: The noise levels, laid over `noise` for this sampler's grid.
        noise: What the model was trained on.
        generators: One for each item; see `Sampler`.
    Raises:
        InvalidValue: There is no such sampler, or it can't sample such models.
    """
    check_sampler(name, noise.kind)
    chosen = SAMPLERS[name]
    return chosen(chosen.spaces[noise.kind](ladder, noise), generators)
