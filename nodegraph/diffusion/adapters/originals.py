"""What a module's layers were called by who made the model, before diffusers gave them its names.

Adapter files are often written in those names. The tables say it in the direction that is a plain
function: a layer of the module here has one original name, while an original layer may have become
several, which its rows are split among (q, k and v, mostly). Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from nodegraph.diffusion.adapters.parts import Shape
from nodegraph.diffusion.adapters.unet_names import unet_originals
from nodegraph.diffusion.single_files.original_tables import SWAPPED, TABLES

Spans = tuple[tuple[int, int], ...]
"""Rows of an original layer, from and up to, in the order that a layer here has them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A layer of a module, and which rows of an original one it holds.

    Attributes:
        path: As in `named_modules`.
        rows: Of the whole original layer.
        spans: None for all of them as they are.
    """

    path: str
    rows: int
    spans: Spans | None = None


@dataclass(frozen=True, slots=True)
class _Renaming:
    """One line of a table: pattern of layers here, and name of what they were made from."""

    pattern: re.Pattern[str]
    order: int
    original: str


def originals(kind: str, layers: Mapping[str, Shape]) -> dict[str, tuple[Place, ...]]:
    """The original layers of a module, by name, and where their rows are here.

    Args:
        kind: The module's class, such as ``FluxTransformer2DModel``; of one that isn't known
            nothing is given.
        layers: Shape of each layer's weight.
    """
    if kind == "UNet2DConditionModel":
        names = unet_originals(layers)
        return {name: (Place(path, layers[path][0]),) for path, name in names.items()}
    found: dict[str, list[tuple[int, str]]] = {}
    for path in layers:
        for renaming in _table(kind):
            match = renaming.pattern.fullmatch(path)
            if match is not None:
                name = renaming.original.format(*match.groups())
                found.setdefault(name, []).append((renaming.order, path))
    return {
        name: tuple(_places([path for _, path in sorted(parts)], kind, layers))
        for name, parts in found.items()
    }


def _places(paths: list[str], kind: str, layers: Mapping[str, Shape]) -> Iterator[Place]:
    total = sum(layers[path][0] for path in paths)
    begin = 0
    for path in paths:
        end = begin + layers[path][0]
        if _is_swapped(kind, path, layers[path]):
            yield Place(path, total, ((end // 2, end), (0, end // 2)))
        else:
            yield Place(path, total, None if len(paths) == 1 else ((begin, end),))
        begin = end


def _is_swapped(kind: str, path: str, shape: Shape) -> bool:
    """Whether diffusers has scale and shift of this modulation the other way round."""
    if kind not in SWAPPED:
        return False
    if path == "norm_out.linear":
        return True
    # Of the last block of SD 3 the text goes no further: its modulation is that of an output.
    is_last = path.endswith("norm1_context.linear") and shape[0] == 2 * shape[1]
    return kind == "SD3Transformer2DModel" and is_last


@cache
def _table(kind: str) -> tuple[_Renaming, ...]:
    return tuple(item for here, name in TABLES.get(kind, ()) for item in _renamings(here, name))


def _renamings(here: str, name: str) -> Iterator[_Renaming]:
    """The patterns of a line of a table, as that says it."""
    before, brace, rest = here.partition("{")
    joined, _, after = rest.partition("}")
    for order, part in enumerate(joined.split(",") if brace else ("",)):
        pattern = re.escape(f"{before}{part}{after}")
        for sign, meaning in _SIGNS.items():
            pattern = pattern.replace(re.escape(sign), meaning)
        yield _Renaming(re.compile(pattern), order, re.sub(r"[*@]", "{}", name))


_SIGNS = {"*": r"(\d+)", "@": "(layers|noise_refiner|context_refiner)"}
