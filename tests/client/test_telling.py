"""What a shape tells of an object is what both name, and what is given besides."""

from __future__ import annotations

from dataclasses import dataclass

from nodegraph.client.shapes.schema import build_shape, shape_fields
from tests.messages import raises


@dataclass(frozen=True)
class Told:
    name: str
    size: int
    href: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    name: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass
class Bare:
    name: str


def test_fields_and_properties_are_told_by_their_names() -> None:
    assert build_shape(Told, Kept("a", b"abc"), href="/a") == Told("a", 3, "/a")


def test_what_is_given_counts_before_what_the_object_says() -> None:
    found = shape_fields(Told, Kept("a", b"abc"), name="b")
    assert found == {"name": "b", "size": 3}


def test_what_neither_says_has_to_have_a_default() -> None:
    assert build_shape(Told, Bare("a"), size=1) == Told("a", 1)
    with raises(TypeError):
        build_shape(Told, Bare("a"))
