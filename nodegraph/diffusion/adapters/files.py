"""Adapter files: finding them, and what can be told of them by their headers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodegraph.diffusion.adapters.guessing import guess
from nodegraph.diffusion.adapters.matching import Matched
from nodegraph.diffusion.adapters.parts import LayerParts, layer_parts
from nodegraph.diffusion.safetensors_header import read_header
from nodegraph.errors import InvalidFile

_SAFETENSORS = ".safetensors"


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """What is in an adapter file.

    Attributes:
        parts: The changes, by what the file calls the layers.
        others: Names of tensors that are no part of a change that is known here.
        metadata: The file's free text.
    """

    path: Path
    parts: Mapping[str, LayerParts]
    others: tuple[str, ...]
    metadata: Mapping[str, str]

    @property
    def title(self) -> str | None:
        """What kind of model it seems to be for, in words; None if that can't be told."""
        found = guess(self.parts)
        return None if found is None else found.title


def read_adapter(path: Path) -> AdapterFile:
    """What is in an adapter file, by its header.

    Raises:
        InvalidFile: It can't be read, is damaged, or holds no adapter.
    """
    if path.suffix != _SAFETENSORS:
        raise InvalidFile(f"{path} is no adapter file.", expected="a .safetensors file")
    header = read_header(path)
    parts, others = layer_parts(header.shapes)
    if not parts:
        example = next(iter(sorted(header.shapes)), "nothing")
        raise InvalidFile(
            f"{path} holds no LoRA, LoHa, LoKr or DoRA.",
            given=f"tensors such as {example}",
            expected="pairs of small matrices for the layers of a model",
            hint="If it is a whole model, open it with LoadModel.",
        )
    return AdapterFile(path, parts, tuple(others), header.metadata)


def nothing_applies(file: AdapterFile, matched: Matched) -> InvalidFile:
    """The refusal of a file of which nothing is for a model."""
    first = next(iter(matched.misfits or matched.unknown or matched.elsewhere), "")
    if matched.misfits:
        reason = f"its {len(matched.misfits)} layers are of another size, such as {first}"
    elif matched.unknown:
        reason = f"the model has none of its {len(matched.unknown)} layers, such as {first}"
    else:
        reason = f"its {len(matched.elsewhere)} layers are of other parts, such as {first}"
    title = file.title
    return InvalidFile(
        f"nothing in {file.path} is for this model: {reason}.",
        given=None if title is None else f"what seems to be for {title}",
        hint="Use it with the kind of model that it was made for.",
    )
