from __future__ import annotations

from dataclasses import fields
from math import inf, nan
from typing import Any

import pytest

from nodegraph.engine.options import DEFAULT_OPTIONS, RunKeywords, RunOptions
from nodegraph.errors import InvalidValue
from tests.messages import raises


def test_the_keywords_are_the_fields() -> None:
    said = {field.name: field.type for field in fields(RunOptions)}
    keywords = {name: kind.__forward_arg__ for name, kind in RunKeywords.__annotations__.items()}
    assert keywords == said


def test_what_is_said_anew_goes_before_what_was_said() -> None:
    options = RunOptions(deadline=3, values=False)
    assert options.with_changes(deadline=5) == RunOptions(deadline=5, values=False)
    assert options == RunOptions(deadline=3, values=False)


@pytest.mark.parametrize("deadline", [0, -1, nan, inf, "soon", True])
def test_what_is_no_time_is_no_deadline(deadline: Any) -> None:
    with raises(InvalidValue):
        DEFAULT_OPTIONS.with_changes(deadline=deadline)


def test_one_name_is_no_list_of_targets() -> None:
    with raises(InvalidValue, given="'save'"):
        RunOptions(targets="save")


@pytest.mark.parametrize("name", ["check_mutation", "values", "previews"])
def test_what_is_on_or_off_takes_no_number(name: Any) -> None:
    with raises(InvalidValue, given="1"):
        RunOptions(**{name: 1})


@pytest.mark.parametrize(
    "name", ["parameters", "targets", "listener", "cancel", "share", "granted"]
)
def test_what_is_of_another_kind_is_told_before_the_run(name: Any) -> None:
    with raises(InvalidValue, given="3"):
        RunOptions(**{name: 3})


@pytest.mark.parametrize("name", ["parameters", "targets", "listener", "previews", "granted"])
def test_a_value_of_another_kind_is_told_however_deep_it_is(name: Any) -> None:
    deep: Any = []
    doubled: Any = [1]
    for _ in range(5000):
        deep = [deep]
    for _ in range(60):
        doubled = [doubled, doubled]
    for value in (deep, doubled):
        with pytest.raises(InvalidValue, match=name):
            RunOptions(**{name: value})
