"""Modules by the names that they had in version 0.1: imports of these find today's, for a release.

Each such import warns with the new name.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

MOVED = {
    "nodegraph.audio": "nodegraph.media.audio",
    "nodegraph.builder": "nodegraph.python.builder",
    "nodegraph.compat": "nodegraph.interop",
    "nodegraph.datasets.order": "nodegraph.training.examples",
    "nodegraph.datasets": "nodegraph.media.datasets",
    "nodegraph.diffusion.brownian": "nodegraph.sampling.latent_noise",
    "nodegraph.diffusion.classifier_files": "nodegraph.models.helper_files",
    "nodegraph.diffusion.controls.questions": "nodegraph.families.model_step",
    "nodegraph.diffusion.depth.loading": "nodegraph.models.vision_networks",
    "nodegraph.diffusion.depth.files": "nodegraph.families.helper_networks",
    "nodegraph.diffusion.depth": "nodegraph.models.vision_networks",
    "nodegraph.diffusion.families.items": "nodegraph.families.item_family",
    "nodegraph.diffusion.foreground.loading": "nodegraph.models.vision_networks",
    "nodegraph.diffusion.foreground.networks": "nodegraph.models.foreground_networks",
    "nodegraph.diffusion.foreground.architectures": "nodegraph.families.helper_networks",
    "nodegraph.diffusion.guiders.layers": "nodegraph.sampling.guiders.checks",
    "nodegraph.diffusion.guiders.valences": "nodegraph.sampling.guiders.terms",
    "nodegraph.diffusion.ip_adapters.pictures": "nodegraph.families.image_conditioning",
    "nodegraph.diffusion.items.clips": "nodegraph.models.image_to_video",
    "nodegraph.diffusion.items.conditioning": "nodegraph.families.item_family",
    "nodegraph.diffusion.latents.sizes": "nodegraph.families.latent_formats",
    "nodegraph.diffusion.models": "nodegraph.models.model_sources",
    "nodegraph.diffusion.samplers.cfg_pp": "nodegraph.sampling.samplers.euler",
    "nodegraph.diffusion.single_files.t5": "nodegraph.weights.single_files.language",
    "nodegraph.diffusion.speed.options": "nodegraph.families.speed_options",
    "nodegraph.diffusion.tiling": "nodegraph.media.images.tiles",
    "nodegraph.diffusion.upscaling.upscaler": "nodegraph.models.upscaling",
    "nodegraph.diffusion.upscaling.architectures": "nodegraph.families.helper_networks",
    "nodegraph.diffusion.upscaling.files": "nodegraph.models.helper_files",
    "nodegraph.diffusion.teaching": "nodegraph.training",
    "nodegraph.diffusion.vision_classes": "nodegraph.families.helper_networks",
    "nodegraph.images.picture_folders": "nodegraph.media.images.input_files",
    "nodegraph.images.pictures": "nodegraph.media.images.pillow_conversion",
    "nodegraph.images.previews": "nodegraph.media.images.resizing",
    "nodegraph.images": "nodegraph.media.images",
    "nodegraph.languages": "nodegraph.perception",
    "nodegraph.molecules": "nodegraph.media.molecules",
    "nodegraph.pipelines.opening": "nodegraph.interop.pipelines.pipeline_recipes",
    "nodegraph.pipelines": "nodegraph.interop.pipelines",
    "nodegraph.plots": "nodegraph.media.plots",
    "nodegraph.results.drawing": "nodegraph.session.results.files",
    "nodegraph.results.texts": "nodegraph.session.results.files",
    "nodegraph.results": "nodegraph.session.results",
    "nodegraph.shapes.arrays": "nodegraph.media.shapes.shape_files",
    "nodegraph.shapes": "nodegraph.media.shapes",
    "nodegraph.testing": "nodegraph.python.testing",
    "nodegraph.videos": "nodegraph.media.videos",
    "nodegraph.vision": "nodegraph.perception.vision",
}
"""Packages and modules. What lies in a package kept its name, if it is still a module."""

_DIFFUSION = "nodegraph.diffusion."
_ROOMS = ("weights", "families", "models", "sampling")
"""Where the other modules of `nodegraph.diffusion` lie, each by the name it had there."""


class _Loader:
    """Puts today's module in the place of the old name.

    Args:
        new: Today's name.
    """

    def __init__(self, new: str) -> None:
        self._new = new

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        warnings.warn(f"{old} is {self._new} now", DeprecationWarning, stacklevel=2)
        sys.modules[old] = import_module(self._new)


def spec_of(name: str) -> ModuleSpec | None:
    """How a module is imported by its old name; None if it is no such name."""
    new = new_name(name)
    return None if new is None else ModuleSpec(name, _Loader(new))  # type: ignore[arg-type]


def new_name(name: str) -> str | None:
    """Today's name of a module; None if it did not move, or isn't there."""
    old = next((old for old in MOVED if name == old or name.startswith(f"{old}.")), None)
    if old is not None:
        homes = [MOVED[old] + name.removeprefix(old)]
    elif name.startswith(_DIFFUSION):
        inner = name.removeprefix(_DIFFUSION)
        homes = [inner] if inner.partition(".")[0] in _ROOMS else []
        homes = [f"nodegraph.{home}" for home in [*homes, *(f"{room}.{inner}" for room in _ROOMS)]]
    else:
        return None
    return next(filter(_is_there, homes), None)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what it would lie in isn't there, or is no package
        return False
