"""Files of textual inversions: learnt words for text encoders. Imports no torch.

Source: Gal et al. 2022, arXiv:2208.01618. A file holds one matrix for each text encoder that has
learnt the word: a row for each token that it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.values import TextEncoder
from nodegraph.errors import InvalidFile
from nodegraph.models.adapters.matching import ModuleLayers
from nodegraph.models.adapters.recipe_layers import recipe_layers
from nodegraph.models.adapters.stems import ENCODERS
from nodegraph.weights.file_kinds import SAFETENSORS, file_suffix
from nodegraph.weights.safetensors_header import read_header

INVERSION = "textual inversion"
"""Kind of an adapter that is a word in prompts."""

_MAX_TOKENS = 750
"""Ten windows of CLIP's: a word of more than one goes on in the next. What is longer is something
else."""
_NAMED = {"clip_l": ("text_encoder",), "clip_g": ("text_encoder_2",)}
"""Encoders that a tensor is for, by its name; any other is for the first of its width."""
_UNNAMED = "emb_params"
_EMBEDDING = "embeddings.token_embedding"


@dataclass(frozen=True, slots=True)
class InversionFile:
    """What is in a file.

    Attributes:
        widths: Of each tensor's rows, by its name.
        token: The word that it was learnt as, or the file's name.
    """

    path: Path
    widths: Mapping[str, int]
    token: str


def read_inversion(path: Path) -> InversionFile:
    """What is in a file, by its header.

    Raises:
        InvalidFile: It can't be read, is damaged, or holds no textual inversion.
    """
    if file_suffix(path) != SAFETENSORS:
        raise InvalidFile(f"{path} is no textual inversion.", expected="a .safetensors file")
    shapes = read_header(path).shapes
    fits = all(
        len(shape) == 1 or (len(shape) == 2 and 0 < shape[0] <= _MAX_TOKENS)
        for shape in shapes.values()
    )
    known = shapes.keys() <= {_UNNAMED, *_NAMED}
    if not shapes or not fits or not (known or len(shapes) == 1):
        raise InvalidFile(
            f"{path} holds no textual inversion.",
            given=f"tensors such as {min(shapes, default='none')}",
            expected=f"a tensor called {_UNNAMED}, {' and '.join(_NAMED)}, or the only one",
        )
    own = path.stem if known else next(iter(shapes))
    return InversionFile(path, {name: shape[-1] for name, shape in shapes.items()}, own)


def match_encoders(file: InversionFile, widths: Mapping[str, int]) -> dict[str, str]:
    """The tensor for each text encoder that one is for.

    Args:
        widths: Of the encoders' embeddings, by role.
    Raises:
        InvalidFile: None is for any of them.
    """
    tensors_by_role: dict[str, str] = {}
    for tensor, width in file.widths.items():
        for role in _NAMED.get(tensor, ENCODERS):
            if widths.get(role) == width and role not in tensors_by_role:
                tensors_by_role[role] = tensor
                break
    if not tensors_by_role:
        raise InvalidFile(
            f"nothing in {file.path} is for this text encoder.",
            given=f"embeddings {' and '.join(map(str, file.widths.values()))} wide",
            expected=f"{' or '.join(map(str, widths.values())) or 'an encoder of the CLIP kind'}",
            hint="Use it with the kind of model that it was made for.",
        )
    return tensors_by_role


def embedding_widths(recipe: TextEncoder) -> dict[str, int] | None:
    """Widths of the embeddings of a recipe's CLIP encoders, by role, from headers.

    Returns:
        None where only loading it would tell.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    layers = recipe_layers(recipe)
    return (
        None
        if layers is None
        else {
            role: width
            for role, layer_shapes in layers.items()
            if (width := _width(layer_shapes)) is not None
        }
    )


def _width(layers: ModuleLayers) -> int | None:
    ends = (shape for path, shape in layers.shapes.items() if path.endswith(_EMBEDDING))
    return next((shape[1] for shape in ends), None)
