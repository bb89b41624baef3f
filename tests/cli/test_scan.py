"""The first look at a command line."""

from __future__ import annotations

import pytest

from nodegraph.cli.argument_scan import Scan, option_names, scan
from nodegraph.cli.options import common_options, declared_options
from nodegraph.cli.run import run

DECLARED = {**declared_options(run), **common_options()}


@pytest.mark.parametrize(
    ("line", "positional", "doubtful"),
    [
        ("wf.json", ["wf.json"], []),
        ("wf.json --seed 3", ["wf.json"], ["3"]),
        ("--seed 3 wf.json", ["wf.json"], ["3"]),
        ("--seed=3 wf.json", ["wf.json"], []),
        ("--loud wf.json", [], ["wf.json"]),
        ("--seed -1 wf.json", ["wf.json"], ["-1"]),
        ("--loud -o out wf.json", ["wf.json"], []),
        ("--json wf.json", ["wf.json"], []),
        ("-o out wf.json", ["wf.json"], []),
        ("--out=out -q wf.json", ["wf.json"], []),
        ("--seed 3 -", ["-"], ["3"]),
        ("--seed 3 -- --odd.json", ["--odd.json"], ["3"]),
        ("--out", [], []),
    ],
)
def test_the_workflow_is_found_among_unknown_options(
    line: str, positional: list[str], doubtful: list[str]
) -> None:
    found = scan(line.split(), DECLARED)
    assert (found.positional, found.ambiguous) == (positional, doubtful)


def test_values_of_known_options_are_read() -> None:
    line = "wf.json --pack a.py --pack=b.py --home here --set x=1"
    found = scan(line.split(), DECLARED)
    assert found == Scan(
        ["wf.json"], [], {"pack": ["a.py", "b.py"], "home": ["here"], "set_": ["x=1"]}
    )


def test_every_spelling_of_an_option_is_known() -> None:
    names = option_names(DECLARED)
    assert {"--out", "-o", "--set", "--no-cache", "--help", "-h", "--pack"} <= names
