"""Index of the built-in families: identify one without importing it.

A family's module brings all that it computes with, and who looks for one family is to import one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nodegraph.families.base import Family


class IndexedFamily(NamedTuple):
    """A family, not imported yet.

    Attributes:
        family: Imports it. The module's name stands there as it is, as it is read from the source
            what code is behind a node.
        latent: Name of its latent format.
    """

    family: Callable[[], Family]
    latent: str


INDEX: Mapping[str, IndexedFamily] = MappingProxyType(
    {
        "sd1": IndexedFamily(
            lambda: import_module("nodegraph.families.stable_diffusion").SD1,
            "sd",
        ),
        "sd2": IndexedFamily(
            lambda: import_module("nodegraph.families.stable_diffusion").SD2,
            "sd",
        ),
        "sdxl": IndexedFamily(
            lambda: import_module("nodegraph.families.sdxl").SDXL,
            "sdxl",
        ),
        "sdxl-refiner": IndexedFamily(
            lambda: import_module("nodegraph.families.sdxl").SDXL_REFINER,
            "sdxl",
        ),
        "sd3": IndexedFamily(
            lambda: import_module("nodegraph.families.sd3").SD3,
            "sd3",
        ),
        "pixart-sigma": IndexedFamily(
            lambda: import_module("nodegraph.families.pixart").PIXART_SIGMA,
            "sdxl",
        ),
        "flux": IndexedFamily(
            lambda: import_module("nodegraph.families.flux").FLUX,
            "flux",
        ),
        "sana": IndexedFamily(
            lambda: import_module("nodegraph.families.sana").SANA,
            "sana",
        ),
        "ltx": IndexedFamily(
            lambda: import_module("nodegraph.families.ltx").LTX,
            "ltx",
        ),
        "lumina2": IndexedFamily(
            lambda: import_module("nodegraph.families.lumina2").LUMINA2,
            "flux",
        ),
        "wan": IndexedFamily(
            lambda: import_module("nodegraph.families.wan").WAN,
            "wan",
        ),
        "chroma": IndexedFamily(
            lambda: import_module("nodegraph.families.chroma").CHROMA,
            "flux",
        ),
        "hidream": IndexedFamily(
            lambda: import_module("nodegraph.families.hidream").HIDREAM,
            "flux",
        ),
        "wan22-5b": IndexedFamily(
            lambda: import_module("nodegraph.families.wan").WAN22_5B,
            "wan22",
        ),
        "qwen-image": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image").QWEN_IMAGE,
            "qwen-image",
        ),
        "qwen-image-edit": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT,
            "qwen-image",
        ),
        "qwen-image-edit-plus": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT_PLUS,
            "qwen-image",
        ),
        "hunyuan-image": IndexedFamily(
            lambda: import_module("nodegraph.families.hunyuan_image").HUNYUAN_IMAGE,
            "hunyuan-image",
        ),
        "flux2": IndexedFamily(
            lambda: import_module("nodegraph.families.flux2").FLUX2,
            "flux2",
        ),
        "z-image": IndexedFamily(
            lambda: import_module("nodegraph.families.z_image").Z_IMAGE,
            "flux",
        ),
        "flux2-klein": IndexedFamily(
            lambda: import_module("nodegraph.families.flux2").FLUX2_KLEIN,
            "flux2",
        ),
        "molecules": IndexedFamily(
            lambda: import_module("nodegraph.families.molecules").MOLECULES,
            "molecules",
        ),
        "shapes": IndexedFamily(
            lambda: import_module("nodegraph.families.shapes").SHAPES,
            "shapes",
        ),
        "sounds": IndexedFamily(
            lambda: import_module("nodegraph.families.sounds").SOUNDS,
            "sounds",
        ),
        "motions": IndexedFamily(
            lambda: import_module("nodegraph.families.motions").MOTIONS,
            "motions",
        ),
    }
)
"""By name, in the order in which files are asked whether they are of one."""
FORMATS: Mapping[str, str] = {INDEX[name].latent: name for name in reversed([*INDEX])}
"""The first family of each latent format, by its name."""
