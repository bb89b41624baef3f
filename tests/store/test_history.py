"""What the index tells of earlier results and of the code behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.digests import digest_value
from nodegraph.store.entries import NewEntry, UnsavedOutput
from nodegraph.store.history import CodeModules, History
from nodegraph.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


def key_of(text: str) -> str:
    return digest_value(text)


def put(store: Store, name: str, node_type: str = "Mix", parts: Any = None, **more: Any) -> None:
    output = UnsavedOutput(key_of(f"value of {name}"), 4, 7)
    entry = NewEntry(
        outputs=more.get("outputs", (output,)),
        requested_input=more.get("asked"),
        node_type=node_type,
        seconds=0.5,
        run="run one",
        parts=None if parts is None else lambda: parts,
    )
    store.put(key_of(name), entry)
    store.flush()


def test_a_result_is_found_with_what_its_key_was_made_of(store: Store) -> None:
    parts = {"code": "a", "links": {"a": ["00", "n.port"]}, "literals": {"b": "…"}}
    put(store, "one", parts=parts)
    found = History(store.index).of(key_of("one"))
    assert found is not None
    assert (found.node_type, found.seconds, found.run) == ("Mix", 0.5, "run one")
    assert found.parts == parts
    assert History(store.index).of(key_of("two")) is None


def test_the_latest_results_of_a_type_come_first_and_without_steps(store: Store) -> None:
    for moment, name in enumerate(("one", "two", "three")):
        put(store, name)
        with store.index.writing() as connection:
            change = "UPDATE entries SET created = ? WHERE key = ?"
            connection.execute(change, (moment, bytes.fromhex(key_of(name))))
    put(store, "other", "Other")
    put(store, "step", outputs=None, asked="first")
    found = History(store.index).latest("Mix", 2)
    assert [item.key for item in found] == [key_of("three"), key_of("two")]
    assert all(item.parts is None for item in found)


def test_types_without_any_result_are_told_from_others(store: Store) -> None:
    put(store, "one")
    history = History(store.index)
    assert (history.knows("Mix"), history.knows("Other")) == (True, False)


def test_damaged_parts_are_not_known(store: Store) -> None:
    put(store, "one", parts={"code": "a"})
    with store.index.writing() as connection:
        connection.execute("UPDATE entries SET parts = x'c1'")
    found = History(store.index).of(key_of("one"))
    assert found is not None
    assert found.parts is None


def test_the_modules_behind_a_digest_are_noted_once(store: Store) -> None:
    asked = []

    def modules() -> dict[str, str]:
        asked.append(1)
        return {"pack.nodes": "ab" * 32, "pack.helper": "cd" * 32}

    codes = CodeModules(store.index)
    codes.remember("12" * 32, modules)
    codes.remember("12" * 32, modules)
    CodeModules(store.index).remember("12" * 32, modules)
    assert len(asked) == 1
    assert CodeModules(store.index).modules("12" * 32) == modules()
    assert codes.modules("34" * 32) is None
