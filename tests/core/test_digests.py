"""Equal values have equal digests, different ones don't; type and order are part of a value."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.api import Audio, DiffusionModel, Latent, RecipeFile, Video
from nodegraph.core.digests import Undigestable, digest_bytes, digest_value, is_tensor
from tests.messages import raises
from tests.properties import examples
from tests.store.values import DIGESTERS, VALUES, same


class Point(NamedTuple):
    """Two items with names."""

    x: Any
    y: Any = None


class Place(NamedTuple):
    """The same under other names."""

    left: Any
    top: Any = None


@st.composite
def alike(draw: st.DrawFn) -> tuple[Any, Any]:
    """A value, and one that Python takes for equal or that holds the same, but of another kind."""
    import torch

    inner = draw(VALUES)
    items = draw(st.lists(VALUES, min_size=2, max_size=2))
    entries = draw(st.dictionaries(st.text(max_size=2), VALUES, max_size=3))
    number = draw(st.integers(0, 3) | st.booleans() | st.floats(0, 3))
    ones = torch.ones(2, requires_grad=draw(st.booleans()))
    kinds = [
        *(items, tuple(items), Point(*items), Place(*items), items[::-1]),
        *(entries, OrderedDict(entries), Counter(entries), dict(reversed(entries.items()))),
        *(number, int(number), float(number), bool(number), str(number), -float(number)),
        *(ones, torch.nn.Parameter(ones), ones.clone(), ones.double(), ones.view(2, 1), ones > 0),
        *(inner, [inner], (inner,), {"a": inner}),
    ]
    return draw(st.sampled_from(kinds)), draw(st.sampled_from(kinds))


@settings(max_examples=examples(400), deadline=None)
@given(st.tuples(VALUES, VALUES) | alike())
def test_digests_are_equal_where_values_are(pair: tuple[Any, Any]) -> None:
    first, second = pair
    is_same = digest_value(first, DIGESTERS) == digest_value(second, DIGESTERS)
    assert is_same is same(first, second)


def test_kinds_are_told_apart() -> None:
    class Kind(Enum):
        ONE = 1

    values = [1, 1.0, True, "1", b"1", [1], {"1": 1}, 2**64, str(2**64), Kind.ONE, 0.0, -0.0]
    values += [PurePosixPath("1"), PureWindowsPath("1"), Path("1"), [["1", 1]], {1: 1}, None, []]
    values += [{}, (), (1,), {"1": 1, "2": 2}, {"2": 2, "1": 1}, OrderedDict(), Counter()]
    values += [Point(1), Place(1), float("nan"), -float("nan"), {"a": {"b": 1, "c": 2}}]
    values += [{"a": {"c": 2, "b": 1}}, 10**5000, ["", OrderedDict()], ("", [])]
    assert len({digest_value(value) for value in values}) == len(values)


class Text(str):
    """More than text, to whoever asks for its type."""


class Named(Point):
    """A named tuple with room for more."""


def with_more(value: Any) -> Any:
    value.more = 1
    return value


@dataclass
class Record:
    """One that isn't frozen."""

    a: int = 1


class Holiday(datetime.datetime):
    """More than a moment."""


@dataclass
class Table(dict):  # type: ignore[type-arg]
    """Entries, and a field besides."""

    a: int = 1


