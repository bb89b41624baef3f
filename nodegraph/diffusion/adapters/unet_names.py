"""What the layers of a UNet were called in the latent-diffusion code.

There all blocks of a side are in one row: ``input_blocks.4.1`` is the second part (the attention)
of the fifth. How many a level has differs between models, so the names are counted out from the
layers that are there. Imports no torch.

Source: https://github.com/CompVis/latent-diffusion, `openaimodel.py`; checked against diffusers'
converter of single files in tests/diffusion/adapters.
"""

from __future__ import annotations

import re
from collections.abc import Collection

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
    places = {"down": _places(layers, "down", 1), "up": _places(layers, "up", 0)}
    found = {path: _PLAIN[path] for path in layers if path in _PLAIN}
    for path in layers:
        match = _BLOCK.fullmatch(path)
        if match is not None:
            side, level, part, index, rest = match.groups()
            place = places[side].get((int(level), part, int(index)))
            if place is not None:
                found[path] = f"{place}.{_renamed(part, rest)}"
            continue
        match = _MIDDLE_BLOCK.fullmatch(path)
        if match is not None and match[1] in _MIDDLE:
            part = match[1].partition(".")[0]
            found[path] = f"middle_block.{_MIDDLE[match[1]]}.{_renamed(part, match[2])}"
    return found


def _renamed(part: str, rest: str) -> str:
    if part == "resnets":
        return _IN_RESNET.get(rest, rest)
    return "op" if part == "downsamplers" else rest


def _places(layers: Collection[str], side: str, first: int) -> dict[tuple[int, str, int], str]:
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
    place = first
    for level in sorted({level for level, _, _ in parts}):
        has_attention = (level, "attentions", 0) in parts
        count = sum((level, "resnets", index) in parts for index in range(len(parts)))
        for index in range(count):
            found[level, "resnets", index] = f"{row}.{place}.0"
            found[level, "attentions", index] = f"{row}.{place}.1"
            place += 1
        # What halves the size is a block of its own; what doubles it is in the last one.
        if (level, "downsamplers", 0) in parts:
            found[level, "downsamplers", 0] = f"{row}.{place}.0"
            place += 1
        found[level, "upsamplers", 0] = f"{row}.{place - 1}.{2 if has_attention else 1}"
    return found
