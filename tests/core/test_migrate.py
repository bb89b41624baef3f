"""Older files are led on, newer ones refused."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.migrate import migrate_format, migrate_inputs, migrate_unread
from nodegraph.errors import InvalidFile
from tests.messages import raises


@pytest.mark.parametrize(
    "document",
    [
        {"nodes": {}},
        {"3": {"class_type": "KSampler"}},
        {"format": "nodegraph/2"},
        {"format": "nodegraph/0"},
        {"format": 1},
        {"format": "comfy"},
    ],
)
def test_what_is_not_of_todays_format_is_refused(document: dict[str, Any]) -> None:
    with raises(InvalidFile):
        migrate_format(document)


def test_an_older_format_is_led_on_step_by_step() -> None:
    migrations = {
        "nodegraph/-1": lambda found: {**found, "format": "nodegraph/0", "nodes": found["graph"]},
        "nodegraph/0": lambda found: {**found, "format": "nodegraph/1"},
    }
    found = migrate_format({"format": "nodegraph/-1", "graph": {"a": 1}}, migrations)
    assert found["format"] == "nodegraph/1"
    assert found["nodes"] == {"a": 1}


@pytest.mark.parametrize(
    ("step", "inputs", "unread"),
    [
        (lambda old: {"size" if name == "r" else name: old[name] for name in old}, {}, ["size"]),
        (lambda old: {"size": old["r"] * 2, "is_large": old["r"] > 2}, {}, ["is_large", "size"]),
        (lambda old: {"words": old["r"].strip().upper(), "other": 1}, {"other": 1}, ["words"]),
        (lambda old: {"method": {"x": "y"}[old["r"]]} if "r" in old else {}, {}, ["r"]),
        (lambda old: {name: old[name] for name in old if name != "r"}, {}, []),
    ],
)
def test_inputs_that_were_not_read_pass_every_version_too(
    step: Any, inputs: dict[str, Any], unread: list[str]
) -> None:
    assert migrate_unread({}, ["r"], 1, 2, {1: step}) == (inputs, unread)


def test_inputs_pass_every_version_between() -> None:
    migrations = {
        1: lambda inputs: {"b": inputs["a"]},
        3: lambda inputs: {"c": inputs["b"] * 10},
    }
    old = {"a": 1}
    assert migrate_inputs(old, 1, 4, migrations) == {"c": 10}
    assert migrate_inputs({"b": 2}, 2, 4, migrations) == {"c": 20}
    assert old == {"a": 1}