@pytest.mark.parametrize(
    "value",
    [
        *(Text("a"), Named(1), bytearray(b"a"), memoryview(b"a"), {1}, frozenset({1}), 1j),
        *(Holiday(1, 1, 1), defaultdict(int), MappingProxyType({}), range(2), Table()),
        *(with_more(OrderedDict()), with_more(Counter()), with_more(Record())),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_more_than_is_looked_at_has_no_digest(value: Any) -> None:
    for holder in (value, [1, value], {"a": (value,)}):
        with pytest.raises(Undigestable):
            digest_value(holder)


def test_a_tensor_that_is_more_than_its_numbers_has_no_digest() -> None:
    import torch

    class Named(torch.Tensor):
        """More than a tensor."""

    for tensor in (
        torch.ones(2).as_subclass(Named),  # type: ignore[arg-type]
        with_more(torch.ones(2)),
        torch.ones(2, device="meta"),
        torch.ones(2).to_sparse(),
    ):
        with pytest.raises(Undigestable):
            digest_value(tensor)


def test_numpys_numbers_are_not_pythons() -> None:
    import numpy as np

    for value in (np.float64(1), np.int64(1), np.bool_(True), np.str_("a"), np.ones(2)):
        assert digest_value(value) != digest_value(value.tolist())
    for other in (np.array([None]), np.ma.masked_array([1.0], [1]), np.zeros(1, np.longdouble)):
        with pytest.raises(Undigestable):
            digest_value(other)


def test_an_arrays_layout_is_no_content() -> None:
    import numpy as np

    rows = np.arange(6.0).reshape(2, 3)
    assert digest_value(np.asfortranarray(rows)) == digest_value(rows)
    assert digest_value(rows.T) != digest_value(rows)
    assert digest_value(rows.astype(">f8")) != digest_value(rows)


def test_a_digest_is_the_same_in_every_process() -> None:
    code = (
        "from nodegraph.core.digests import digest_value as d; print(d({'b': {1.5}.pop(), 'a': 2}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest_value({"b": 1.5, "a": 2})
    assert digest_bytes(b"").startswith("af1349b9")


def test_half_a_surrogate_pair_has_a_digest() -> None:
    assert digest_value("\ud800") != digest_value("\ud801")


def test_a_record_is_its_type_and_the_fields_that_count() -> None:
    @dataclass(frozen=True)
    class First:
        value: int
        where: str = field(default="", metadata={"content": False})

    @dataclass(frozen=True)
    class Second:
        value: int

    assert digest_value(First(1, "here")) == digest_value(First(1, "there"))
    assert digest_value(First(1)) != digest_value(First(2))
    assert digest_value(First(1)) != digest_value(Second(1))


def test_where_a_models_files_lie_does_not_count() -> None:
    here, there, other = (
        DiffusionModel("sd1", (RecipeFile("unet", path, digest * 64),))
        for path, digest in (("/a", "0"), ("/b", "0"), ("/a", "1"))
    )
    assert digest_value(here) == digest_value(there) != digest_value(other)


def test_a_tensor_is_its_dtype_shape_and_bytes() -> None:
    import torch

    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    assert is_tensor(tensor)
    assert digest_value(tensor) == digest_value(tensor.clone())
    assert digest_value(tensor.T) == digest_value(tensor.T.contiguous())
    others = [tensor.T, tensor.reshape(3, 2), tensor.double(), tensor + 1, tensor[:0]]
    others += [torch.tensor(1.0), torch.tensor([1.0]), torch.ones(2).bool(), torch.ones(2).half()]
    others += [torch.ones(2, dtype=torch.bfloat16)]
    assert len({digest_value(other) for other in [tensor, *others]}) == len(others) + 1


def test_a_latent_holds_its_tensor() -> None:
    import torch

    def latent(value: float) -> Latent:
        return Latent(torch.full((1, 4, 8, 8), value), 64, 64)

    assert digest_value(latent(1.0)) == digest_value(latent(1.0))
    assert digest_value(latent(1.0)) != digest_value(latent(2.0))


def test_a_video_is_its_frames_its_exact_rate_and_its_audio() -> None:
    import torch

    frames, audio = torch.zeros(2, 4, 4, 3), Audio(torch.zeros(1, 8), 8000)
    videos = [
        Video(frames, Fraction(24)),
        Video(frames, Fraction(24000, 1001)),
        Video(frames + 1, Fraction(24)),
        Video(frames, Fraction(24), audio),
        Video(frames, Fraction(24), Audio(audio.waveform, 16000)),
    ]
    assert len({digest_value(video) for video in videos}) == len(videos)
    assert digest_value(Video(frames.clone(), Fraction(48, 2))) == digest_value(videos[0])
    assert digest_value(Fraction(2)) not in (digest_value(2), digest_value((2, 1)))


def test_a_packs_type_brings_its_own_digest() -> None:
    class Mesh:
        def __init__(self, name: str) -> None:
            self.name = name

    digesters = {Mesh: lambda mesh: mesh.name}
    assert digest_value([Mesh("a")], digesters) == digest_value([Mesh("a")], digesters)
    assert digest_value(Mesh("a"), digesters) != digest_value(Mesh("b"), digesters)
    with raises(Undigestable):
        digest_value(Mesh("a"))
