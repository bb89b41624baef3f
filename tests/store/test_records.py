"""Runs are remembered, found by short names, and told to be killed if they were."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.store.claims import Claims
from nodegraph.store.history import KILLED, RUNNING, Runs
from nodegraph.store.index import Index
from tests.messages import raises
from tests.store.other_process import Other, other_process


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with closing(Index(tmp_path / "index.sqlite")) as index:
        yield index


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Claims]:
    with closing(Claims(tmp_path / "claims")) as claims:
        yield claims


@pytest.fixture
def runs(index: Index, claims: Claims) -> Runs:
    return Runs(index, claims)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    script = (
        "from pathlib import Path\nfrom nodegraph.store.claims import Claims\n"
        "from nodegraph.store.history import Runs\nfrom nodegraph.store.index import Index\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "runs = Runs(Index(folder / 'index.sqlite'), Claims(folder / 'claims'))"
    )
    with other_process(script) as process:
        yield process


def _done(runs: Runs, title: str = "a run") -> str:
    run = runs.begin(title)
    runs.finish(run, "done", 0.5, {})
    return run


def test_a_run_from_its_beginning_to_its_end(runs: Runs) -> None:
    run = runs.begin("portrait.json")
    found = runs.get(run)
    assert (found.title, found.status, found.seconds, found.record) == (
        "portrait.json",
        RUNNING,
        None,
        {},
    )
    record = {"nodes": {"sample": {"seconds": 1.5}}, "seed": 2**70, "odd": "\ud800", 1: [None]}
    runs.finish(run, "done", 2.5, record)
    found = runs.get(run)
    assert (found.status, found.seconds, found.record) == ("done", 2.5, record)
    assert runs.list() == [type(runs.list()[0])(run, "portrait.json", found.started, 2.5, "done")]


def test_ids_can_be_typed_and_sort_by_time(runs: Runs) -> None:
    ids = [_done(runs) for _ in range(5)]
    assert len(set(ids)) == 5
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-z]{4}", run) for run in ids)
    assert [run[:15] for run in ids] == sorted(run[:15] for run in ids)
    assert [run.id for run in runs.list()] == ids[::-1]
    assert [run.id for run in runs.list(2)] == ids[:2:-1]


def test_names_of_runs(runs: Runs) -> None:
    first, second = _done(runs), _done(runs)
    assert runs.get("last").id == second
    assert runs.get("last~0").id == second
    assert runs.get("last~1").id == first
    assert runs.get(first).id == first
    if first[:-1] != second[:-1]:  # the end is drawn
        assert runs.get(first[:-1]).id == first
    if first[-4:] != second[-4:]:
        assert runs.get(first[-4:]).id == first
    with raises(InvalidValue, given="2026") as raised:
        runs.get(first[:4])
    assert first in str(raised.value)
    assert second in str(raised.value)


@pytest.mark.parametrize("name", ["last~2", "last~x", "last~", "last~-1", "last~" + "9" * 5000])
def test_going_back_too_far(runs: Runs, name: str) -> None:
    _done(runs)
    with pytest.raises(InvalidValue):
        runs.get(name)


@pytest.mark.parametrize("name", ["", "x", "%", "2025_", "\ud800", "-"])
def test_an_unknown_run_is_told_from_known_ones(runs: Runs, name: str) -> None:
    with raises(InvalidValue):
        runs.get(name)
    run = _done(runs)
    with raises(InvalidValue) as raised:
        runs.get(name)
    assert run in str(raised.value)


def test_a_mistyped_run_is_guessed(runs: Runs) -> None:
    run = _done(runs)
    with pytest.raises(InvalidValue, match=f"Did you mean `{run}`"):
        runs.get(f"{run[:-1]}!")


def test_only_the_latest_are_kept(index: Index, claims: Claims) -> None:
    runs = Runs(index, claims, keep=3)
    going_on = runs.begin("long")
    ids = [_done(runs) for _ in range(5)]
    assert [run.id for run in runs.list()] == [*ids[:1:-1], going_on]
    runs.finish(going_on, "done", 9.0, {})
    assert runs.prune(1) == 3
    assert [run.id for run in runs.list()] == [ids[-1]]


def test_what_goes_on_in_another_process_is_seen(runs: Runs, other: Other) -> None:
    run = other.ask('runs.begin("elsewhere")').strip('"')
    assert runs.get(run).status == RUNNING
    assert runs.oldest_live_start() == runs.get(run).started
    assert runs.prune(0) == 0
    other.ask(f'runs.finish("{run}", "failed", 1.0, {{}})')
    assert runs.get(run).status == "failed"
    assert runs.oldest_live_start() is None


def test_a_killed_run_is_not_running_for_ever(runs: Runs, other: Other) -> None:
    run = other.ask('runs.begin("elsewhere")').strip('"')
    other.kill()
    assert runs.get(run).status == KILLED
    assert [(each.id, each.status) for each in runs.list()] == [(run, KILLED)]
    assert runs.oldest_live_start() is None
    assert runs.prune(0) == 1


def test_the_oldest_live_run(runs: Runs) -> None:
    assert runs.oldest_live_start() is None
    first, second = runs.begin("one"), runs.begin("two")
    assert runs.oldest_live_start() == runs.get(first).started
    runs.finish(first, "done", 1.0, {})
    assert runs.oldest_live_start() == runs.get(second).started


def test_a_record_that_cannot_be_kept_does_not_keep_the_run_from_ending(runs: Runs) -> None:
    run = runs.begin("a run")
    with raises(TypeError):
        runs.finish(run, "done", 1.0, {"value": object()})
    assert (runs.get(run).status, runs.get(run).record) == ("done", {})
    assert runs.oldest_live_start() is None


def test_runs_may_share_the_claim_of_their_process(index: Index, claims: Claims) -> None:
    owner = "ab" * 16
    runs = Runs(index, claims, owner=owner)
    run = runs.begin("a run")
    assert runs.get(run).status == KILLED
    claims.try_claim(owner)
    assert runs.get(run).status == RUNNING
    with index.reading() as connection:
        assert connection.execute("SELECT owner FROM runs").fetchall() == [(owner,)]
    runs.finish(run, "done", 1.0, {})
    assert claims.is_held(owner)


def test_a_damaged_record_is_told(runs: Runs, index: Index) -> None:
    run = _done(runs)
    with index.writing() as connection:
        connection.execute("UPDATE runs SET record = x'0102'")
    with raises(InvalidFile):
        runs.get(run)
