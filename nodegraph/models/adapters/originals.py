"""What a module's layers were called by who made the model, before diffusers gave them its names.

Adapter files are often written in those names. The tables say it in the direction that is a plain
function: a layer of the module here has one original name, while an original layer may have become
several, which its rows are split among (q, k and v, mostly). Imports no torch.

UNets have no table. In the latent-diffusion code all blocks of a side are in one row:
``input_blocks.4.1`` is the second part (the attention) of the fifth. How many a level has differs
between models, so the names are counted out from the layers that are there.

Source: https://github.com/CompVis/latent-diffusion, `openaimodel.py`; checked against diffusers'
converter of single files in tests/diffusion/adapters.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from nodegraph.models.adapters.parts import Shape
from nodegraph.weights.single_files.original_tables import SWAPPED, TABLES

_PLAIN = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_IN_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)")
_MIDDLE_BLOCK = re.compile(r"mid_block\.(\w+\.\d+)\.(.+)")


def unet_originals(layers: Collection[str]) -> dict[str, str]:
    """The original name of each layer of a UNet that had one."""
    places = {"down": _sampler_layers(layers, "down", 1), "up": _sampler_layers(layers, "up", 0)}
    original_names = {path: _PLAIN[path] for path in layers if path in _PLAIN}
    for path in layers:
        match = _BLOCK.fullmatch(path)
        if match is not None:
            side, level, part, index, suffix = match.groups()
            original = places[side].get((int(level), part, int(index)))
            if original is not None:
                original_names[path] = f"{original}.{_renamed(part, suffix)}"
            continue
        match = _MIDDLE_BLOCK.fullmatch(path)
        if match is not None and match[1] in _MIDDLE:
            part = match[1].partition(".")[0]
            original_names[path] = f"middle_block.{_MIDDLE[match[1]]}.{_renamed(part, match[2])}"
    return original_names


def _renamed(part: str, suffix: str) -> str:
    if part == "resnets":
        return _IN_RESNET.get(suffix, suffix)
    return "op" if part == "downsamplers" else suffix


def _sampler_layers(
    layers: Collection[str], side: str, first: int
) -> dict[tuple[int, str, int], str]:
    """Where each part of a side's blocks is in its row.

    Args:
        first: Place of the first one.
    """
    parts = {
        (int(match[2]), match[3], int(match[4]))
        for match in map(_BLOCK.fullmatch, layers)
        if match is not None and match[1] == side
    }
    row = "input_blocks" if side == "down" else "output_blocks"
    found = {}
    block_index = first
    for level in sorted({level for level, _, _ in parts}):
        has_attention = (level, "attentions", 0) in parts
        count = sum((level, "resnets", index) in parts for index in range(len(parts)))
        for index in range(count):
            found[level, "resnets", index] = f"{row}.{block_index}.0"
            found[level, "attentions", index] = f"{row}.{block_index}.1"
            block_index += 1
        # What halves the size is a block of its own; what doubles it is in the last one.
        if (level, "downsamplers", 0) in parts:
            found[level, "downsamplers", 0] = f"{row}.{block_index}.0"
            block_index += 1
        found[level, "upsamplers", 0] = f"{row}.{block_index - 1}.{2 if has_attention else 1}"
    return found


Spans = tuple[tuple[int, int], ...]
"""Rows of an original layer, from and up to, in the order that a layer here has them."""


@dataclass(frozen=True, slots=True)
class OriginalLocation:
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


def originals(kind: str, layers: Mapping[str, Shape]) -> dict[str, tuple[OriginalLocation, ...]]:
    """The original layers of a module, by name, and where their rows are here.

    Args:
        kind: The module's class, such as ``FluxTransformer2DModel``; of one that isn't known
            nothing is given.
        layers: Shape of each layer's weight.
    """
    if kind == "UNet2DConditionModel":
        names = unet_originals(layers)
        return {name: (OriginalLocation(path, layers[path][0]),) for path, name in names.items()}
    originals_by_name: dict[str, list[tuple[int, str]]] = {}
    for path in layers:
        for renaming in _table(kind):
            match = renaming.pattern.fullmatch(path)
            if match is not None:
                name = renaming.original.format(*match.groups())
                originals_by_name.setdefault(name, []).append((renaming.order, path))
    return {
        name: tuple(_row_locations([path for _, path in sorted(parts)], kind, layers))
        for name, parts in originals_by_name.items()
    }


def _row_locations(
    paths: list[str], kind: str, layers: Mapping[str, Shape]
) -> Iterator[OriginalLocation]:
    total = sum(layers[path][0] for path in paths)
    begin = 0
    for path in paths:
        end = begin + layers[path][0]
        if _is_swapped(kind, path, layers[path]):
            yield OriginalLocation(path, total, ((end // 2, end), (0, end // 2)))
        else:
            yield OriginalLocation(path, total, None if len(paths) == 1 else ((begin, end),))
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
    before, brace, remaining = here.partition("{")
    joined, _, after = remaining.partition("}")
    for order, part in enumerate(joined.split(",") if brace else ("",)):
        pattern = re.escape(f"{before}{part}{after}")
        for sign, meaning in _SIGNS.items():
            pattern = pattern.replace(re.escape(sign), meaning)
        yield _Renaming(re.compile(pattern), order, re.sub(r"[*@]", "{}", name))


_SIGNS = {"*": r"(\d+)", "@": "(layers|noise_refiner|context_refiner)"}
