"""How the numbers of a weight are written down, and how they are read again.

A form is arithmetic alone. What it reads are plain tensors, so that weights in few bits are moved,
counted, shared and copied as all others are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nodegraph.weights.precision.gguf_types import BLOCKS

FLOAT8 = frozenset({torch.float8_e4m3fn, torch.float8_e5m2})
"""Numbers of 8 bits that files hold."""

NF4_BLOCK = 64
"""Numbers that share a factor. Source: Dettmers et al. 2023, arXiv:2305.14314."""
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)
"""The levels. Source: appendix E there."""

_PIECE = 2**17
"""Numbers that are read at once: few enough to stay near the processor."""

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
            return _read(parts["stored"], dtype)
        return _read(parts["stored"], torch.float32).mul_(scale).to(dtype)


@dataclass(frozen=True, slots=True)
class NormalFloat4(NumberFormat):
    """Sixteen levels of a normal distribution, two in a byte, in blocks that share a factor,
    ``largest``. The table of ``pairs`` says what each byte stands for."""

    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        values = parts["pairs"].index_select(0, parts["stored"].int()).view(torch.float32)
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
        total = self.shape[0]
        parts = {
            # What all rows share is the same of each of them.
            name: part[begin:end] if part.dim() and len(part) == total else part
            for name, part in self.parts.items()
        }
        return replace(self, parts=parts, shape=(end - begin, *self.shape[1:]))


def concatenate_rows(items: Sequence[QuantizedWeight]) -> QuantizedWeight | None:
    """Several one below the other; None where they aren't stored alike."""
    first = items[0]
    if any(
        item.format != first.format
        or item.stored.dtype != first.stored.dtype
        or item.parts.keys() != first.parts.keys()
        or item.shape[1:] != first.shape[1:]
        for item in items
    ):
        return None
    parts = {"stored": torch.cat([item.stored for item in items])}
    if "scale" in first.parts:
        parts["scale"] = torch.cat([_scale_of_rows(item) for item in items])
    rows = sum(item.shape[0] for item in items)
    return replace(first, parts=parts, shape=(rows, *first.shape[1:]))


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
        "pairs": pairs.view(torch.int64).flatten(),
    }
    return QuantizedWeight(NormalFloat4(), parts, tuple(weight.shape))


def _read(stored: Tensor, dtype: torch.dtype) -> Tensor:
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
