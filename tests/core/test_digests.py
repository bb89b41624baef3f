"""Equal values have equal digests, different ones don't."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.api import DiffusionModel, Latent
from nodegraph.core.digests import Undigestable, digest_bytes, digest_value, is_tensor

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def same(first: Any, second: Any) -> bool:
    """Equality that tells 1, 1.0 and True apart, and takes NaN for itself."""
    if type(first) is not type(second):
        return False
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return repr(first) == repr(second)


@settings(max_examples=150, deadline=None)
@given(VALUES, VALUES)
def test_digests_are_equal_where_values_are(first: Any, second: Any) -> None:
    assert (digest_value(first) == digest_value(second)) is same(first, second)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert digest_value(dict(reversed(value.items()))) == digest_value(value)


def test_kinds_are_told_apart() -> None:
    class Kind(Enum):
        ONE = 1

    values = [1, 1.0, True, "1", b"1", [1], {"1": 1}, 2**64, str(2**64), Kind.ONE, 0.0, -0.0]
    values += [PurePosixPath("1"), [["1", 1]], {1: 1}, None, [], {}]
    assert len({digest_value(value) for value in values}) == len(values)


def test_lists_and_tuples_are_one_kind() -> None:
    assert digest_value((1, (2,))) == digest_value([1, [2]])


def test_a_digest_is_the_same_in_every_process() -> None:
    code = (
        "from nodegraph.core.digests import digest_value as d; print(d({'b': {1.5}.pop(), 'a': 2}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest_value({"a": 2, "b": 1.5})
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
    here = DiffusionModel(family="sd1", source="/a", digest="0" * 64)
    there = DiffusionModel(family="sd1", source="/b", digest="0" * 64)
    assert digest_value(here) == digest_value(there)


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


def test_a_packs_type_brings_its_own_digest() -> None:
    class Mesh:
        def __init__(self, name: str) -> None:
            self.name = name

    digesters = {Mesh: lambda mesh: mesh.name}
    assert digest_value([Mesh("a")], digesters) == digest_value([Mesh("a")], digesters)
    assert digest_value(Mesh("a"), digesters) != digest_value(Mesh("b"), digesters)
    with pytest.raises(Undigestable, match="Mesh has no content digest"):
        digest_value(Mesh("a"))
