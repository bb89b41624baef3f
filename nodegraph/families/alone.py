"""Parts of models in files without a configuration: whose they are, and which node takes them.

Told by names and shapes of tensors alone. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from nodegraph.errors import InvalidFile
from nodegraph.families.base import Family
from nodegraph.families.registry import BUILT_IN, FAMILIES, call_family
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, PrefixCache

LOAD_MODEL = "LoadModel"
LOAD_DENOISER = "LoadDiffusionModel"
LOAD_ENCODER = "LoadTextEncoder"
LOAD_VAE = "LoadVae"
LOAD_CONTROL = "LoadControlNet"
LOAD_IP_ADAPTER = "LoadIPAdapter"
LOAD_REDUX = "LoadRedux"
LOAD_LORA = "LoadLora"
LOAD_PIPELINE = "LoadPipeline"
LOAD_INVERSION = "LoadTextualInversion"
LOAD_UPSCALER = "LoadUpscaleModel"
LOAD_VISION = "LoadVisionModel"


class StandalonePart(NamedTuple):
    """A part that a file holds.

    Attributes:
        family: One that has such a part.
        layout: How it lies there.
        prefix: Before the names of its tensors.
        node: The node that takes it.
    """

    family: Family
    layout: FileLayout
    prefix: str
    node: str


def find_denoisers(shapes: Shapes) -> list[StandalonePart]:
    """The denoiser that a file holds, for each family that it may be of; the likeliest first.

    Args:
        shapes: Of all tensors in the file.
    """
    return _in_families(LOAD_DENOISER, _of_denoiser, shapes)


def denoisers_of_class(folder: Path, class_name: str, shapes: Shapes) -> list[StandalonePart]:
    """As `find_denoisers`, of the families that have the network class that a folder's config.json
    names.

    Raises:
        InvalidFile: The families that have such tensors have other classes.
    """
    alike = find_denoisers(shapes)
    own = [part for part in alike if has_class(part.family, class_name)]
    if own or not alike:
        return own
    named = (name for name, family in FAMILIES.items() if has_class(family, class_name))
    brought = [part for name in named if (part := find_family_denoiser(name, shapes)) is not None]
    if brought:
        return brought
    classes = (name for part in alike for name in part.family.denoisers[0].classes)
    raise InvalidFile(
        f"{folder} holds {alike[0].layout.title}, but its config.json names {class_name}.",
        expected=" or ".join(dict.fromkeys(classes)),
        hint="Take the weights and config.json of one model.",
    )


def has_class(family: Family, class_name: str) -> bool:
    """Whether a family has denoisers of a class."""
    return any(class_name in part.classes for part in family.denoisers)


def find_family_denoiser(family: str, shapes: Shapes) -> StandalonePart | None:
    """The denoiser that a file holds if it is of a family; None if it isn't, or none is so
    called."""
    known = FAMILIES.get(family)
    if known is None:
        return None
    shapes = PrefixCache.of(shapes)
    identified = call_family(known, lambda each: _matching_layout(_of_denoiser(each), shapes), None)
    return None if identified is None else StandalonePart(known, *identified, LOAD_DENOISER)


def find_parts(shapes: Shapes) -> list[StandalonePart]:
    """The part that a file holds, for each family that has it: a denoiser before a text encoder,
    that before a VAE."""
    kinds = (
        (LOAD_DENOISER, _of_denoiser),
        (LOAD_ENCODER, _of_encoders),
        (LOAD_VAE, _of_vae),
    )
    return next((parts for kind in kinds if (parts := _in_families(*kind, shapes))), [])


def find_control_networks(shapes: Shapes) -> list[StandalonePart]:
    """The control network that a file holds, for each family that it may lead."""
    return _in_families(LOAD_CONTROL, _of_control, shapes)


def _in_families(
    node: str, layouts: Callable[[Family], Iterable[FileLayout]], shapes: Shapes
) -> list[StandalonePart]:
    shapes = PrefixCache.of(shapes)
    for families in (BUILT_IN, FAMILIES):
        parts = [
            StandalonePart(family, *identified, node)
            for family in families.values()
            if (
                identified := call_family(
                    family, lambda each: _matching_layout(layouts(each), shapes), None
                )
            )
            is not None
        ]
        if parts:
            return parts
    return []


def _of_denoiser(family: Family) -> Iterable[FileLayout]:
    return family.denoisers[0].files


def _of_encoders(family: Family) -> Iterable[FileLayout]:
    return [layout for part in family.encoders for layout in part.files]


def _of_control(family: Family) -> Iterable[FileLayout]:
    return () if family.control is None else family.control.files


def _of_vae(family: Family) -> Iterable[FileLayout]:
    return family.latent.files


def _matching_layout(
    layouts: Iterable[FileLayout], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[FileLayout, str] | None:
    """The first layout that matches, and the prefix that it does behind."""
    for layout in layouts:
        prefix = layout.prefix(shapes)
        if prefix is not None:
            return layout, prefix
    return None
