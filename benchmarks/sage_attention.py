"""The arithmetic of SageAttention, step by step in torch, for measuring what it loses on a CPU.

It computes what the published kernels round, in the order of their blocks. It is no kernel: it is
slow, and it does not reproduce what a card leaves to its units, such as the order of sums within a
block and the 22-bit accumulators of fp8 products on Ada and Hopper.

Sources: Zhang et al. 2024, arXiv:2410.02367 (SageAttention), and arXiv:2411.10958
(SageAttention2); thu-ml/SageAttention 2.2, ``sageattention/core.py`` and ``sageattention/triton``:
which kernel a card gets, and the sizes of blocks and groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

QUERY_BLOCK, KEY_BLOCK, WARP = 128, 64, 32
"""Rows of queries and of keys that are one block, and rows of queries of one warp."""
_FP16_STEP = 16
"""Keys whose products a tensor core adds before it rounds to fp16."""
_FP8 = torch.float8_e4m3fn
_FP8_MOST = 448.0
_LOG2E = 1.4426950408889634

Groups = Callable[[int], Tensor]
"""Returns the group of each of so many rows that share a scale, int64."""


def query_blocks(rows: int) -> Tensor:
    """One group for each block of queries."""
    return torch.arange(rows) // QUERY_BLOCK


def key_blocks(rows: int) -> Tensor:
    """One group for each block of keys."""
    return torch.arange(rows) // KEY_BLOCK


def query_threads(rows: int) -> Tensor:
    """Eight groups for each warp: every eighth row."""
    row = torch.arange(rows)
    return row // WARP * 8 + row % 8


def key_threads(rows: int) -> Tensor:
    """Four groups for each block of keys: of eight rows, two neighbors."""
    row = torch.arange(rows)
    return row // KEY_BLOCK * 4 + row % 8 // 2


@dataclass(frozen=True)
class SageKernel:
    """One of the published kernels.

    Attributes:
        levels: Largest whole number of queries and keys: 127 of int8, 7 of int4.
        query_groups, key_groups: Rows that share a scale.
        values: What probabilities and values are multiplied in: fp16 with sums of one block in
            fp16, fp16 with sums in fp32, or fp8 (e4m3) with sums in fp32.
        smooth_keys: Whether the mean of the keys is subtracted, which changes no probability.
        smooth_queries: Whether the mean of each block of queries is subtracted. Its product with
            the keys is added in full precision.
    """

    levels: float
    query_groups: Groups
    key_groups: Groups
    values: Literal["fp16", "fp16+fp32", "fp8"]
    smooth_keys: bool = True
    smooth_queries: bool = False


KERNELS: Mapping[str, SageKernel] = {
    "sage 1 int8 fp16": SageKernel(127, query_blocks, key_blocks, "fp16"),
    "sage 2 int8 fp16": SageKernel(127, query_threads, key_threads, "fp16+fp32"),
    "sage 2 int8 fp8": SageKernel(127, query_threads, key_threads, "fp8"),
    "sage 2 int4 fp8": SageKernel(7, query_threads, key_threads, "fp8", smooth_queries=True),
}
"""The first paper's kernel, which ``sageattn`` of 2.2 chooses on Ampere cards of consumers; its
choices on an A100, and on Ada and Hopper; and the second paper's for int4, which it never
chooses."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, kernel: SageKernel, scale: float | None = None
) -> Tensor:
    """Compute attention as a kernel of SageAttention does.

    Args:
        query: Shape (batch, heads, queries, channels).
        key, value: Shape (batch, heads, keys, channels).
        scale: Factor of the scores. None for ``channels ** -0.5``.
    Returns:
        Float32, shaped as `query`.
    """
    factor = (query.shape[-1] ** -0.5 if scale is None else scale) * _LOG2E
    q, k = query.float(), key.float()
    if kernel.smooth_keys:
        k = k - k.mean(-2, keepdim=True)
    means = _block_means(q) if kernel.smooth_queries else None
    if means is not None:
        q = q - means
    q8, q_scale = _quantize(q, kernel.query_groups(q.shape[-2]), kernel.levels)
    k8, k_scale = _quantize(k, kernel.key_groups(k.shape[-2]), kernel.levels)
    multiply, v = _VALUES[kernel.values](value.float())
    most = torch.full((*q.shape[:-1], 1), -math.inf)
    total = torch.zeros_like(most)
    summed = torch.zeros(*q.shape[:-1], v.shape[-1])
    for begin in range(0, k.shape[-2], KEY_BLOCK):
        rows = slice(begin, begin + KEY_BLOCK)
        # Whole numbers of at most 127² × 128, which float32 holds exactly.
        scores = q8 @ k8[..., rows, :].mT * q_scale * k_scale[..., rows, :].mT
        if means is not None:
            scores = scores + means @ k[..., rows, :].mT
        scores = scores * factor
        higher = torch.maximum(most, scores.amax(-1, keepdim=True))
        shares = torch.exp2(scores - higher)
        shrink = torch.exp2(most - higher)
        total = total * shrink + shares.sum(-1, keepdim=True)
        summed = summed * shrink + multiply(shares, v[..., rows, :])
        most = higher
    return summed / total * (v.new_ones(()) if kernel.values != "fp8" else _value_scale(value))


