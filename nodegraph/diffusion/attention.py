"""Attention in slices: less memory at once, the same result but for the last bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
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
