"""Adapter files with random content, as the tools write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import Adapter
from nodegraph.models.adapters.layer_changes import layers_of
from nodegraph.models.adapters.layer_matching import originals, originals_of
from nodegraph.models.adapters.tensor_names import Shape
from nodegraph.weights.single_files.base import OriginalNames

RANK, ALPHA = 2, 3.0

Pairs = dict[str, tuple[Tensor, Tensor]]
"""Down and up, by the name of a layer."""


def own_pairs(module: nn.Module) -> Pairs:
    """A pair for each linear and convolutional layer, by diffusers' names."""
    return _pairs(
        (path, shape) for path, shape in layers_of(module).shapes.items() if len(shape) > 1
    )


def original_pairs(module: nn.Module, names: OriginalNames | None = None) -> Pairs:
    """A pair for each layer as it was in the original model, whole.

    Args:
        names: Of the original, where the module's class has several.
    """
    layers = layers_of(module)
    places = (
        originals(layers.kind, layers.shapes)
        if names is None
        else originals_of(names, layers.shapes)
    )
    taken = {part.path for parts in places.values() for part in parts}
    kept = [(path, shape) for path, shape in layers.shapes.items() if path not in taken]
    named = [
        (name, (parts[0].rows, *layers.shapes[parts[0].path][1:])) for name, parts in places.items()
    ]
    return _pairs((name, shape) for name, shape in (*kept, *named) if len(shape) > 1)


def original_names(module: nn.Module) -> list[str]:
    """What the module's layers were called by who made the model; those that kept their names."""
    layers = layers_of(module)
    places = originals(layers.kind, layers.shapes)
    taken = {part.path for parts in places.values() for part in parts}
    return [*places, *(path for path in layers.shapes if path not in taken)]


def _pairs(shapes: Iterable[tuple[str, Shape]]) -> Pairs:
    return {
        name: (
            torch.randn(RANK, *shape[1:]) * 0.1,
            torch.randn(shape[0], RANK, *(1 for _ in shape[2:])) * 0.1,
        )
        for name, shape in shapes
    }


def peft_file(pairs: Pairs, prefix: str) -> dict[str, Tensor]:
    """As diffusers writes it."""
    found = {}
    for name, (down, up) in pairs.items():
        found[f"{prefix}{name}.lora_A.weight"] = down
        found[f"{prefix}{name}.lora_B.weight"] = up
    return found


def dotted_file(pairs: Pairs, prefix: str) -> dict[str, Tensor]:
    """With kohya's names of the matrices, and an alpha."""
    found = {}
    for name, (down, up) in pairs.items():
        found[f"{prefix}{name}.lora_down.weight"] = down
        found[f"{prefix}{name}.lora_up.weight"] = up
        found[f"{prefix}{name}.alpha"] = torch.tensor(ALPHA)
    return found


def flat_file(pairs: Pairs, prefix: str) -> dict[str, Tensor]:
    """As kohya writes it: with underscores."""
    return dotted_file({name.replace(".", "_"): pair for name, pair in pairs.items()}, prefix)


def saved(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> Path:
    """Write a file; gives its path."""
    save_file(
        {name: tensor.contiguous().clone() for name, tensor in tensors.items()},
        path,
        dict(metadata) if metadata else None,
    )
    return path


def adapter(path: Path, strength: float = 1.0, *, kind: str = "lora") -> Adapter:
    """What a recipe holds for a file."""
    return Adapter(kind, str(path), FILE_DIGESTS.digest(path), strength)