def _block_means(query: Tensor) -> Tensor:
    rows = query.shape[-2]
    filled = pad(query, (0, 0, 0, -rows % QUERY_BLOCK))
    blocks = filled.reshape(*filled.shape[:-2], -1, QUERY_BLOCK, filled.shape[-1])
    counts = torch.full((blocks.shape[-3], 1, 1), float(QUERY_BLOCK))
    counts[-1] -= -rows % QUERY_BLOCK
    means = blocks.sum(-2, keepdim=True) / counts
    return means.expand_as(blocks).flatten(-3, -2)[..., :rows, :]


def _quantize(rows: Tensor, groups: Tensor, levels: float) -> tuple[Tensor, Tensor]:
    """Whole numbers in float32, and the scale of each row, shape (…, rows, 1)."""
    largest = rows.abs().amax(-1)
    count = int(groups.max()) + 1
    index = groups.expand_as(largest)
    by_group = torch.zeros(*largest.shape[:-1], count).scatter_reduce(-1, index, largest, "amax")
    scale = (by_group / levels + 1e-7).gather(-1, index)[..., None]
    shares = rows / scale
    # Halves are rounded away from zero.
    return torch.trunc(shares + 0.5 * torch.where(shares >= 0, 1.0, -1.0)), scale


def _in_fp16(shares: Tensor, values: Tensor) -> Tensor:
    shares = shares.half().float()
    summed = torch.zeros(*shares.shape[:-1], values.shape[-1])
    for begin in range(0, values.shape[-2], _FP16_STEP):
        step = slice(begin, begin + _FP16_STEP)
        summed = (summed + shares[..., step] @ values[..., step, :]).half().float()
    return summed


def _in_fp8(shares: Tensor, values: Tensor) -> Tensor:
    return (shares * _FP8_MOST).to(_FP8).float() @ values / _FP8_MOST


def _value_scale(value: Tensor) -> Tensor:
    """Of each channel, shape (…, 1, channels)."""
    return value.float().abs().amax(-2, keepdim=True) / _FP8_MOST


_VALUES: Mapping[str, Callable[[Tensor], tuple[Callable[[Tensor, Tensor], Tensor], Tensor]]] = {
    "fp16": lambda value: (_in_fp16, value.half().float()),
    "fp16+fp32": lambda value: (lambda p, v: p.half().float() @ v, value.half().float()),
    "fp8": lambda value: (_in_fp8, (value / _value_scale(value)).to(_FP8).float()),
}
