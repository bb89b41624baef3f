"""The layers of a recipe's modules, from its files' headers: nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nodegraph.core.values import Recipe, Vae
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Part
from nodegraph.families.checkpoint_parts import (
    CHECKPOINT,
    checkpoint_part,
    part_prefix,
    recipe_parts,
)
from nodegraph.models.adapters.matching import ModuleLayers
from nodegraph.models.adapters.parts import Shape
from nodegraph.weights.file_kinds import SAFETENSORS, file_suffix
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.safetensors_header import read_header

_WEIGHT = ".weight"


def recipe_layers(recipe: Recipe) -> dict[str, ModuleLayers] | None:
    """The layers that an adapter may change, by the role of the module, such as ``unet``.

    Returns:
        None where only loading it would tell.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    layers = {}
    for part in recipe_parts(recipe):
        paths = [Path(path) for path in recipe.paths(part.role)]
        config = [path for path in paths if path.name == layout.CONFIG]
        weights = [path for path in paths if path.suffix != ".json"]
        if config and any(file_suffix(path) != SAFETENSORS for path in weights):
            return None
        if config:
            shapes = {
                name: shape for path in weights for name, shape in read_header(path).shapes.items()
            }
            layers[part.role] = ModuleLayers(_kind(config[0]), _layers(shapes))
            continue
        alone = [*weights, *map(Path, recipe.paths(CHECKPOINT))]
        if alone and isinstance(recipe, Vae):
            return None
        if alone:
            layers[part.role] = _without_config(recipe, part, alone[0])
    return layers


def _kind(config: Path) -> str:
    settings = layout.read_config(config)
    return str(settings.get("_class_name") or next(iter(settings.get("architectures") or ()), ""))


def _layers(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {
        name.removesuffix(_WEIGHT): shape
        for name, shape in shapes.items()
        if name.endswith(_WEIGHT) and shape
    }


def _without_config(recipe: Recipe, part: Part, path: Path) -> ModuleLayers:
    """Of a file in the names of who made the model: these are converted as if it were loaded."""
    import torch

    shapes = header_of(path).shapes
    prefix = part_prefix(recipe, part, shapes)
    tensors = {
        name: torch.empty(shape, device="meta")
        for name, shape in shapes.items()
        if name.startswith(prefix)
    }
    made = checkpoint_part(part, shapes, prefix)
    named = {name: tuple(item.shape) for name, item in made.convert(tensors).items()}
    return ModuleLayers(made.class_name, _layers(named))
