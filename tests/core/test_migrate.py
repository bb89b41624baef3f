"""Older files are led on, newer ones refused."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.migrations import migrate_format, migrate_inputs, migrate_unread
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
        (lambda old: {"method": {"x": "y"}[old["r"]]} if "r" in old else {}, {}, ["method"]),
        (lambda old: {name: old[name] for name in old if name != "r"}, {}, []),
        (lambda old: {"other": 1, "first": old["r"].split("x")[0]}, {"other": 1}, ["first"]),
    ],
)
def test_inputs_that_were_not_read_pass_every_version_too(
    step: Any, inputs: dict[str, Any], unread: list[str]
) -> None:
    found, asked_for = migrate_unread({}, ["r"], 1, 2, {1: step})
    assert (found, list(asked_for)) == (inputs, unread)


METHODS = {"quick": "fast", "exact": "slow"}


@pytest.mark.parametrize(
    "step",
    [
        lambda old: {"mode": "big" if old["r"] > 100_000_000 else "small"},
        lambda old: {"mode": old["r"] == "quick"},
        lambda old: {"mode": old["r"].strip().lower().startswith("quick")},
        lambda old: {"mode": METHODS.get(old["r"], "slow")},
        lambda old: {"mode": METHODS[old["r"]]},
        lambda old: {"mode": max(old.get("r", 1), 10)},
        lambda old: {"mode": old["r"] >= 0},
        lambda old: {"mode": bool(old["r"])},
        lambda old: {"mode": "r" in old and old["r"] in ("quick", "fast")},
        lambda old: {"mode": int(old["r"]) > 10**9},
        lambda old: {"mode": float(old["r"]) > 10**9},
        lambda old: {"mode": f"{old['r']}" == "quick"},
        lambda old: {"mode": len(old["r"]) > 9},
        lambda old: {"mode": any(item == "quick" for item in old["r"])},
        lambda old: {"mode": old["r"][3]},
        lambda old: {"mode": old["r"] is not None},
        lambda old: {"mode": isinstance(old["r"], str)},
        lambda old: {"mode": 0.0 * old["r"]},
        lambda old: {"mode": "quick"} if old["r"] == "quick" else {},
        lambda old: {"mode": "quick" if old["r"]["of"] else "slow"},
    ],
)
def test_whatever_may_depend_on_a_value_that_was_not_read_has_none(step: Any) -> None:
    assert migrate_unread({}, ["r"], 1, 2, {1: step}, ["mode"]) == ({}, {"mode": ["r"]})


def test_no_number_is_tried_that_would_make_too_much() -> None:
    tried: list[int] = []

    def step(old: dict[str, Any]) -> dict[str, Any]:
        if isinstance(old["r"], (int, float)):
            tried.append(int(old["r"]))
        return {"sizes": [1] * int(old["r"]), "is_huge": old["r"] > 10**9}

    found = migrate_unread({}, ["r"], 1, 2, {1: step}, ["sizes", "is_huge"])
    assert found == ({}, {"is_huge": ["r"], "sizes": ["r"]})
    assert max(map(abs, tried)) <= 100_000


def test_what_is_handed_on_unchanged_stays_where_a_migration_decides() -> None:
    def step(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "r": 1.0 if old["r"] == "quick" else 0.5, "other": 1}

    found = migrate_unread({"size": 5}, ["r"], 1, 2, {1: step}, ["r", "size", "other"])
    assert found == ({"size": 5}, {"other": ["r"], "r": ["r"]})


@pytest.mark.parametrize(
    ("step", "inputs", "unread"),
    [
        (lambda old: {"size": f"{old['w']}x{old['h']}"}, {}, {"size": ["w", "h"]}),
        (lambda old: {"size": [old["w"], old["h"]]}, {"w": 5}, {"size": ["h"]}),
        (lambda old: {"b": old["w"] * 2, "a": old["h"].upper()}, {}, {"a": ["h"], "b": ["w"]}),
        (lambda old: {"size": old["w"] * old["h"]}, {"w": 0}, {"size": ["h"]}),
        (lambda old: {"size": old["w"] * old["h"]}, {"w": 0.0}, {"size": ["h"]}),
        (lambda old: {"size": old["w"][1], "a": old["h"].upper()}, {}, {"a": ["h"], "size": ["w"]}),
        (lambda old: {"size": old["w"] > 9 and old["h"] == "quick"}, {}, {"size": ["w", "h"]}),
    ],
)
def test_several_that_were_not_read_are_told_apart(
    step: Any, inputs: dict[str, Any], unread: dict[str, list[str]]
) -> None:
    missing = [name for name in ("w", "h") if name not in inputs]
    ports = ["size", "a", "b"]
    assert migrate_unread(inputs, missing, 1, 2, {1: step}, ports) == ({}, unread)


def test_where_no_value_is_taken_all_inputs_are_asked_for_that_are_not_given() -> None:
    def step(old: dict[str, Any]) -> dict[str, Any]:
        return {"mode": old["r"]["of"], "size": old["size"]}

    found = migrate_unread({"size": 5}, ["r"], 1, 2, {1: step}, ["mode", "size"])
    assert found == ({"size": 5}, {"mode": ["r"]})


def test_inputs_pass_every_version_between() -> None:
    migrations = {
        1: lambda inputs: {"b": inputs["a"]},
        3: lambda inputs: {"c": inputs["b"] * 10},
    }
    old = {"a": 1}
    assert migrate_inputs(old, 1, 4, migrations) == {"c": 10}
    assert migrate_inputs({"b": 2}, 2, 4, migrations) == {"c": 20}
    assert old == {"a": 1}
