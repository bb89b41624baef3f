"""Which network that masks the foreground a file holds, by its tensors' names and shapes.

Imports no torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Shapes = Mapping[str, Sequence[int]]
BIREFNET, U2NET = "BiRefNet", "U2Net"
STAGES = ("1", "2", "3", "4", "5", "6", "5d", "4d", "3d", "2d", "1d")
"""Of a U²-Net: down, and up again."""

_WRAPPED = re.compile(r"^(?:module\.|_orig_mod\.)+")
"""What training on several devices, and torch.compile, put before names."""
_TABLE = "bb.layers.{}.blocks.0.attn.relative_position_bias_table"
_BLOCK = "decoder.decoder_block4."
_BRANCH = _BLOCK + "dec_att.aspp_deforms.{}.atrous_conv.regular_conv.weight"


@dataclass(frozen=True)
class BiRefNetShape:
    """What tells one BiRefNet from another.

    Attributes:
        width: Channels of the first stage of its Swin transformer.
        depths, heads: Of that one's four stages: layers, and heads of attention.
        window: Side of the windows within which it attends, in patches.
        inner, branch: Channels within blocks of the decoder, and of each branch in them.
        kernels: Sides of the branches' deformable convolutions.
        seen: Channels between the two convolutions that the picture's patches pass.
    """

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    inner: int
    branch: int
    kernels: tuple[int, ...]
    seen: int


@dataclass(frozen=True)
class U2NetShape:
    """What tells one network of U²-Net's kind from another.

    Attributes:
        stages: Channels that each of `STAGES` takes, has within, and gives.
        stem: Channels of the convolution before the first one, of stride 2; None without, as in
            U²-Net itself. ISNet and RMBG-1.4 have it.
        fused: Whether a last convolution joins the answers of all scales.
    """

    stages: tuple[tuple[int, int, int], ...]
    stem: int | None
    fused: bool


def plain_name(name: str) -> str:
    """A tensor's name without what wrappers of networks put before it."""
    return _WRAPPED.sub("", name)


def birefnet_shape(shapes: Shapes) -> BiRefNetShape | None:
    """The BiRefNet that tensors of these names and shapes are of; None of any other network's."""
    plain = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    try:
        tables = [plain[_TABLE.format(stage)] for stage in range(4)]
        return BiRefNetShape(
            width=plain["bb.patch_embed.proj.weight"][0],
            depths=tuple(_depth(plain, stage) for stage in range(4)),
            heads=tuple(table[1] for table in tables),
            window=(math.isqrt(tables[0][0]) + 1) // 2,
            inner=plain[_BLOCK + "conv_in.weight"][0],
            branch=plain[_BRANCH.format(0)][0],
            kernels=tuple(_kernels(plain)),
            seen=plain["decoder.ipt_blk5.conv1.weight"][0],
        )
    except (KeyError, IndexError):
        return None


def _depth(shapes: Shapes, stage: int) -> int:
    names = (f"bb.layers.{stage}.blocks.{at}.norm1.weight" for at in range(len(shapes)))
    return next(at for at, name in enumerate(names) if name not in shapes)


def _kernels(shapes: Shapes) -> Iterator[int]:
    for at in range(len(shapes)):
        if _BRANCH.format(at) not in shapes:
            return
        yield shapes[_BRANCH.format(at)][-1]


def u2net_shape(shapes: Shapes) -> U2NetShape | None:
    """The network of U²-Net's kind that tensors are of; None of any other network's."""
    plain = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    try:
        stages = tuple(_stage(plain, name) for name in STAGES)
        stem = plain["conv_in.weight"][0] if "conv_in.weight" in plain else None
        answers = plain["side1.weight"][0]
    except (KeyError, IndexError):
        return None
    return U2NetShape(stages, stem, "outconv.weight" in plain) if answers == 1 else None


def _stage(shapes: Shapes, name: str) -> tuple[int, int, int]:
    entry_shape, first = (
        shapes[f"stage{name}.rebnconv{which}.conv_s1.weight"] for which in ("in", "1")
    )
    return entry_shape[1], first[0], entry_shape[0]


def foreground_class(shapes: Shapes) -> str | None:
    """Which of the networks here tensors are of; None of any other's."""
    if birefnet_shape(shapes) is not None:
        return BIREFNET
    return U2NET if u2net_shape(shapes) is not None else None


def is_foreground(shapes: Shapes) -> bool:
    """Whether tensors are of a network that masks the foreground."""
    return foreground_class(shapes) is not None


def published_preparation(shapes: Shapes) -> Mapping[str, Any]:
    """How pictures are prepared for a network, as a ``preprocessor_config.json`` says it.

    Source: the examples published with each of them.
    """
    shape = u2net_shape(shapes)
    if shape is None:
        return _IMAGENET
    return _IMAGENET | _side(320) if shape.stem is None else _CENTRED


def _side(pixels: int) -> dict[str, Any]:
    return {"size": {"height": pixels, "width": pixels}}


_IMAGENET: dict[str, Any] = {
    **_side(1024), "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
}  # fmt: skip
_CENTRED: Mapping[str, Any] = MappingProxyType(
    {**_side(1024), "image_mean": [0.5] * 3, "image_std": [1.0] * 3}
)
