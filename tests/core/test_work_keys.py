"""Work is named by what it is made of, not by how far it is to go."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.api import node
from nodegraph.core.keys import base_key, call_key, variant_key, work_key
from nodegraph.core.node import definition_of
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import PackError
from tests.messages import raises

SPEC = NodeSpec(type="A", continues=("end", "limit"))
PARTS: dict[str, Any] = {"code": "c", "profile": "p", "fingerprint": "f"}
LITERALS = {"seed": 1, "end": 5}
INPUTS = {"model": "m", "limit": "9"}


def key(
    spec: NodeSpec = SPEC,
    literals: dict[str, Any] = LITERALS,
    inputs: dict[str, str] = INPUTS,
    **changes: Any,
) -> str:
    return work_key(spec, literals, inputs, **PARTS | changes)


def test_where_it_stops_does_not_matter() -> None:
    assert key(literals={"seed": 1, "end": 9}) == key()
    assert key(literals={"seed": 1, "end": None}) == key()
    assert key(inputs={"model": "m", "limit": "10"}) == key()


def test_nor_does_it_whether_that_is_linked_or_given() -> None:
    assert key(literals={"seed": 1, "limit": 3}, inputs={"model": "m", "end": "e"}) == key()
    assert key(literals={"seed": 1}, inputs={"model": "m"}) == key()


def test_all_else_does() -> None:
    keys = [
        key(),
        key(literals={"seed": 2, "end": 5}),
        key(inputs={"model": "n", "limit": "9"}),
        key(spec=NodeSpec(type="B", continues=SPEC.continues)),
        key(spec=NodeSpec(type="A", version=2, continues=SPEC.continues)),
        key(code="d"),
        key(profile="q"),
        key(fingerprint="g"),
        key(spec=NodeSpec(type="A")),
        key(spec=NodeSpec(type="A", continues=("end",))),
    ]
    assert len(set(keys)) == len(keys)


def test_work_is_never_taken_for_a_result() -> None:
    plain = NodeSpec(type="A")
    result = call_key(base_key(plain, {"seed": 1}, code="c"), {"model": "m"})
    assert work_key(plain, {"seed": 1}, {"model": "m"}, code="c") != result


def test_another_way_to_do_the_work_has_a_name_of_its_own() -> None:
    assert len({key(), variant_key(key(), "small"), variant_key(key(), "other")}) == 3


@given(st.dictionaries(st.sampled_from(["a", "b", "end"]), st.integers()))
def test_two_calls_share_their_work_if_they_differ_in_stops_alone(
    literals: dict[str, Any],
) -> None:
    other = literals | {"end": -1}
    steady = {name: value for name, value in literals.items() if name != "end"}
    assert key(literals=literals) == key(literals=other) == key(literals=steady)
    assert key(literals=literals | {"a": "else"}) != key(literals=literals)


def test_a_node_type_says_which_inputs_only_stop_it() -> None:
    @node(continues=("until",))
    def Counts(start: int, until: int | None = None) -> int:
        return start

    assert definition_of(Counts).spec.continues == ("until",)


def test_a_stop_that_is_no_input_is_refused() -> None:
    with raises(PackError):

        @node(continues=("untl",))
        def Counts(start: int, until: int | None = None) -> int:
            return start
