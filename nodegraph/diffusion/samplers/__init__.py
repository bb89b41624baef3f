"""Samplers: the methods that turn noise into a latent, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nodegraph.diffusion.samplers.base import Sampler
from nodegraph.diffusion.samplers.ddim import DDIM
from nodegraph.diffusion.samplers.ddpm import DDPM
from nodegraph.diffusion.samplers.dpmpp import DPMpp2M, DPMpp2MSDE
from nodegraph.diffusion.samplers.euler import Euler, EulerAncestral
from nodegraph.diffusion.samplers.heun import Heun
from nodegraph.diffusion.samplers.lcm import LCM
from nodegraph.diffusion.samplers.uni_pc import UniPC

__all__ = ["SAMPLERS", "Sampler"]

SAMPLERS: Mapping[str, type[Sampler]] = MappingProxyType(
    {
        "euler": Euler,
        "euler_ancestral": EulerAncestral,
        "heun": Heun,
        "dpmpp_2m": DPMpp2M,
        "dpmpp_2m_sde": DPMpp2MSDE,
        "uni_pc": UniPC,
        "ddim": DDIM,
        "ddpm": DDPM,
        "lcm": LCM,
    }
)
"""By the names of `nodegraph.diffusion.names`."""
