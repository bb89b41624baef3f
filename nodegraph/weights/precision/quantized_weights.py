"""Quantized weights: number formats, a tensor subclass, layers that dequantize on use.

Code that converts a file's tensors splits, joins and renames them. A `QuantizedTensor` supports
this: rows are split and joined as stored, and every other operation dequantizes first. So only the
memory depends on it, never a result.

A `NumberFormat` is only arithmetic on plain tensors, so weights in few bits are moved, counted,
shared and copied like any others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.weights.gguf_files import BLOCKS
from nodegraph.weights.precision.storage import NF4_BLOCK

FLOAT8 = frozenset({torch.float8_e4m3fn, torch.float8_e5m2})
"""Numbers of 8 bits that files hold."""

NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)
"""The levels of NF4. Source: Dettmers et al. 2023, arXiv:2305.14314, appendix E."""

_PIECE = 2**17
"""Numbers that are read at once: few enough to stay near the processor."""

PAIRS = "pairs"
"""A part that all rows share: the two numbers that each byte stands for, as 8 bytes."""
SMOOTHING = "smoothing"
"""A part that all rows share: float32, a factor for each column."""
_OF_ALL_ROWS = (PAIRS, SMOOTHING)

Parts = Mapping[str, Tensor]
"""What a form reads: ``stored``, and what else belongs to it."""


class NumberFormat(ABC):
    """How numbers are written down."""

    @abstractmethod
    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """The numbers in the type that is computed in; of memory of its own."""


@dataclass(frozen=True, slots=True)
class ScaledNarrow(NumberFormat):
    """Numbers of a narrower type, multiplied by ``scale`` where there is one.

    The product is worked out in float32 and rounded once.
    """

    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        scale = parts.get("scale")
        if scale is None:
            return widen(parts["stored"], dtype)
        return widen(parts["stored"], torch.float32).mul_(scale).to(dtype)


@dataclass(frozen=True, slots=True)
class NormalFloat4(NumberFormat):
    """Sixteen levels of a normal distribution, two in a byte, in blocks that share a factor,
    ``largest``. The table of ``pairs`` says what each byte stands for."""

    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        values = parts[PAIRS].index_select(0, parts["stored"].int()).view(torch.float32)
        return values.view(-1, NF4_BLOCK).mul_(parts["largest"][:, None]).to(dtype).view(*shape)


@dataclass(frozen=True, slots=True)
class GgufBlocks(NumberFormat):
    """Blocks of numbers as GGUF files have them, one row of bytes for each row of numbers.

    Read by diffusers' functions, but in float32: its own layers multiply in float16.

    Attributes:
        kind: Such as ``Q4_K``.
    """

    kind: str

    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        from diffusers.quantizers.gguf.utils import dequantize_functions
        from gguf import GGMLQuantizationType

        block, size = BLOCKS[self.kind]
        read = dequantize_functions[GGMLQuantizationType[self.kind]]
        values: Tensor = read(parts["stored"].reshape(-1, size), block, size, torch.float32)
        return values.reshape(*shape).to(dtype)


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedWeight:
    """A weight as it is stored.

    Attributes:
        format: What its parts mean.
        shape: Of the numbers.
    """

    format: NumberFormat
    parts: Parts
    shape: tuple[int, ...]

    def dequantize(self, dtype: torch.dtype) -> Tensor:
        """Its numbers in a type, in their shape."""
        return self.format.dequantize(self.parts, self.shape, dtype)

    @property
    def stored(self) -> Tensor:
        """The largest of its parts."""
        return self.parts["stored"]

    def rows(self, begin: int, end: int) -> QuantizedWeight:
        """Some of its rows; of forms that lie row by row."""
        return self._with_rows(end - begin, lambda part: part[begin:end])

    def look_up(self, numbers: Tensor) -> QuantizedWeight:
        """The rows of some numbers, shape (rows,); of forms that lie row by row."""
        return self._with_rows(len(numbers), lambda part: part.index_select(0, numbers))

    def _with_rows(self, count: int, select: Callable[[Tensor], Tensor]) -> QuantizedWeight:
        total = self.shape[0]
        parts = {
            # What all rows share is the same of each of them.
            name: select(part)
            if name not in _OF_ALL_ROWS and part.dim() and len(part) == total
            else part
            for name, part in self.parts.items()
        }
        return replace(self, parts=parts, shape=(count, *self.shape[1:]))


def concatenate_rows(items: Sequence[QuantizedWeight]) -> QuantizedWeight | None:
    """Several one below the other; None where they aren't stored alike."""
    first = items[0]
    if any(not _are_alike(first, item) for item in items):
        return None
    parts = {name: _parts_of_rows(name, items) for name in first.parts}
    rows = sum(item.shape[0] for item in items)
    return replace(first, parts=parts, shape=(rows, *first.shape[1:]))


