"""Values of every kind that the store takes, for property tests."""

from __future__ import annotations

import math
import struct
from collections import Counter, OrderedDict
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, time, timedelta, timezone
from enum import Enum, Flag
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nodegraph.core.digests import is_tensor
from nodegraph.core.plots import Plot, Series
from nodegraph.core.ports import PORT_ATTRIBUTE, Serializer, port_type
from nodegraph.core.spatial_values import AtomSites, Mesh, Molecule, PointCloud, Voxels
from nodegraph.core.training_values import Augmentation, Dataset, Example, LabeledBox
from nodegraph.core.values import (
    Audio,
    Conditioning,
    ConditioningEntry,
    DiffusionModel,
    Latent,
    RecipeFile,
    Video,
)


@port_type()
class Mood(Enum):
    """An enum of a pack."""

    CALM = "calm"
    WILD = ("wild", 3)


@port_type()
@dataclass(frozen=True)
class Pair:
    """A dataclass of a pack."""

    left: Any
    right: Any = None


class Token:
    """A class that brings a serializer."""

    def __init__(self, text: str) -> None:
        self.text = text


port_type(
    digest=lambda token: token.text,
    dumps=lambda token: token.text.encode("utf-8", "surrogatepass"),
    loads=lambda data: Token(data.decode("utf-8", "surrogatepass")),
)(Token)


class Color(Enum):
    """An enum that no pack declares."""

    RED = 1
    BLUE = (2, "b")


class Rights(Flag):
    """Flags, which may be put together."""

    READ = 1
    WRITE = 2


@dataclass
class Note:
    """A dataclass that no pack declares."""

    text: Any
    more: Any = None


@dataclass(frozen=True, slots=True)
class Slotted:
    """One without a dictionary of its own."""

    value: Any


class Place(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any = 0


SERIALIZERS: dict[type, Serializer] = {
    kind: kind.__dict__[PORT_ATTRIBUTE].serializer for kind in (Mood, Pair, Token)
}
DIGESTERS = {Token: Token.__dict__[PORT_ATTRIBUTE].digest}

DTYPES = (
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.uint16,
    torch.int32,
    torch.int64,
    torch.uint64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.complex64,
    torch.complex128,
)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Any bits, any shape: empty, without dimensions, with odd strides, with a gradient."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    count = math.prod(shape)
    size = 1 if dtype == torch.bool else dtype.itemsize
    data = draw(st.binary(min_size=count * size, max_size=count * size))
    if dtype == torch.bool:
        data = bytes(byte & 1 for byte in data)
    flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    tensor = flat.reshape(shape)
    if draw(st.booleans()):
        tensor = tensor.permute(tuple(reversed(range(tensor.dim()))))
    if tensor.dim() and draw(st.booleans()):
        tensor = tensor[::2]
    if dtype.is_complex and draw(st.booleans()):
        tensor = tensor.conj()
    if (dtype.is_floating_point and dtype.itemsize > 1) and draw(st.booleans()):
        tensor = tensor.detach().requires_grad_()
        if draw(st.booleans()):
            tensor = torch.nn.Parameter(tensor.detach(), requires_grad=draw(st.booleans()))
    return tensor


RECORD = np.dtype([("a", "<f4"), ("b", ">i2", (2,)), ("c", "U3")])
ARRAY_TYPES = st.sampled_from(
    [
        "?",
        "u1",
        "<i2",
        ">i4",
        "<u8",
        "<f2",
        ">f4",
        "f8",
        "c8",
        "c16",
        "S3",
        "U2",
        "<M8[ms]",
        "m8[D]",
        RECORD,
    ]
)
ARRAYS = st.builds(
    lambda values, turned: values.T if turned else values,
    ARRAY_TYPES.flatmap(
        lambda kind: arrays(kind, array_shapes(min_dims=0, min_side=0, max_side=3))
    ),
    st.booleans(),
)
SCALARS = (
    st.sampled_from(["?", "u1", "<i8", "<f4", "f8", "c16", "S3", "U2", "<M8[s]"])
    .flatmap(lambda kind: arrays(kind, ()).map(lambda array: array[()]))
    .filter(lambda found: found.dtype.itemsize > 0)
)
ZONES = (
    st.none()
    | st.timezones()
    | st.just(timezone.utc)
    | st.builds(timezone, st.timedeltas(timedelta(hours=-20), timedelta(hours=20)), st.just("here"))
)
MOMENTS = st.one_of(
    st.dates(),
    st.timedeltas(),
    st.times(),
    st.datetimes(timezones=ZONES),
    st.datetimes().map(lambda found: found.replace(fold=1)),
)
TEXT = st.text(st.characters(), max_size=8)
"""With half surrogates, as JSON can hold them."""
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**100), 2**100),
    st.floats(),
    TEXT,
    st.binary(max_size=8),
    st.fractions(),
    st.builds(Path, st.text("abc/. ", max_size=6)),
    st.builds(PurePosixPath, st.text("abc/", max_size=6)),
    st.builds(PureWindowsPath, st.text("abc\\:", max_size=6)),
    st.sampled_from(Mood),
    st.sampled_from(Color),
    st.sampled_from([Rights.READ, Rights.READ | Rights.WRITE]),
    MOMENTS,
    st.tuples(st.integers(), TEXT),
)
PLAIN = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.dictionaries(TEXT, inner, max_size=3).map(OrderedDict),
        st.lists(HASHABLE, max_size=4).map(Counter),
        st.builds(Pair, inner, inner),
        st.builds(Note, inner, inner),
        st.builds(Slotted, inner),
        st.builds(Place, inner, inner),
        st.builds(Token, TEXT),
    ),
    max_leaves=12,
)


