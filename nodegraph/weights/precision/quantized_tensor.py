"""Weights that stay as they are stored while they are brought under other names.

What converts a file's tensors takes them apart, joins them and gives them other names. A carried
tensor lets it: rows are taken and joined as they are stored, and what else is asked of it is worked
out on its numbers. So no result depends on it, only the memory that is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from nodegraph.weights.precision.forms import QuantizedWeight, concatenate_rows

_SAME = {
    torch.ops.aten.detach.default,
    torch.ops.aten.alias.default,
    # What is stored is never written to.
    torch.ops.aten.clone.default,
}


class QuantizedTensor(torch.Tensor):
    """A tensor whose numbers are stored in a form; it has the type that they are computed in.

    Attributes:
        packed: What is stored.
    """

    packed: QuantizedWeight

    @staticmethod
    def __new__(cls, packed: QuantizedWeight, dtype: torch.dtype) -> QuantizedTensor:
        """Carry what is stored, which is to be computed in a type."""
        made: QuantizedTensor = torch.Tensor._make_wrapper_subclass(
            cls, packed.shape, dtype=dtype, device=packed.stored.device
        )
        made.packed = packed
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"CarriedTensor({tuple(self.shape)}, {self.dtype}, as {self.packed.stored.dtype})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What torch asks of every operation."""
        options = dict(kwargs or {})
        carried = _as_stored(func, args, options)
        if carried is not None:
            return carried
        return func(*map(_plain, args), **{name: _plain(item) for name, item in options.items()})


def find_quantized(tensor: Any) -> QuantizedWeight | None:
    """What is stored of a tensor that is carried."""
    return tensor.packed if isinstance(tensor, QuantizedTensor) else None


def _as_stored(func: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What an operation gives that needs no numbers; None where it does."""
    aten, first = torch.ops.aten, args[0]
    if func is aten.cat.default and (len(args) == 1 or args[1] == 0):
        return _cat(first)
    if not isinstance(first, QuantizedTensor):
        return None
    if func in _SAME:
        return QuantizedTensor(first.packed, first.dtype)
    if func is aten._to_copy.default:
        return _cast(first, options)
    if func in (aten.split.Tensor, aten.split_with_sizes.default):
        return _split(first, *args[1:])
    if func is aten.slice.Tensor:
        return _slice(first, *args[1:])
    return None


def _cat(items: Sequence[Any]) -> QuantizedTensor | None:
    if not all(isinstance(item, QuantizedTensor) for item in items):
        return None
    packed = concatenate_rows([item.packed for item in items])
    return None if packed is None else QuantizedTensor(packed, items[0].dtype)


def _cast(tensor: QuantizedTensor, options: dict[str, Any]) -> QuantizedTensor | None:
    dtype, device = options.get("dtype"), options.get("device")
    if dtype is None or not dtype.is_floating_point:
        return None
    if device is not None and torch.device(device) != tensor.device:
        return None
    return QuantizedTensor(tensor.packed, dtype)


def _split(
    tensor: QuantizedTensor, sizes: int | Sequence[int], dim: int = 0
) -> list[QuantizedTensor] | None:
    if dim:
        return None
    rows = len(tensor)
    if isinstance(sizes, int):
        bounds = [*range(0, rows, sizes), rows]
    else:
        bounds = [sum(sizes[:at]) for at in range(len(sizes) + 1)]
    return [_rows(tensor, begin, end) for begin, end in pairwise(bounds)]


def _slice(
    tensor: QuantizedTensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> QuantizedTensor | None:
    if dim or step != 1:
        return None
    begin, stop, _ = slice(start, end).indices(len(tensor))
    return _rows(tensor, begin, max(begin, stop))


def _rows(tensor: QuantizedTensor, begin: int, end: int) -> QuantizedTensor:
    return QuantizedTensor(tensor.packed.rows(begin, end), tensor.dtype)


def _plain(item: Any) -> Any:
    """The numbers of what is carried, in lists, too; all else as it is."""
    if isinstance(item, QuantizedTensor):
        return item.packed.dequantize(item.dtype)
    if isinstance(item, (list, tuple)):
        return type(item)(map(_plain, item))
    return item


def dequantize(tensor: Tensor) -> Tensor:
    """A tensor's numbers; itself where it isn't carried."""
    tensor_itself: Tensor = _plain(tensor)
    return tensor_itself
