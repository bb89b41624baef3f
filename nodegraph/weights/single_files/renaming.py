"""From original names of tensors to those of diffusers, by `TABLES`. Imports no torch.

What a table doesn't know keeps its name, so a file that has diffusers' names already stays as it
is. diffusers' own converters of single files do the same for most of these models, but ask for one
prefix, for widths of the published models, or for tensors that some files lack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.original_tables import SWAPPED, TABLES

if TYPE_CHECKING:
    from torch import Tensor

Rows: TypeAlias = "slice | None"
"""Of an original tensor that become one here; None for all of them as they are."""

_STACKS = ("layers", "noise_refiner", "context_refiner")
_MLP = "proj_mlp"


def rename_tensors(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors of a file under diffusers' names; views of those given, for the most part.

    Args:
        kind: The class of diffusers that they are for, such as ``WanTransformer3DModel``.
    """
    converted = {}
    for name, new, rows in _places({name: tuple(t.shape) for name, t in tensors.items()}, kind):
        tensor = tensors[name] if rows is None else tensors[name][rows]
        converted[new] = (
            swap_scale_shift(tensor) if _is_swapped(new, kind) and new != name else tensor
        )
    return converted


def rename_shapes(shapes: Shapes, kind: str) -> dict[str, tuple[int, ...]]:
    """As `renamed`, of shapes alone."""
    shapes_by_name = {}
    for name, new, rows in _places(shapes, kind):
        shape = shapes[name]
        shapes_by_name[new] = shape if rows is None else (rows.stop - rows.start, *shape[1:])
    return shapes_by_name


def _places(shapes: Shapes, kind: str) -> Iterator[tuple[str, str, Rows]]:
    """Of each tensor in a file: its name, each name that it has here, and rows of that."""
    for name, shape in shapes.items():
        stem, _, end = name.rpartition(".")
        news = _known(stem, kind)
        if whole := _known(name, kind):
            yield name, whole[0], None
        elif not news or not shape:
            yield name, name, None
        elif len(news) == 1:
            yield name, f"{news[0]}.{_END.get(end, end)}", None
        else:
            wide = shapes.get(f"{stem}.weight", shape)[-1]
            for new, rows in zip(news, _rows(news, shape[0], wide), strict=True):
                yield name, f"{new}.{end}", rows


_END = {"scale": "weight"}
"""Original code calls the weights of norms so."""


def _known(original: str, kind: str) -> tuple[str, ...]:
    """The names here of a layer or tensor; empty where the table doesn't know it.

    A number in a name is one of many blocks, or part of a name that the table has as it stands,
    such as ``mlp.0``.
    """
    table, match = _by_original(kind), _NUMBER.search(original)
    if match is not None:
        blocks = f"{original[: match.start()]}*{original[match.end() :]}"
        if blocks in table:
            return tuple(new.replace("*", match[0]) for new in table[blocks])
    return table.get(original, ())


_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def _rows(layers: Sequence[str], total: int, wide: int) -> Iterator[slice]:
    """Rows of an original layer that go to each of several.

    Queries are as wide as what they are made of. So are keys and values, unless several heads
    share them; and beside a layer of an MLP, which has the rest.
    """
    count = len(layers)
    if layers[-1].endswith(_MLP):
        sizes = [wide] * (count - 1) + [total - wide * (count - 1)]
    elif count == 3:
        sizes = [wide, (total - wide) // 2, (total - wide) // 2]
    else:
        sizes = [total // count] * count
    begin = 0
    for size in sizes:
        yield slice(begin, begin + size)
        begin += size


def _is_swapped(name: str, kind: str) -> bool:
    """Whether diffusers has scale and shift of that modulation the other way round."""
    return kind in SWAPPED and name.startswith("norm_out.linear.")


def swap_scale_shift(tensor: Tensor) -> Tensor:
    """A modulation's tensor with its two halves, scale and shift, the other way round."""
    import torch

    return torch.cat(tensor.chunk(2)[::-1])


@cache
def _by_original(kind: str) -> dict[str, tuple[str, ...]]:
    """Names here by the original one, in the order of its rows."""
    names: dict[str, tuple[str, ...]] = {}
    for here, original in TABLES.get(kind, ()):
        for stack in _STACKS if "@" in original else ("",):
            names[original.replace("@", stack)] = tuple(_parts(here.replace("@", stack)))
    return names


def _parts(here: str) -> Iterator[str]:
    before, brace, remaining = here.partition("{")
    joined, _, after = remaining.partition("}")
    for part in joined.split(",") if brace else ("",):
        yield f"{before}{part}{after}"
