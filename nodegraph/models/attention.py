"""Attention in slices, or by a kernel that is named: the same result but for the last bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

SLICE = 2**24
"""Scores of queries against keys that are held at once: 64 MiB in float32."""


class SlicedAttention(TorchFunctionMode):
    """Inside the `with`, this thread's attention takes some queries at a time.

    The queries don't depend on each other, so modules need not know of it and stay as they are.
    Kernels that hold all scores, as those for odd shapes and on some devices do, then need a
    bounded memory for them.
    """

    def __init__(self, scores: int = SLICE) -> None:
        super().__init__()
        self._scores = scores

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is scaled_dot_product_attention:
            return _sliced(self._scores, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class NamedAttention(TorchFunctionMode):
    """Inside the `with`, this thread's attention is computed by a kernel that is named.

    Args:
        kernel: ``math``, which any device has, or ``flash``, ``efficient`` or ``cudnn`` on CUDA.
    """

    def __init__(self, kernel: str) -> None:
        super().__init__()
        self._kernel = kernel

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is not scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        if self._kernel == "math":
            return _plain(*args, **(kwargs or {}))
        with _KERNEL_LOCK, sdpa_kernel(_KERNELS[self._kernel]):
            return func(*args, **(kwargs or {}))


_KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}
_KERNEL_LOCK = Lock()
"""Held while a kernel is chosen, as torch keeps the choice for the whole process."""


def using_attention(kind: str) -> AbstractContextManager[object]:
    """Inside, this thread computes attention in a way.

    Args:
        kind: ``auto``, ``sliced``, or a kernel of `NamedAttention`.
    """
    if kind == "auto":
        return nullcontext()
    return SlicedAttention() if kind == "sliced" else NamedAttention(kind)


def _plain(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    # Not by `sdpa_kernel`, which would choose for other threads, too. So masks come as they are.
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        bias = torch.zeros_like(attn_mask, dtype=query.dtype)
        attn_mask = bias.masked_fill(~attn_mask, -math.inf)
    attended: Tensor = torch.ops.aten._scaled_dot_product_attention_math(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )[0]
    return attended


def _sliced(
    scores: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    rows = max(1, scores // max(1, query[..., 0, 0].numel() * key.shape[-2]))
    if is_causal or rows >= query.shape[-2]:
        return scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, **options
        )
    parts = []
    for start in range(0, query.shape[-2], rows):
        end = start + rows
        mask = attn_mask
        if mask is not None and mask.shape[-2] != 1:
            mask = mask[..., start:end, :]
        parts.append(
            scaled_dot_product_attention(
                query[..., start:end, :], key, value, mask, dropout_p, **options
            )
        )
    return torch.cat(parts, dim=-2)
