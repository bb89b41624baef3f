"""The house stays one that can be held in mind: no figure of its shape grows.

`python -m tests.house` prints the figures, `--write` keeps them where they have fallen.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.house import ALLOWED, HINTS, LISTED, House, Module, imports_of, measure, modules_entered

FIGURES: dict[str, int] = json.loads(ALLOWED.read_text("utf-8"))


SOME = 8
"""Modules by which two runs of one trip differ, as threads do."""


@pytest.fixture(scope="module")
def house() -> House:
    return measure()


@pytest.mark.parametrize("figure", HINTS)
def test_a_figure_does_not_grow(house: House, figure: str) -> None:
    grown = {
        name: f"{count}, allowed are {FIGURES.get(name, 0)}"
        for name, count in house.figures().items()
        if name.split()[0] == figure and count > FIGURES.get(name, 0)
    }
    shown = f" --list {figure}" if figure in LISTED else ""
    assert not grown, f"{HINTS[figure]} (python -m tests.house{shown})"


@pytest.mark.slow
def test_a_job_and_a_command_enter_no_more_modules() -> None:
    grown = {
        name: f"{count}, allowed are {FIGURES[name]}"
        for name, count in modules_entered().items()
        if count > FIGURES[name] + SOME
    }
    assert not grown, "python benchmarks/trips.py --list command (or server, worker) names them"


def test_an_import_counts_wherever_it_stands() -> None:
    def module(name: str, text: str) -> Module:
        return Module(name, Path(name.replace(".", "/") + ".py"), text)

    names = ("nodegraph.a", "nodegraph.b", "nodegraph.c", "nodegraph.d", "nodegraph.e")
    modules = {name: module(name, "") for name in names}
    text = """
from typing import TYPE_CHECKING
import nodegraph.a
if TYPE_CHECKING:
    from nodegraph.b import thing
def late():
    from . import c
    return load("nodegraph.d:THING"), "nodegraph.missing", "see nodegraph.e"
"""
    assert imports_of(module("nodegraph.f", text), modules) == set(names[:4])


def test_docstrings_name_what_is_there(house: House) -> None:
    modules = house.modules.values()
    stale = {str(one.path): found for one in modules if (found := [*house.stale_names(one)])}
    assert stale == {}
