"""What calls took is remembered, and tells what comes."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.store.costs import Cost, Costs
from nodegraph.store.index import Index
from tests.properties import examples
from tests.store.other_process import other_process


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with closing(Index(tmp_path / "index.sqlite")) as index:
        yield index


def _expected(costs: Costs, shape: str = "64x64") -> Cost:
    cost = costs.expected("Sample", shape, "cpu")
    assert cost is not None
    return cost


def test_nothing_is_expected_of_what_never_ran(index: Index) -> None:
    costs = Costs(index)
    costs.record("Sample", "64x64", "cpu", 1.0)
    assert costs.expected("Decode", "64x64", "cpu") is None
    assert costs.expected("Sample", "64x64", "cuda:0") is None


def test_this_shape_counts_before_all_shapes(index: Index) -> None:
    costs = Costs(index)
    costs.record("Sample", "64x64", "cpu", 1.0, memory=100)
    costs.record("Sample", "128x128", "cpu", 5.0, memory=300)
    assert _expected(costs) == Cost(1.0, 100, 1, exact=True)
    assert _expected(costs, "128x128") == Cost(5.0, 300, 1, exact=True)
    assert _expected(costs, "32x32") == Cost(3.0, 300, 2, exact=False)
    assert _expected(costs, "") == Cost(3.0, 300, 2, exact=False)


def test_shapes_are_told_with_the_work_that_they_stand_for(index: Index) -> None:
    costs = Costs(index)
    costs.record("Sample", "64x64", "cpu", 1.0, kind="euler", amount=64.0)
    costs.record("Sample", "128x128", "cpu", 3.0, kind="euler", amount=256.0)
    costs.record("Sample", "unknown", "cpu", 9.0)
    costs.flush()
    for told in (costs, Costs(index)):
        seen = {
            cost.amount: (cost.kind, cost.seconds) for cost in told.costs_by_shape("Sample", "cpu")
        }
        assert seen == {64.0: ("euler", 1.0), 256.0: ("euler", 3.0)}
    assert costs.costs_by_shape("Sample", "cuda:0") == []


@pytest.mark.parametrize("seconds", [math.nan, math.inf])
def test_what_is_no_time_is_ignored(index: Index, seconds: float) -> None:
    costs = Costs(index)
    costs.record("Sample", "64x64", "cpu", seconds)
    costs.record("Sample", "64x64", "cpu", 1.0)
    costs.flush()
    assert _expected(Costs(index)).seconds == 1.0


def test_a_quick_call_counts_more_than_a_slow_one(index: Index) -> None:
    """A busy machine makes calls slower, never faster."""
    costs = Costs(index)
    for shape, last in (("quick", 1.0), ("slow", 3.0)):
        for seconds in (2.0, 2.0, 2.0, 2.0, 2.0, last):
            costs.record("Sample", shape, "cpu", seconds)
    assert 2.0 - _expected(costs, "quick").seconds > _expected(costs, "slow").seconds - 2.0


def test_a_call_without_a_shape_counts_once(index: Index) -> None:
    costs = Costs(index)
    costs.record("Sample", "", "cpu", 1.0)
    assert _expected(costs) == Cost(1.0, None, 1, exact=False)


def test_it_is_written_at_a_flush_only(index: Index) -> None:
    costs = Costs(index)
    costs.record("Sample", "64x64", "cpu", 2.0, memory=7)
    assert Costs(index).expected("Sample", "64x64", "cpu") is None
    costs.flush()
    assert _expected(Costs(index)) == _expected(costs) == Cost(2.0, 7, 1, exact=True)
    costs.flush()
    assert _expected(Costs(index)).count == 1


def test_a_slow_first_call_is_soon_forgotten(index: Index) -> None:
    costs = Costs(index)
    costs.record("Sample", "64x64", "cpu", 100.0)
    for _ in range(25):
        costs.record("Sample", "64x64", "cpu", 1.0)
    assert _expected(costs).seconds == pytest.approx(1.0, abs=0.3)


def test_the_highest_peak_is_kept(index: Index) -> None:
    costs = Costs(index)
    for memory in (None, 5, 9, None, 3):
        costs.record("Sample", "64x64", "cpu", 1.0, memory)
    costs.flush()
    assert _expected(costs).memory == 9
    costs.record("Sample", "64x64", "cpu", 1.0, memory=8)
    costs.flush()
    assert _expected(costs).memory == 9


@settings(max_examples=examples(40), deadline=None)
@given(
    calls=st.lists(st.floats(0, 1e6), min_size=1, max_size=80), flushes=st.sets(st.integers(0, 79))
)
def test_flushing_in_between_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, calls: list[float], flushes: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("costs")
    with closing(Index(folder / "index.sqlite")) as index:
        costs = Costs(index)
        mean = 0.0
        for number, seconds in enumerate(calls):
            costs.record("Sample", "64x64", "cpu", seconds)
            least = 0.4 if seconds < mean else 0.2
            mean += max(1 / (number + 1), least) * (seconds - mean)
            assert _expected(costs).seconds == pytest.approx(mean)
            if number in flushes:
                costs.flush()
        costs.flush()
        again = _expected(Costs(index))
        assert again.count == len(calls)
        # Of many calls between two flushes, the earliest are left out.
        assert again.seconds == pytest.approx(mean, abs=1e6 * 0.8**31, rel=1e-6)


def test_two_processes_add_up(index: Index) -> None:
    script = (
        "from pathlib import Path\nfrom nodegraph.store.costs import Costs\n"
        "from nodegraph.store.index import Index\n"
        f"costs = Costs(Index(Path({str(index.path)!r})))"
    )
    with other_process(script) as other:
        costs = Costs(index)
        assert other.ask('costs.expected("Sample", "64x64", "cpu")') == "null"
        costs.record("Sample", "64x64", "cpu", 1.0)
        other.ask('costs.record("Sample", "64x64", "cpu", 3.0, 50)')
        costs.flush()
        other.ask("costs.flush()")
        assert other.ask('costs.expected("Sample", "64x64", "cpu").count') == "2"
        costs.flush()
        assert _expected(costs) == Cost(2.0, 50, 2, exact=True)


def test_what_could_not_be_written_is_written_later(index: Index) -> None:
    costs = Costs(index)
    for seconds in range(50):
        costs.record("Sample", "64x64", "cpu", seconds)
    before = _expected(costs)
    with index.writing() as connection:
        connection.execute("ALTER TABLE costs RENAME TO elsewhere")
    with pytest.raises(sqlite3.OperationalError):
        costs.flush()
    assert _expected(costs) == before
    with index.writing() as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO costs")
    costs.record("Sample", "64x64", "cpu", 3.0)
    after = _expected(costs)
    costs.flush()
    written = _expected(Costs(index))
    assert written.count == after.count == 51
    assert written.seconds == pytest.approx(after.seconds, rel=0.01)


def test_a_read_only_index_is_left_alone(index: Index) -> None:
    costs = Costs(index)
    costs.record("Sample", "64x64", "cpu", 1.0)
    costs.flush()
    with closing(Index(index.path, read_only=True)) as reading:
        reader = Costs(reading)
        reader.record("Sample", "64x64", "cpu", 2.0)
        reader.flush()
        assert _expected(reader).count == 2
    assert _expected(Costs(index)).count == 1


def test_what_was_seen_least_goes_first(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodegraph.store.costs._MOST_ROWS", 3)
    costs = Costs(index)
    for shape, count in (("a", 3), ("b", 1), ("c", 2)):
        for _ in range(count):
            costs.record("Sample", shape, "cpu", 1.0)
    costs.flush()
    assert _expected(costs, "a").exact
    assert _expected(costs, "c").exact
    assert not _expected(costs, "b").exact
    assert _expected(costs, "b").count == 6
