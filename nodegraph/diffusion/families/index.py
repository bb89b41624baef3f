"""The families that come along, as far as they are told apart without importing them.

A family's module brings all that it computes with, and who looks for one family is to import one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nodegraph.diffusion.families.base import Family


class IndexedFamily(NamedTuple):
    """A family, not imported yet.

    Attributes:
        family: Imports it. The module's name stands there as it is, as it is read from the source
            what code is behind a node.
        latent: Name of its latent format.
        pipelines: Classes of diffusers whose folders hold it.
    """

    family: Callable[[], Family]
    latent: str
    pipelines: tuple[str, ...]


def _usual(name: str) -> tuple[str, ...]:
    """The pipelines that most have: of a text, of a picture, of a picture and a mask."""
    return f"{name}Pipeline", f"{name}Img2ImgPipeline", f"{name}InpaintPipeline"


_SD = (*_usual("StableDiffusion"), "StableDiffusionInstructPix2PixPipeline")
_SDXL = (*_usual("StableDiffusionXL"), "StableDiffusionXLInstructPix2PixPipeline")
_WAN = ("WanPipeline", "WanImageToVideoPipeline", "WanVideoToVideoPipeline")

INDEX: Mapping[str, IndexedFamily] = MappingProxyType(
    {
        "sd1": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.stable_diffusion").SD1,
            "sd",
            _SD,
        ),
        "sd2": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.stable_diffusion").SD2,
            "sd",
            _SD,
        ),
        "sdxl": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.sdxl").SDXL,
            "sdxl",
            _SDXL,
        ),
        "sdxl-refiner": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.sdxl").SDXL_REFINER,
            "sdxl",
            _SDXL,
        ),
        "sd3": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.sd3").SD3,
            "sd3",
            _usual("StableDiffusion3"),
        ),
        "pixart-sigma": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.pixart").PIXART_SIGMA,
            "sdxl",
            ("PixArtSigmaPipeline",),
        ),
        "flux": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.flux").FLUX,
            "flux",
            (
                *_usual("Flux"),
                "FluxFillPipeline",
                "FluxControlPipeline",
                "FluxKontextPipeline",
                "FluxKontextInpaintPipeline",
            ),
        ),
        "sana": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.sana").SANA,
            "sana",
            ("SanaPipeline",),
        ),
        "ltx": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.ltx").LTX,
            "ltx",
            ("LTXPipeline", "LTXImageToVideoPipeline"),
        ),
        "lumina2": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.lumina2").LUMINA2,
            "flux",
            ("Lumina2Pipeline", "Lumina2Text2ImgPipeline"),
        ),
        "wan": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.wan").WAN,
            "wan",
            _WAN,
        ),
        "chroma": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.chroma").CHROMA,
            "flux",
            _usual("Chroma"),
        ),
        "hidream": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.hidream").HIDREAM,
            "flux",
            ("HiDreamImagePipeline",),
        ),
        "wan22-5b": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.wan").WAN22_5B,
            "wan22",
            _WAN,
        ),
        "qwen-image": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.qwen_image").QWEN_IMAGE,
            "qwen-image",
            _usual("QwenImage"),
        ),
        "qwen-image-edit": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.qwen_image_edit").QWEN_IMAGE_EDIT,
            "qwen-image",
            ("QwenImageEditPipeline", "QwenImageEditInpaintPipeline"),
        ),
        "qwen-image-edit-plus": IndexedFamily(
            lambda: (
                import_module("nodegraph.diffusion.families.qwen_image_edit").QWEN_IMAGE_EDIT_PLUS
            ),
            "qwen-image",
            ("QwenImageEditPlusPipeline",),
        ),
        "hunyuan-image": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.hunyuan_image").HUNYUAN_IMAGE,
            "hunyuan-image",
            ("HunyuanImagePipeline",),
        ),
        "flux2": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.flux2").FLUX2,
            "flux2",
            ("Flux2Pipeline",),
        ),
        "z-image": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.z_image").Z_IMAGE,
            "flux",
            _usual("ZImage"),
        ),
        "flux2-klein": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.flux2").FLUX2_KLEIN,
            "flux2",
            ("Flux2KleinPipeline", "Flux2KleinInpaintPipeline"),
        ),
        "molecules": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.molecules").MOLECULES,
            "molecules",
            (),
        ),
        "shapes": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.shapes").SHAPES,
            "shapes",
            (),
        ),
        "sounds": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.sounds").SOUNDS,
            "sounds",
            (),
        ),
        "motions": IndexedFamily(
            lambda: import_module("nodegraph.diffusion.families.motions").MOTIONS,
            "motions",
            (),
        ),
    }
)
"""By name, in the order in which files are asked whether they are of one."""
