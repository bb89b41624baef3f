"""Attention in slices, or by a kernel that is named: the same result but for the last bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from nodegraph.errors import InvalidValue
from nodegraph.families.speed_options import KERNEL_PACKAGES

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

    A kernel of a package takes the calls that it can compute, and torch the others: those with a
    mask, with large heads or in float32, for most.

    Args:
        kernel: ``math``, which any device has; ``flash``, ``efficient`` or ``cudnn`` on CUDA; or
            one of `KERNEL_PACKAGES`.
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
        if self._kernel in KERNEL_PACKAGES:
            attended = _by_package(self._kernel, *args, **(kwargs or {}))
            return func(*args, **(kwargs or {})) if attended is None else attended
        with _KERNEL_LOCK, sdpa_kernel(_KERNELS[self._kernel]):
            return func(*args, **(kwargs or {}))


_KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}
_HALF = (torch.float16, torch.bfloat16)
_AXES = 4
"""Of queries: batch, heads, tokens and channels."""
_SAGE_WIDTHS = (64, 96, 128)
"""Channels of a head that every version of SageAttention takes."""
_FLASH_WIDTH = 256
"""The most channels of a head that FlashAttention 2 takes."""
_KERNEL_LOCK = Lock()
"""Held while a kernel is chosen, as torch keeps the choice for the whole process."""


def using_attention(kind: str) -> AbstractContextManager[object]:
    """Inside, this thread computes attention in a way.

    Args:
        kind: ``auto``, ``sliced``, or a kernel of `NamedAttention`. Its package is installed, as
            `usable_attention` finds.
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


def _by_package(
    kernel: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """Attention by a package's kernel; None if it cannot compute this call.

    Source: the documentation of SageAttention (arXiv:2410.02367), of FlashAttention 2
    (arXiv:2307.08691) and of xFormers, which state shapes, types and head sizes.
    """
    is_usual = query.is_cuda and query.ndim == _AXES and dropout_p == 0 and not enable_gqa
    if not is_usual or (is_causal and query.shape[-2] != key.shape[-2]):
        return None
    if any(item.requires_grad for item in (query, key, value)) and torch.is_grad_enabled():
        return None
    if kernel == "xformers":
        return None if is_causal else _by_xformers(query, key, value, attn_mask, scale)
    if attn_mask is not None or query.dtype not in _HALF:
        return None
    by_kernel = _by_sage if kernel == "sage" else _by_flash
    return by_kernel(query, key, value, is_causal, scale)


def _imported(kernel: str, module: str, name: str) -> Callable[..., Tensor]:
    """A function of a package that is installed.

    Raises:
        InvalidValue: The package cannot be imported, for example as it was built for another torch.
    """
    try:
        function: Callable[..., Tensor] = getattr(import_module(module), name)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise InvalidValue(
            f"the package {KERNEL_PACKAGES[kernel]} is installed, but cannot be used: {error}",
            port="model",
            given=f"attention {kernel}",
            hint="Install a build for this version of torch, or set attention to auto in SpeedUp.",
        ) from error
    return function


def _by_sage(
    query: Tensor, key: Tensor, value: Tensor, is_causal: bool, scale: float | None
) -> Tensor | None:
    if query.shape[-1] not in _SAGE_WIDTHS:
        return None
    sageattn = _imported("sage", "sageattention", "sageattn")
    q, k, v = (item.contiguous() for item in (query, key, value))
    return sageattn(q, k, v, tensor_layout="HND", is_causal=is_causal, sm_scale=scale)


def _by_flash(
    query: Tensor, key: Tensor, value: Tensor, is_causal: bool, scale: float | None
) -> Tensor | None:
    if query.shape[-1] > _FLASH_WIDTH or query.shape[-1] % 8:
        return None
    flash_attn_func = _imported("flash_attn", "flash_attn", "flash_attn_func")
    q, k, v = (item.transpose(1, 2) for item in (query, key, value))
    attended = flash_attn_func(q, k, v, softmax_scale=scale, causal=is_causal)
    return attended.transpose(1, 2)


def _by_xformers(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor | None:
    if query.dtype not in (*_HALF, torch.float32):
        return None
    memory_efficient_attention = _imported("xformers", "xformers.ops", "memory_efficient_attention")
    bias = None if mask is None else _aligned_bias(mask, query, key)
    q, k, v = (item.transpose(1, 2) for item in (query, key, value))
    attended = memory_efficient_attention(q, k, v, attn_bias=bias, scale=scale)
    return attended.transpose(1, 2)


def _aligned_bias(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """A mask as xFormers takes it: added to the scores, one value for each, with rows that begin at
    multiples of eight values."""
    shape = (*query.shape[:3], key.shape[-2])
    bias = torch.zeros(*shape[:3], -(-shape[3] // 8) * 8, dtype=query.dtype, device=query.device)
    bias = bias[..., : shape[3]]
    if mask.dtype == torch.bool:
        return bias.masked_fill_(~mask.expand(shape), -math.inf)
    return bias.copy_(mask.expand(shape))


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
