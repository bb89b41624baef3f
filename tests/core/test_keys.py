"""A key changes with everything that a result depends on, and with nothing else."""

from __future__ import annotations

from typing import Any

from nodegraph.core.keys import (
    base_key,
    call_key,
    converted_digest,
    lazy_key,
    list_digest,
    opaque_digest,
)
from nodegraph.core.spec import NodeSpec


def base(**changes: Any) -> str:
    given: dict[str, Any] = {"type": "A", "version": 1, "literals": {"a": 1}, "code": "c"}
    given.update(changes)
    spec = NodeSpec(type=given.pop("type"), version=given.pop("version"))
    return base_key(spec, given.pop("literals"), **given)


def test_every_part_counts() -> None:
    keys = [
        base(),
        base(type="B"),
        base(version=2),
        base(literals={"a": 2}),
        base(literals={"b": 1}),
        base(code="d"),
        base(profile="cuda"),
    ]
    assert len(set(keys)) == len(keys)
    assert base(literals={"a": 1}) == base()


def test_a_call_depends_on_inputs_by_name_whatever_their_order() -> None:
    assert call_key("b", {"x": "1", "y": "2"}) == call_key("b", {"y": "2", "x": "1"})
    keys = {
        call_key("b", {"x": "1", "y": "2"}),
        call_key("b", {"x": "2", "y": "1"}),
        call_key("b", {"x": "1y", "": "2"}),
        call_key("b", {"x": "1", "y": "2"}, "file"),
        call_key("", {"x": "1", "y": "2"}, "b"),
    }
    assert len(keys) == 5


def test_the_order_in_which_a_file_gives_inputs_does_not_count_and_that_within_them_does() -> None:
    assert base(literals={"a": 1, "b": 2}) == base(literals={"b": 2, "a": 1})
    assert base(literals={"a": {"x": 1, "y": 2}}) != base(literals={"a": {"y": 2, "x": 1}})


def test_kinds_of_keys_do_not_meet() -> None:
    keys = {list_digest(["a", "b"]), lazy_key("a", "b", ""), opaque_digest("a", "b")}
    keys |= {converted_digest("a", ("b",)), list_digest(["ab"]), list_digest([])}
    assert len(keys) == 6
    assert converted_digest("a", ()) == "a"
