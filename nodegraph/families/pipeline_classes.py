"""Which pipeline classes of diffusers hold models of which family."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _usual(name: str) -> tuple[str, ...]:
    """The pipelines that most have: of a text, of a picture, of a picture and a mask."""
    return f"{name}Pipeline", f"{name}Img2ImgPipeline", f"{name}InpaintPipeline"


_SD = (*_usual("StableDiffusion"), "StableDiffusionInstructPix2PixPipeline")
_SDXL = (*_usual("StableDiffusionXL"), "StableDiffusionXLInstructPix2PixPipeline")
_WAN = ("WanPipeline", "WanImageToVideoPipeline", "WanVideoToVideoPipeline")

PIPELINE_CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sd1": _SD,
        "sd2": _SD,
        "sdxl": _SDXL,
        "sdxl-refiner": _SDXL,
        "sd3": _usual("StableDiffusion3"),
        "pixart-sigma": ("PixArtSigmaPipeline",),
        "flux": (
            *_usual("Flux"),
            "FluxFillPipeline",
            "FluxControlPipeline",
            "FluxKontextPipeline",
            "FluxKontextInpaintPipeline",
        ),
        "sana": ("SanaPipeline",),
        "ltx": ("LTXPipeline", "LTXImageToVideoPipeline"),
        "lumina2": ("Lumina2Pipeline", "Lumina2Text2ImgPipeline"),
        "wan": _WAN,
        "chroma": _usual("Chroma"),
        "hidream": ("HiDreamImagePipeline",),
        "wan22-5b": _WAN,
        "qwen-image": _usual("QwenImage"),
        "qwen-image-edit": ("QwenImageEditPipeline", "QwenImageEditInpaintPipeline"),
        "qwen-image-edit-plus": ("QwenImageEditPlusPipeline",),
        "hunyuan-image": ("HunyuanImagePipeline",),
        "flux2": ("Flux2Pipeline",),
        "z-image": _usual("ZImage"),
        "flux2-klein": ("Flux2KleinPipeline", "Flux2KleinInpaintPipeline"),
    }
)
"""By the name of the family."""