def _are_alike(first: QuantizedWeight, other: QuantizedWeight) -> bool:
    return (
        other.format == first.format
        and other.shape[1:] == first.shape[1:]
        and {name: part.dtype for name, part in other.parts.items()}
        == {name: part.dtype for name, part in first.parts.items()}
        and all(
            torch.equal(first.parts[name], other.parts[name])
            for name in _OF_ALL_ROWS
            if name in first.parts
        )
    )


def _parts_of_rows(name: str, items: Sequence[QuantizedWeight]) -> Tensor:
    if name in _OF_ALL_ROWS:
        return items[0].parts[name]
    if name == "scale":
        return torch.cat([_scale_of_rows(item) for item in items])
    return torch.cat([item.parts[name] for item in items])


def _scale_of_rows(item: QuantizedWeight) -> Tensor:
    return item.parts["scale"].expand(item.shape[0], *[1] * (len(item.shape) - 1))


def quantize_float8(weight: Tensor) -> QuantizedWeight:
    """A weight's numbers, which are not beyond 448, rounded to 8 bits."""
    return QuantizedWeight(
        ScaledNarrow(), {"stored": weight.to(torch.float8_e4m3fn)}, tuple(weight.shape)
    )


def quantize_int8(weight: Tensor) -> QuantizedWeight:
    """A weight as whole numbers of 8 bits, with one factor for each row.

    They are those of torchao's ``Int8WeightOnlyConfig``, see `quantize_int4`.
    """
    largest = weight.flatten(1).abs().amax(1)
    scale = (largest / 127.5).float().clamp(min=torch.finfo(torch.float32).eps)
    scale = scale.view(-1, *[1] * (weight.dim() - 1))
    stored = (weight.float() * (1 / scale)).round_().clamp_(-128, 127).to(torch.int8)
    return QuantizedWeight(ScaledNarrow(), {"stored": stored, "scale": scale}, tuple(weight.shape))


def quantize_int4(weight: Tensor) -> QuantizedWeight:
    """A weight in 4 bits and a share of the factors; of a multiple of `NF4_BLOCK` numbers.

    They are those of bitsandbytes' NF4. Neither package is asked. Where one is installed, diffusers
    imports it at once, which takes every process seconds; torchao's 4 bits need kernels that a CPU
    hasn't; both hold weights in tensors of their own, which aren't counted, shared and moved as
    others are. Their layers, too, widen the weights and multiply: on a CPU they are as quick.
    """
    levels = torch.tensor(NF4, dtype=torch.float32, device=weight.device)
    blocks = weight.float().view(-1, NF4_BLOCK)
    largest = blocks.abs().amax(1)
    shares = (blocks * (1 / largest.clamp(min=1e-38))[:, None]).clamp_(-1, 1).flatten()
    nearest = torch.zeros(shares.shape, dtype=torch.uint8, device=weight.device)
    for bound in ((levels[1:] + levels[:-1]) / 2).tolist():
        # A search among the bounds takes several times as long.
        nearest += shares > bound
    pairs = torch.stack([levels.repeat_interleave(16), levels.repeat(16)], 1)
    parts = {
        "stored": (nearest[::2] << 4) | nearest[1::2],
        "largest": largest,
        PAIRS: pairs.view(torch.int64).flatten(),
    }
    return QuantizedWeight(NormalFloat4(), parts, tuple(weight.shape))


