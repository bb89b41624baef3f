"""Values of classes that no pack declares come back, if these are loaded, and run nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import msgpack
import numpy as np
import pytest

from nodegraph.api import node
from nodegraph.core.workflow import Workflow
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from nodegraph.store.codec import Undecodable, Unstorable, decode, encode
from nodegraph.store.entries import OutputGone
from nodegraph.store.msgpack_codec import NotLoaded, unpack
from tests.messages import raises
from tests.store.support import open_at, output, put

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    """Nodes here reach the list: with other content they would count as edited."""
    ran.clear()


class Unit(Enum):
    """What is measured in."""

    METER = "m"


@dataclass
class Measured:
    """Some measurements."""

    when: datetime
    unit: Unit
    values: Any

    def __post_init__(self) -> None:
        ran.append("made")


class Deleting:
    """Does something when it goes."""

    def __del__(self) -> None:
        pass


@dataclass
class Dangerous(Deleting):
    """A dataclass that does."""

    path: str = ""


@dataclass
class Entries(dict):  # type: ignore[type-arg]
    """Fields, and entries besides."""

    a: int = 1


class _Held:
    __slots__ = ("held",)


@dataclass
class Holding(_Held):
    """Fields, and a slot besides."""

    a: int = 1


def local() -> Any:
    @dataclass
    class Local:
        a: int = 1

    return Local()


@pytest.mark.parametrize("make", [local, Dangerous, Entries, Holding])
def test_what_is_not_found_again_or_holds_more_is_refused(make: Callable[[], Any]) -> None:
    with raises(Unstorable):
        encode([make()], {})


class Lenient(Enum):
    """Takes any value."""

    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> Lenient:
        ran.append("_missing_")
        return cls.ONE


@dataclass
class Watched:
    """Has a field whose setting is code."""

    x: int


def _watch(watched: Watched, value: int) -> None:
    ran.append("setter")


Watched.x = property(lambda watched: 1, _watch)  # type: ignore[assignment]


@dataclass(frozen=True)
class Hashed:
    """Brings its own hash."""

    x: int

    def __hash__(self) -> int:
        ran.append("__hash__")
        return 1


@dataclass(frozen=True)
class Place:
    """A key as dataclasses make them."""

    x: Any


def extension(code: int, *form: Any) -> msgpack.ExtType:
    return msgpack.ExtType(code, msgpack.packb(form))


HASHED = extension(4, f"{__name__}:Hashed", {"x": 1})


@pytest.mark.parametrize(
    "form",
    [
        extension(5, f"{__name__}:Lenient", "other"),
        extension(5, f"{__name__}:Unit", HASHED),
        extension(4, f"{__name__}:Watched", {"x": 1}),
        {HASHED: 1},
        {extension(2, HASHED): 1},
        {extension(4, f"{__name__}:Place", {"x": HASHED}): 1},
    ],
)
def test_bytes_run_no_code_of_a_class(form: Any) -> None:
    with pytest.raises(Undecodable):
        unpack(msgpack.packb(form), {})
    assert not ran


def test_keys_that_python_hashes_come_back() -> None:
    value = {Place(1): 1, Unit.METER: 2, (Place("a"), 2): 3}
    assert decode(encode(value, {}).inline()[1:], "msgpack", {}) == value
    with raises(Unstorable):
        encode({Hashed(1): 1}, {})


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("measures")
    monkeypatch.setitem(sys.modules, "measures", made)
    return made


def declared(module: ModuleType, name: str, *names: str) -> Any:
    kind: Any = make_dataclass(name, names)
    kind.__module__ = module.__name__
    setattr(module, name, kind)
    return kind


def test_a_class_that_is_another_by_now_is_not_filled(module: ModuleType) -> None:
    data = encode(declared(module, "Length", "meters")(3), {}).inline()[1:]
    assert decode(data, "msgpack", {}).meters == 3
    declared(module, "Length", "feet")
    with raises(Undecodable):
        decode(data, "msgpack", {})
    module.Length = "no class"  # type: ignore[attr-defined]
    with raises(NotLoaded):
        decode(data, "msgpack", {})


def test_a_module_that_is_not_loaded_is_not_imported(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = encode(declared(module, "Length", "meters")(3), {}).inline()[1:]
    monkeypatch.delitem(sys.modules, "measures")
    (tmp_path / "measures.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    with raises(NotLoaded):
        decode(data, "msgpack", {})


@node
def Measure(count: int) -> Any:
    """Values of many kinds on one port."""
    ran.append("Measure")
    when = datetime(2026, 1, 2, tzinfo=timezone.utc)
    return {"all": [Measured(when, Unit.METER, np.arange(count)), np.float32(0.5)]}


@node
def Sum(measured: Any, times: int) -> float:
    """What they come to."""
    ran.append("Sum")
    found = measured["all"][0]
    assert found.unit is Unit.METER
    return float(found.values.sum() * times)


def run(home: Path, times: int) -> Any:
    document = {
        "m": {"type": "Measure", "inputs": {"count": 5000}},
        "s": {"type": "Sum", "inputs": {"measured": {"from": "m"}, "times": times}},
    }
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": document})
    with Session(Settings(home=home, keep_cheap=True), nodes=[Measure, Sum]) as session:
        result = session.run(workflow, targets=["m", "s"])
        assert not result.errors, result.errors
        return result["m.output"], result["s.number"]


def test_what_an_any_port_gave_is_taken_from_the_disk_by_another_session(tmp_path: Path) -> None:
    first, _ = run(tmp_path, 1)
    ran.clear()
    again, total = run(tmp_path, 2)
    assert ran == ["Sum"]
    assert total == 2 * sum(range(5000))
    (measured, half), (before, _) = again["all"], first["all"]
    assert (measured.when, measured.unit, type(half)) == (before.when, before.unit, np.float32)
    assert np.array_equal(measured.values, before.values)


def test_a_class_that_is_not_loaded_is_no_fault_of_the_store(
    module: ModuleType, tmp_path: Path
) -> None:
    with open_at(tmp_path) as store:
        put(store, "m", declared(module, "Length", "meters")(3))
        assert store.load(output(store, "m")).meters == 3
        del module.Length
        with pytest.raises(OutputGone, match="is not known here"):
            store.load(output(store, "m"))
        assert store.problem is None
