"""Removing what was long unused, or everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.cli.cache_exchange import keys_of_run
from nodegraph.errors import OutputError
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.claims import Claims
from nodegraph.store.history import Runs
from nodegraph.store.pruning import PruneReport, preview_trim, prune
from nodegraph.store.store import Store
from tests.properties import examples
from tests.store.support import key_of, put

ALWAYS = float("inf")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def long(seed: int, size: int = 20_000) -> str:
    """A value that is large enough for a file."""
    return f"{seed:08}" * (size // 8)


def used_at(store: Store, moments: dict[str, float]) -> None:
    """Let results have been used at these times."""
    store.flush()
    with store.index.writing() as connection:
        for name, moment in moments.items():
            key = bytes.fromhex(key_of(name))
            connection.execute("UPDATE entries SET used = ? WHERE key = ?", (moment, key))
            entry = store.entry(key_of(name))
            assert entry is not None
            assert entry.outputs is not None
            for output in entry.outputs:
                digest = bytes.fromhex(output.digest)
                connection.execute(
                    "UPDATE artifacts SET used = ? WHERE digest = ?", (moment, digest)
                )


def files(store: Store) -> list[Path]:
    return [path for path in (store.folder / "artifacts").rglob("*") if path.is_file()]


def test_only_what_was_not_used_since_goes(store: Store) -> None:
    put(store, "old", long(1))
    put(store, "new", long(2))
    used_at(store, {"old": 100.0, "new": 300.0})
    assert prune(store, 200.0, dry_run=True) == (gone := prune(store, 200.0))
    assert (gone.artifacts, gone.entries) == (1, 1)
    assert gone.bytes > 20_000
    assert store.entry(key_of("old")) is None
    kept = store.entry(key_of("new"))
    assert kept is not None
    assert kept.outputs is not None
    assert store.load(kept.outputs[0]) == long(2)


def test_everything_goes_and_the_count_of_bytes_is_right(store: Store) -> None:
    for seed in range(3):
        put(store, seed, long(seed))
    store.flush()
    gone = prune(store, ALWAYS)
    assert (gone.artifacts, gone.entries) == (3, 3)
    assert files(store) == []
    assert store.index.fetch_one("SELECT value FROM meta WHERE name = 'bytes'") == (0,)
    assert prune(store, ALWAYS) == PruneReport()


def test_a_file_that_others_share_stays(store: Store) -> None:
    put(store, "old", long(1))
    put(store, "new", long(1))
    used_at(store, {"old": 100.0})
    used_at(store, {"new": 300.0})
    gone = prune(store, 200.0)
    assert (gone.artifacts, gone.entries) == (0, 1)
    assert len(files(store)) == 1


def test_unfinished_work_goes_too(store: Store) -> None:
    checkpoints = Checkpoints(store)
    checkpoints.save(key_of("a"), 1, 2, {"text": long(1)})
    would = prune(store, ALWAYS, dry_run=True)
    assert (would.checkpoints, checkpoints.load(key_of("a")) is None) == (1, False)
    gone = prune(store, ALWAYS)
    assert gone == would
    assert gone.checkpoint_bytes > 20_000
    assert checkpoints.load(key_of("a")) is None


def test_what_a_run_needs_that_goes_on_stays(store: Store) -> None:
    put(store, "before", long(1))
    used_at(store, {"before": 100.0})
    with closing(Claims(store.folder / "claims")) as claims:
        runs = Runs(store.index, claims)
        name = runs.begin("long")
        put(store, "during", long(2))
        store.flush()
        assert prune(store, ALWAYS).entries == 1
        assert store.entry(key_of("during")) is not None
        runs.finish(name, "ok", 1.0, {})
    assert prune(store, ALWAYS).entries == 1


def test_a_store_that_is_only_read_is_not_pruned(store: Store) -> None:
    put(store, "a", long(1))
    store.flush()
    with Store(store.folder, read_only=True) as reading, pytest.raises(OutputError):
        prune(reading, ALWAYS)


@settings(max_examples=examples(25), deadline=None)
@given(
    sizes=st.lists(st.integers(8_000, 60_000), min_size=1, max_size=6),
    budget=st.integers(0, 200_000),
)
def test_what_would_be_trimmed_is_what_is_trimmed(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], budget: int
) -> None:
    with Store(tmp_path_factory.mktemp("store")) as store:
        for seed, size in enumerate(sizes):
            put(store, seed, long(seed, size), seconds=float(seed + 1))
        store.flush()
        would = preview_trim(store, budget)
        gone = store.trim(budget)
        assert (would.artifacts, would.bytes) == (gone.artifacts, gone.bytes)


def test_the_results_of_a_run_are_found(store: Store) -> None:
    put(store, "a", 1)
    put(store, "b", 2)
    assert set(keys_of_run(store, "run-1")) == {key_of("a"), key_of("b")}
    assert keys_of_run(store, "run-2") == []
