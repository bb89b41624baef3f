"""NABLA: attention of long videos to the blocks of tokens that matter. Imports no torch.

Each block of 8 x 8 tokens of a frame attends to its neighbours in time and space, and to those
other blocks that most of its attention goes to.

Source: Mikhailov et al. 2025, arXiv:2507.13546; as diffusers' pipelines of Kandinsky 5 have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 8
"""Tokens along a block's side."""


def is_sparse(config: Mapping[str, Any]) -> bool:
    """Whether a transformer attends so, by its configuration."""
    return config.get("attention_type") == "nabla"


def nabla_parameters(
    config: Mapping[str, Any], shape: tuple[int, int, int], device: torch.device
) -> dict[str, Any] | None:
    """Return what a transformer takes for it; None if it attends to all tokens.

    Args:
        config: The transformer's.
        shape: Of the video in tokens: frames, height and width; the last two multiples of `BLOCK`.
    """
    if not is_sparse(config):
        return None
    blocks = shape[0], shape[1] // BLOCK, shape[2] // BLOCK
    reach = tuple(int(config[f"attention_w{axis}"]) for axis in ("T", "H", "W"))
    return {
        "sta_mask": neighbours(blocks, reach, device)[None, None],
        "to_fractal": True,
        "P": config["attention_P"],
    }


def neighbours(blocks: tuple[int, ...], reach: tuple[int, ...], device: torch.device) -> Tensor:
    """Return which blocks are neighbours: boolean, shape (blocks, blocks) of all blocks.

    Args:
        blocks: Along time, height and width.
        reach: Blocks of a neighbourhood along each, with the block itself in the middle.
    """
    total = torch.ones(1, 1, dtype=torch.bool, device=device)
    for count, width in zip(blocks, reach, strict=True):
        positions = torch.arange(count, device=device)
        near = (positions[:, None] - positions[None]).abs() <= width // 2
        size = len(total) * count
        total = (total[:, None, :, None] & near[None, :, None, :]).reshape(size, size)
    return total


@contextmanager
def sparse_attention(blocks: Any, *, enabled: bool) -> Iterator[None]:
    """Have blocks attend by FlexAttention for one call: of torch's kernels it alone takes blocks.

    Args:
        blocks: Of a transformer, each with a ``self_attention``.
    """
    if not enabled:
        yield
        return
    processors = [block.self_attention.processor for block in blocks]
    usual = [processor._attention_backend for processor in processors]
    for processor in processors:
        processor._attention_backend = "flex"
    try:
        yield
    finally:
        for processor, backend in zip(processors, usual, strict=True):
            processor._attention_backend = backend