def widen(stored: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers in a wider type, which holds them exactly."""
    if stored.dtype == torch.float8_e4m3fn and stored.device.type == "cpu":
        return _read_e4m3(stored, dtype)
    return stored.to(dtype, copy=True)


def _read_e4m3(stored: Tensor, dtype: torch.dtype) -> Tensor:
    """As ``stored.to(dtype)``, in a fraction of the time that torch takes on a CPU.

    Moved to their places in a float16, sign, exponent and fraction are the number divided by 2⁸,
    which is what the middles of the two exponents differ by.
    """
    values = torch.empty(stored.shape, dtype=dtype)
    wide, narrow = values.view(-1), stored.reshape(-1).view(torch.int8)
    for at in range(0, len(wide), _PIECE):
        into, piece = wide[at : at + _PIECE], narrow[at : at + _PIECE]
        bits = piece.to(torch.int16)
        size = bits & 0x7F
        is_none = size == 0x7F  # the one pattern that is no number
        size.bitwise_left_shift_(7).masked_fill_(is_none, 0x7E00)
        into.copy_(size.bitwise_or_(bits.bitwise_and_(-0x8000)).view(torch.float16)).mul_(256)
    return values


_SAME = {
    torch.ops.aten.detach.default,
    torch.ops.aten.alias.default,
    # What is stored is never written to.
    torch.ops.aten.clone.default,
}


_OF_AXES = {
    torch.ops.aten.select.int,
    torch.ops.aten.squeeze.default,
    torch.ops.aten.squeeze.dim,
    torch.ops.aten.squeeze.dims,
    torch.ops.aten.unsqueeze.default,
    torch.ops.aten.view.default,
}
"""Operations that may keep rows as they are."""


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
        return f"QuantizedTensor({tuple(self.shape)}, {self.dtype}, as {self.packed.stored.dtype})"

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
    """What an operation gives that needs no numbers, or only some; None where it needs all."""
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
    if func is aten.embedding.default:
        return _look_up(first, args[1])
    return _within_rows(first, func, args[1:]) if func in _OF_AXES else None


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


def _within_rows(
    tensor: QuantizedTensor, func: Callable[..., Any], args: Sequence[Any]
) -> QuantizedTensor | None:
    """The same rows with other axes, such as pointwise convolutions as matrices; of numbers that
    are only multiplied by a factor, for each row or for all."""
    packed, rows = tensor.packed, len(tensor)
    scale = packed.parts.get("scale")
    if not isinstance(packed.format, ScaledNarrow) or rows == 1:
        return None
    if scale is not None and scale.numel() not in (1, rows):
        return None
    stored = func(packed.stored, *args)
    is_of_rows = func is torch.ops.aten.select.int and args[0] % tensor.dim() == 0
    if not stored.dim() or len(stored) != rows or is_of_rows:
        return None
    parts = {"stored": stored.contiguous()}
    if scale is not None:
        is_by_row = scale.numel() == rows
        parts["scale"] = scale.reshape(-1, *[1] * (stored.dim() - 1)) if is_by_row else scale
    shape = tuple(stored.shape)
    return QuantizedTensor(replace(packed, parts=parts, shape=shape), tensor.dtype)


def _look_up(table: QuantizedTensor, numbers: Tensor) -> Tensor:
    """Rows of a table by their numbers: no others are dequantized."""
    shape = (*numbers.shape, *table.shape[1:])
    if not numbers.numel():
        return torch.empty(shape, dtype=table.dtype, device=table.device)
    return table.packed.look_up(numbers.reshape(-1)).dequantize(table.dtype).view(shape)


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


QUANTIZABLE_LAYERS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
"""Layers whose weights can be brought into another form."""
HOLDING_LAYERS = (*QUANTIZABLE_LAYERS, nn.Embedding)
"""Layers that can hold their weights as a file does."""


_MARK = "_computes_here"
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By their bytes."""


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """What a layer's parameters are read as.

    Attributes:
        types: Of those that are read, by name; they lie there as whole numbers of their size.
        shape, dtype: Of the weight that is read.
    """

    format: NumberFormat
    types: Mapping[str, torch.dtype]
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Held:
    """What makes a layer's class one that reads its weight when it is asked for."""

    holding: StoredWeight
    _parameters: dict[str, Tensor]

    @property
    def weight(self) -> Tensor:
        """The weight in the type that is computed in, made for whoever asks."""
        return self._packed.dequantize(self.holding.dtype)

    @property
    def _packed(self) -> QuantizedWeight:
        holding = self.holding
        parts = {name: self._parameters[name].view(kind) for name, kind in holding.types.items()}
        return QuantizedWeight(holding.format, parts, holding.shape)


class _HeldTable(_Held):
    """The same of a table, of which only the rows that are looked up are dequantized."""

    @property
    def weight(self) -> Tensor:
        """The table. As a tensor it also has a type and a device without being dequantized."""
        return QuantizedTensor(self._packed, self.holding.dtype)


@cache
def _held(kind: type[Any]) -> type[Any]:
    holder = _HeldTable if issubclass(kind, nn.Embedding) else _Held
    return type(f"Held{kind.__name__}", (holder, kind), {})


def store_quantized(layer: Any, packed: QuantizedWeight, dtype: torch.dtype) -> None:
    """Let a layer hold its weight as it is stored, and compute in a type.

    Args:
        layer: One of `HOLDING_LAYERS`.
    """
    del layer._parameters["weight"]
    kind: Any = type(layer)
    layer.__class__ = _held(kind)
    for name, part in packed.parts.items():
        # No buffer, as diffusers' offloading leaves those on the accelerator. Whole numbers, as
        # libraries take the first floating point type that they find for what is computed in.
        whole = part.view(_WHOLE[part.element_size()])
        layer.register_parameter(name, nn.Parameter(whole, requires_grad=False))
    types = {name: part.dtype for name, part in packed.parts.items()}
    layer.holding = StoredWeight(packed.format, types, packed.shape, dtype)


def share_quantized(layer: Any, holder: Any) -> None:
    """Let a layer hold the weight that another one holds as it is stored, in the same memory.

    Args:
        layer: One of `HOLDING_LAYERS`.
        holder: After `store_quantized`.
    """
    del layer._parameters["weight"]
    kind: Any = type(layer)
    layer.__class__ = _held(kind)
    for name in holder.holding.types:
        layer.register_parameter(name, holder._parameters[name])
    layer.holding = holder.holding


@cache
def _widened(kind: type[Any]) -> type[Any]:
    first, own = kind.__bases__
    if issubclass(first, _Held):
        return own
    # Someone changed the class afterwards, such as who added words to it, and keeps that.
    return type(kind.__name__.replace("Held", "", 1), (first, _widened(own)), {})


def widen_layer(layer: Any) -> None:
    """Let a layer that `store_quantized` changed hold its weight in the type that it computes in.

    Layers that share the weight keep it as it is stored.
    """
    weight = dequantize(layer.weight)
    for name in layer.holding.types:
        del layer._parameters[name]
    del layer.holding
    kind: Any = type(layer)
    layer.__class__ = _widened(kind)
    layer.register_parameter("weight", nn.Parameter(weight, requires_grad=False))


def quantized_shape(layer: nn.Module) -> tuple[int, ...] | None:
    """The shape of a weight that is held so; None of other layers."""
    holding = getattr(layer, "holding", None)
    return holding.shape if isinstance(holding, StoredWeight) else None


def set_compute_device(module: nn.Module, device: str, dtype: torch.dtype) -> None:
    """Let `module.device` and `module.dtype` say where it computes and in what.

    The libraries take both from the first parameter, and a module's own come before those of the
    modules in it.
    """
    mark = torch.empty(0, device=device, dtype=dtype)
    own = dict(module._parameters)
    own.pop(_MARK, None)
    module._parameters.clear()
    module._parameters[_MARK] = nn.Parameter(mark, requires_grad=False)
    module._parameters.update(own)
    module.register_state_dict_post_hook(_leave_out_mark)  # type: ignore[no-untyped-call]


def _leave_out_mark(_: nn.Module, state: dict[str, Any], prefix: str, __: Any) -> None:
    state.pop(prefix + _MARK, None)
