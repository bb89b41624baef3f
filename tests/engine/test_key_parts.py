"""What is kept of a key's parts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.api import Latent, Seed, node
from nodegraph.core.graph import GraphNode, LinkSource
from nodegraph.core.node import definition_of
from nodegraph.engine.key_parts import LONGEST, key_parts, literal_text, short


@node
def Sample(
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    steps: int = 20,
    cfg: float = 7.0,
    sampler: Literal["euler", "heun"] = "euler",
    tiled: bool = False,
    prompt: str = "",
) -> Latent:
    """Sample."""
    return latent


SPEC = definition_of(Sample).spec


def made(**literals: Any) -> GraphNode:
    given = {port.name: port.default for port in SPEC.inputs if port.name != "latent"} | literals
    return GraphNode("sample", SPEC, given, {"latent": LinkSource("size", "latent")})


def test_parts_hold_digests_sources_and_texts() -> None:
    found = key_parts(made(prompt="x"), {"latent": "ab"}, code="c0de", profile="cpu")
    assert found["links"] == {"latent": ["ab", "size.latent"]}
    assert found["literals"]["prompt"] == '"x"'
    assert (found["code"], found["profile"], found["version"]) == ("c0de", "cpu", 1)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(anything)
def test_any_literal_becomes_a_short_text_that_can_be_stored(value: Any) -> None:
    text = literal_text(value)
    assert len(text) <= LONGEST
    assert msgpack.unpackb(msgpack.packb(text)) == text


def test_long_texts_that_differ_late_stay_apart() -> None:
    assert short("a" * 1000 + "b") != short("a" * 1000 + "c")
    assert short("\ud800") == "\\ud800"


def test_what_json_has_no_form_for_is_named_by_its_digest() -> None:
    assert literal_text(b"one") != literal_text(b"two")
    assert literal_text(object()) == '"object"'
