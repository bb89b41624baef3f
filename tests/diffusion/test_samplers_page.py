"""docs/samplers.md tells of every sampler and schedule, and rightly which models they fit."""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate_samplers import FILE, text
from nodegraph.families.sampler_names import (
    FLOW_SCHEDULE_NAMES,
    FURTHER_LAWS,
    SAMPLER_NAMES,
    SCHEDULE_NAMES,
    TABLE_SCHEDULES,
    allowed_schedules,
)
from nodegraph.families.schedule_checks import FLOW_LAWS, TABLE_FORMULAS
from nodegraph.sampling.sampler_options import SAMPLER_OPTIONS

PAGE = Path(__file__).parents[2] / "docs" / "samplers.md"


def rows(heading: str) -> dict[str, dict[str, str]]:
    """Of the table below a heading, by name: its cells by column."""
    part = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    columns, _, *told = cells
    return {row[0].strip("`"): dict(zip(columns, row, strict=True)) for row in told}


def test_what_is_asked_without_torch_is_what_the_samplers_say() -> None:
    assert FILE.read_text("utf-8") == text(), "python docs/generate_samplers.py"


def test_every_sampler_is_told_with_the_models_it_fits() -> None:
    told = rows("Samplers")
    assert tuple(told) == SAMPLER_NAMES
    for column, kind in (("Table", "discrete"), ("Flow", "flow")):
        fitting = [name for name, row in told.items() if row[column]]
        assert fitting == list(allowed_schedules(kind))


def test_every_schedule_is_told_with_what_can_follow_it() -> None:
    told = rows("Schedules")
    assert tuple(told) == SCHEDULE_NAMES
    assert {name for name, row in told.items() if row["Whole"]} == set(TABLE_SCHEDULES)
    assert {name for name, row in told.items() if row["Flow"]} == set(FLOW_SCHEDULE_NAMES)


def test_every_option_is_told_with_what_it_is_untold() -> None:
    told = {name: row["Options"] for name, row in rows("Options").items()}
    assert told == {
        name: ", ".join(f"`{option}` {value:g}" for option, value in heeded.items())
        for name, heeded in SAMPLER_OPTIONS.items()
    }


def test_every_law_is_told_with_what_can_follow_it() -> None:
    told = rows("Schedules of one's own")
    assert tuple(told) == FURTHER_LAWS
    assert {name for name, row in told.items() if row["Whole"]} == set(TABLE_FORMULAS) & set(told)
    assert {name for name, row in told.items() if row["Flow"]} == set(FLOW_LAWS) & set(told)


def test_every_node_that_is_named_is_one() -> None:
    page = PAGE.read_text(encoding="utf-8")
    part = page.split("## Schedules of one's own")[1]
    named = set(re.findall(r"`([A-Z]\w+)`", part))
    reference = (PAGE.parent / "node-reference.md").read_text(encoding="utf-8")
    assert len(named) > 20
    assert {name for name in named if f"- [{name}](" not in reference} == set()
