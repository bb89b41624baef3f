"""One tiny model of each family, for tests that go through all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from nodegraph.families.index import INDEX

from .test_cogvideox import cogvideox
from .test_cosmos25 import cosmos_predict25
from .test_cosmos_transfer25 import cosmos_transfer25
from .test_flux import chroma, flux, sd3
from .test_flux2 import flux2, flux2_klein
from .test_hidream import hidream
from .test_hunyuan_dit import hunyuan_dit
from .test_hunyuan_image import hunyuan
from .test_ltx2 import ltx2
from .test_ltx25 import ltx25
from .test_lumina2 import lumina2
from .test_pixart import pixart_sigma
from .test_qwen_image import qwen_image
from .test_qwen_image_edit import edit, edit_plus
from .test_sana import sana
from .test_sana_video import sana_video, sana_video_720p
from .test_stable_diffusion import refiner, sd1, sd2, sdxl
from .test_z_image import z_image
from .video_models import ltx, wan, wan22_5b


@dataclass(frozen=True)
class Tiny:
    """A model of random weights.

    Attributes:
        build: Makes the stock pipeline.
        sampler: The pipeline's own.
        frames: That its videos have at least, if they move.
    """

    build: Callable[[], Any]
    sampler: str = "euler"
    frames: int = 1


_GIVEN: Mapping[str, Tiny] = {
    "sd1": Tiny(sd1, "ddim"),
    "sd2": Tiny(sd2, "ddim"),
    "sdxl": Tiny(sdxl),
    "sdxl-refiner": Tiny(refiner),
    "sd3": Tiny(sd3),
    "pixart-sigma": Tiny(pixart_sigma, "dpmpp_2m"),
    "flux": Tiny(flux),
    "sana": Tiny(sana, "dpmpp_2m"),
    "ltx": Tiny(ltx, frames=9),
    "lumina2": Tiny(lumina2),
    "wan": Tiny(wan, "uni_pc", 5),
    "chroma": Tiny(chroma),
    "hidream": Tiny(hidream),
    "wan22-5b": Tiny(wan22_5b, "uni_pc", 5),
    "qwen-image": Tiny(qwen_image),
    "qwen-image-edit": Tiny(edit),
    "qwen-image-edit-plus": Tiny(edit_plus),
    "hunyuan-image": Tiny(hunyuan),
    "flux2": Tiny(flux2),
    "z-image": Tiny(z_image),
    "flux2-klein": Tiny(flux2_klein),
    "ltx2": Tiny(ltx2, frames=9),
    "ltx25": Tiny(ltx25, frames=9),
    # Steps over sigma would begin at 4096, which rounds away last bits.
    "cogvideox": Tiny(cogvideox, "ddim"),
    "cosmos-predict25": Tiny(cosmos_predict25, "uni_pc"),
    "cosmos-transfer25": Tiny(cosmos_transfer25, "uni_pc"),
    "sana-video": Tiny(sana_video, "dpmpp_2m", 5),
    "sana-video-720p": Tiny(sana_video_720p, "dpmpp_2m", 9),
    # Its own, ddpm, draws noise in each step.
    "hunyuan-dit": Tiny(hunyuan_dit, "ddim"),
}


def _tiny(name: str) -> Tiny:
    """The model of a family: another one than those given is built by the function of the family's
    name in the test of its module."""
    if name in _GIVEN:
        return _GIVEN[name]
    module = INDEX[name].family().__module__.rpartition(".")[2]
    return Tiny(getattr(import_module(f"{__package__}.test_{module}"), name.replace("-", "_")))


STAGES = frozenset({"stable-cascade", "stable-cascade-decoder"})
"""Families whose models make images together alone: tests of their own go through both."""

TINY: Mapping[str, Tiny] = {
    name: _tiny(name)
    for name, entry in INDEX.items()
    if entry.family().latent.only_size is None
    and not entry.family().latent.is_sound
    and name not in STAGES
}
"""By the family's name: those of images and videos."""

TINY_SOUND: Mapping[str, Tiny] = {
    name: _tiny(name) for name, entry in INDEX.items() if entry.family().latent.is_sound
}
"""By the family's name: those of sound alone."""

TINY_SOLIDS: Mapping[str, Tiny] = {
    name: _tiny(name)
    for name, entry in INDEX.items()
    if entry.family().latent.only_size is not None and entry.family().encoders
}
"""By the family's name: those of solids."""
