"""The layers of a recipe's modules, from its files' headers: nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nodegraph.core.values import Recipe, Vae
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.adapters.matching import ModuleLayers
from nodegraph.diffusion.adapters.parts import Shape
from nodegraph.diffusion.checkpoint_parts import (
    CHECKPOINT,
    checkpoint_part,
    part_prefix,
    recipe_parts,
)
from nodegraph.diffusion.models import SAFETENSORS, header_of
from nodegraph.diffusion.safetensors_header import read_header

_WEIGHT = ".weight"


def recipe_layers(recipe: Recipe) -> dict[str, ModuleLayers] | None:
    """The layers that an adapter may change, by the role of the module, such as ``unet``.

    Returns:
        None where only loading it would tell.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    if recipe.paths(CHECKPOINT):
        return _of_checkpoint(recipe)
    found = {}
    for role in dict.fromkeys(file.role for file in recipe.files):
        paths = [Path(path) for path in recipe.paths(role)]
        config = [path for path in paths if path.name == layout.CONFIG]
        weights = [path for path in paths if path.suffix != ".json"]
        if not config or not weights or role.startswith("tokenizer"):
            continue
        if any(path.suffix != SAFETENSORS for path in weights):
            return None
        shapes = {
            name: shape for path in weights for name, shape in read_header(path).shapes.items()
        }
        found[role] = ModuleLayers(_kind(config[0]), _layers(shapes))
    return found


def _kind(config: Path) -> str:
    given = layout.read_config(config)
    return str(given.get("_class_name") or next(iter(given.get("architectures") or ()), ""))


def _layers(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {
        name.removesuffix(_WEIGHT): shape
        for name, shape in shapes.items()
        if name.endswith(_WEIGHT) and shape
    }


def _of_checkpoint(recipe: Recipe) -> dict[str, ModuleLayers] | None:
    """Of a file in the names of who made the model: these are converted as if it were loaded."""
    import torch

    if isinstance(recipe, Vae):
        return None
    (path,) = recipe.paths(CHECKPOINT)
    shapes = header_of(Path(path)).shapes
    found = {}
    for part in recipe_parts(recipe):
        prefix = part_prefix(recipe, part, shapes)
        tensors = {
            name: torch.empty(shape, device="meta")
            for name, shape in shapes.items()
            if name.startswith(prefix)
        }
        made = checkpoint_part(part, shapes, prefix)
        named = {name: tuple(item.shape) for name, item in made.convert(tensors).items()}
        found[part.role] = ModuleLayers(made.class_name, _layers(named))
    return found
