"""Older files are led on, newer ones refused."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.migrate import migrate_format, migrate_inputs
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


def test_inputs_pass_every_version_between() -> None:
    migrations = {
        1: lambda inputs: {"b": inputs["a"]},
        3: lambda inputs: {"c": inputs["b"] * 10},
    }
    old = {"a": 1}
    assert migrate_inputs(old, 1, 4, migrations) == {"c": 10}
    assert migrate_inputs({"b": 2}, 2, 4, migrations) == {"c": 20}
    assert old == {"a": 1}