SERIES = st.lists(st.tuples(st.integers(-5, 5), st.floats()), max_size=3).map(
    lambda points: Series("s", [x for x, _ in points], [y for _, y in points])
)


def _mixed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(TEXT, inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(
            Latent,
            st.none() | tensors(),
            st.integers(8, 64),
            st.integers(8, 64),
            noise_mask=st.none() | tensors(),
            batch_index=st.none() | st.tuples(st.integers(0, 5)),
        ),
        st.builds(
            Video,
            tensors(),
            st.fractions(min_value=Fraction(1, 1000)),
            st.none() | st.builds(Audio, tensors(), st.integers(1, 192_000)),
        ),
        st.builds(
            Mesh, tensors(), tensors(), st.none() | tensors(), st.none() | tensors(), st.none()
        ),
        st.builds(PointCloud, tensors(), st.none() | tensors()),
        st.builds(Voxels, tensors()),
        st.builds(Plot, TEXT, TEXT, TEXT, st.lists(SERIES, max_size=2)),
        st.builds(
            Molecule,
            *(tensors(), tensors(), tensors(), tensors()),
            chirality=st.none() | tensors(),
            sites=st.none()
            | st.builds(
                AtomSites,
                *(st.tuples(TEXT), st.tuples(TEXT), st.tuples(st.integers()), st.tuples(TEXT)),
            ),
            name=TEXT,
        ),
        st.builds(
            Dataset,
            st.lists(
                st.builds(
                    Example,
                    tensors(),
                    TEXT,
                    tags=st.tuples(TEXT),
                    mask=st.none() | tensors(),
                    boxes=st.just((LabeledBox("a", 0.5, 1.0, 2.0, 3.0),)),
                    bucket=st.none() | st.just((8, 16)),
                ),
                max_size=2,
            ).map(tuple),
            TEXT,
            augmentation=st.builds(Augmentation, st.floats()),
        ),
        st.builds(
            Conditioning,
            st.tuples(st.builds(ConditioningEntry, tensors(), st.none() | tensors())),
            st.none() | TEXT,
        ),
    )


VALUES = st.recursive(st.one_of(PLAIN, tensors(), ARRAYS, SCALARS), _mixed, max_leaves=6)
"""Whatever may travel on a link."""
RECIPE = DiffusionModel(
    "sd1", (RecipeFile("", str(Path(__file__)), "ab" * 32),), "float16", (("a", "b"),)
)


def same(left: Any, right: Any) -> bool:
    """Equal in type, structure and bits."""
    if type(left) is not type(right):
        return False
    if is_tensor(left):
        return _same_tensors(left, right)
    if isinstance(left, np.ndarray):
        return (left.dtype, left.shape, left.tobytes()) == (
            right.dtype,
            right.shape,
            right.tobytes(),
        )
    if isinstance(left, np.generic):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    if isinstance(left, (datetime, time)):
        return (left.isoformat(), left.fold, left.tzinfo) == (
            right.isoformat(),
            right.fold,
            right.tzinfo,
        )
    if isinstance(left, float):
        return struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    if isinstance(left, Token):
        return left.text == right.text
    if is_dataclass(left):
        return all(
            same(getattr(left, item.name), getattr(right, item.name)) for item in fields(left)
        )
    return bool(left == right)


def _same_tensors(left: torch.Tensor, right: torch.Tensor) -> bool:
    is_alike = (left.dtype, left.shape, left.requires_grad) == (
        right.dtype,
        right.shape,
        right.requires_grad,
    )
    return is_alike and _bits(left) == _bits(right)


def _bits(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().resolve_conj().clone(memory_format=torch.contiguous_format).reshape(-1)
    return bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""
