"""The part of a key that is known beforehand, remembered for graphs that are built again."""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.context import Environment
from nodegraph.core.graph import GraphNode
from nodegraph.core.keys import base_key
from nodegraph.core.spec import NodeSpec
from nodegraph.engine.engine import Engine
from nodegraph.packs.registry import Registry

HERE = Path()


class Text(str, enum.Enum):
    """Equal to plain text, and yet another literal."""

    A = "a"


LITERALS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        *(st.just(value) for value in (None, True, 1, 1.0, 0, 0.0, -0.0, False, float("nan"))),
        *(st.just(value) for value in (2**70, "a", b"a", Text.A, Path("a"), "\ud800", "a" * 999)),
        *(st.just(value) for value in (OrderedDict(a=1, b=2), {"b": 2, "a": 1}, ("a",))),
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner),
    max_leaves=4,
)


class Known(Registry):
    """Has no code to look at."""

    def code_digest(self, node_type: str) -> str:
        return "c" * 64


@given(st.lists(LITERALS, min_size=1, max_size=8))
def test_a_remembered_base_is_that_of_these_literals(values: Sequence[Any]) -> None:
    spec = NodeSpec(type="Any")
    engine = Engine(Known(), environment=Environment((), HERE, HERE, HERE))
    for value in (*values, *values):
        node = GraphNode("n", spec, {"value": value}, {})
        expected = base_key(spec, {"value": value}, code="c" * 64)
        assert engine.shared.base_of(node) == expected
    engine.close()
