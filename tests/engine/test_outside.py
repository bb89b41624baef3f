"""Files and variables that nodes read by `ctx.file` and `ctx.env` are part of what is cached."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from nodegraph import (
    Context,
    Expand,
    HookInputs,
    InvalidFile,
    Lazy,
    Session,
    Settings,
    Value,
    Workflow,
    node,
)
from nodegraph.engine.result import RunResult


@node
def Given(value: int = 1) -> int:
    """A number."""
    return value


@node
def Told(ctx: Context, name: str = "number.txt") -> int:
    """The number in a file whose name stands in another file."""
    path = ctx.file(name)
    text = path.read_text() if path.exists() else "-1"
    if text.strip().isdigit() or text == "-1":
        return int(text)
    return int(ctx.file(text.strip()).read_text())


@node
def Scaled(ctx: Context, number: int) -> int:
    """Scale by a variable."""
    return number * int(ctx.env("OUTSIDE_SCALE", "1") or 1)


@node
async def Chosen(ctx: Context, one: Lazy[int], two: Lazy[int]) -> int:
    """One of two, as a variable says."""
    return await two() if ctx.env("OUTSIDE_SCALE") == "2" else await one()


@node
def Overwritten(ctx: Context, name: str = "number.txt") -> int:
    """Read a file that changes meanwhile."""
    path = ctx.file(name)
    number = int(path.read_text())
    path.write_text(str(number + 1))
    return number


@node
def PutBack(ctx: Context, name: str = "number.txt") -> int:
    """Read a file that is another for that moment."""
    path = ctx.file(name)
    text = path.read_text()
    path.write_text("77")
    number = int(path.read_text())
    path.write_text(text)
    return number


def content(inputs: HookInputs) -> str:
    """What the file holds that `Told` reads."""
    return (inputs.environment.inputs / "number.txt").read_text()


@node(fingerprint=content)
def Late(ctx: Context) -> int:
    """Read a file that changes between the look at it and its reading."""
    path = ctx.environment.inputs / "number.txt"
    path.write_text("77")
    return int(path.read_text())


@node
def Within(name: str = "number.txt") -> int:
    """The number in a file, by nodes of its own."""
    return Expand({"told": {"type": "Told", "inputs": {"name": Value(name)}}}, {"number": "told"})


@node
def Opened(ctx: Context, name: str = "number.txt") -> str:
    """What becomes of opening a file, or its text."""
    try:
        return ctx.file(name).read_text()
    except OSError as error:
        return type(error).__name__


NODES = [Given, Told, Scaled, Chosen, Overwritten, PutBack, Late, Within, Opened]


class Place:
    """A folder of inputs, and sessions that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(home=folder / "home")

    def session(self) -> Session:
        return Session(self.settings, nodes=NODES, inputs=self.folder)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(self, session: Session | None = None, kind: str = "Told") -> RunResult:
        if session is None:
            with self.session() as session:
                return self.run(session, kind)
        return session.run(flow(kind), targets=["it"])

    def told(self, session: Session | None = None, kind: str = "Told") -> tuple[int, str]:
        result = self.run(session, kind)
        assert result.is_ok, result.errors
        if session is not None and session.store is not None:
            session.store.flush()  # so that the next session finds it
        return result["it.number"], result.nodes["it"].status


def flow(kind: str) -> Workflow:
    inputs = {
        "Scaled": {"number": {"from": "one"}},
        "Chosen": {"one": {"from": "one"}, "two": {"from": "two"}},
    }
    nodes = {
        "one": {"type": "Given", "inputs": {"value": 1}},
        "two": {"type": "Given", "inputs": {"value": 20}},
        "it": {"type": kind, "inputs": inputs.get(kind, {})},
    }
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.delenv("OUTSIDE_SCALE", raising=False)
    return Place(tmp_path)


@pytest.fixture
def session(place: Place) -> Iterator[Session]:
    with place.session() as session:
        yield session


def test_a_file_counts_by_its_content(place: Place, session: Session) -> None:
    for text, expected in (("11", "ran"), ("22", "ran"), ("11", "cached")):
        place.write("number.txt", text)
        assert place.told(session) == (int(text), expected)
        assert place.told(session) == place.told() == (int(text), "cached")


def test_what_a_file_leads_to_counts_step_by_step(place: Place, session: Session) -> None:
    place.write("number.txt", "a.txt")
    place.write("a.txt", "1")
    place.write("b.txt", "2")
    assert place.told(session) == (1, "ran")
    place.write("b.txt", "3")
    assert place.told(session) == (1, "cached")
    place.write("number.txt", "b.txt")
    assert place.told(session) == (3, "ran")
    place.write("a.txt", "4")
    assert place.told() == (3, "cached")
    place.write("number.txt", "a.txt")
    assert place.told() == (4, "ran")


def test_a_file_that_comes_or_goes_counts(place: Place, session: Session) -> None:
    assert place.told(session) == (-1, "ran")
    place.write("number.txt", "5")
    assert place.told(session) == (5, "ran")
    (place.folder / "number.txt").unlink()
    assert place.told(session) == (-1, "cached")


def test_a_variable_counts(place: Place, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.told(session, "Scaled") == (1, "ran")
    for value, expected in (("3", "ran"), ("4", "ran"), ("3", "cached")):
        monkeypatch.setenv("OUTSIDE_SCALE", value)
        assert place.told(session, "Scaled") == (int(value), expected)
        assert place.told(None, "Scaled") == (int(value), "cached")
    monkeypatch.delenv("OUTSIDE_SCALE")
    assert place.told(None, "Scaled") == (1, "cached")


def test_a_variable_that_decides_which_input_is_asked_for(
    place: Place, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, number in (("1", 1), ("2", 20), ("1", 1), ("2", 20)):
        monkeypatch.setenv("OUTSIDE_SCALE", value)
        assert place.told(session, "Chosen")[0] == number
        assert place.told(None, "Chosen") == (number, "cached")


def test_plan_and_why_tell_of_it(
    place: Place, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(kind: str) -> str:
        return session.plan(flow(kind), targets=["it"]).nodes["it"].status

    place.write("number.txt", "1")
    assert status("Told") == "run"
    place.run(session)
    place.run(session, "Scaled")
    assert (status("Told"), status("Scaled")) == ("hit", "hit")
    place.write("number.txt", "2")
    monkeypatch.setenv("OUTSIDE_SCALE", "7")
    assert (status("Told"), status("Scaled")) == ("run", "run")
    for kind, what in (
        ("Told", "file number.txt"),
        ("Scaled", "variable OUTSIDE_SCALE"),
    ):
        (why,) = session.why(flow(kind), node="it")[:1]
        assert f"external data that it reads has changed: {what}" in str(why.reasons)


def test_what_changed_while_its_node_ran_leaves_no_result(place: Place, session: Session) -> None:
    place.write("number.txt", "1")
    assert place.told(session, "Overwritten") == (1, "ran")
    place.write("number.txt", "1")
    assert place.told(session, "Overwritten") == (1, "ran")


def test_a_file_that_is_overwritten_with_its_time_set_back_counts(
    place: Place, session: Session
) -> None:
    place.write("number.txt", "1")
    status = (place.folder / "number.txt").stat()
    assert place.told(session) == (1, "ran")
    place.write("number.txt", "2")
    os.utime(place.folder / "number.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.told(session) == (2, "ran")


def test_a_folder_is_no_file(place: Place, session: Session) -> None:
    (place.folder / "number.txt").mkdir()
    (error,) = place.run(session).errors
    assert isinstance(error.__cause__, InvalidFile)
    assert "is a folder" in str(error)


def test_a_name_is_of_a_file_in_the_sessions_own_folder(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "number.txt").write_text(text)
    for name, expected in (("a", 1), ("b", 2), ("a", 1)):
        with Session(Settings(home=tmp_path), nodes=NODES, inputs=tmp_path / name) as session:
            result = session.run(flow("Told"), targets=["it"])
            assert result["it.number"] == expected
            assert session.plan(flow("Told"), targets=["it"]).nodes["it"].status == "hit"


def test_what_an_expansion_read_within_counts(place: Place, session: Session) -> None:
    for text in ("1", "2", "1"):
        place.write("number.txt", text)
        assert place.told(session, "Within")[0] == place.told(None, "Within")[0] == int(text)


def test_a_file_that_was_another_for_a_moment_leaves_no_result(
    place: Place, session: Session
) -> None:
    place.write("number.txt", "1")
    assert place.told(session, "PutBack") == (77, "ran")
    assert place.told(session, "PutBack") == (77, "ran")


def test_what_changed_after_its_fingerprint_was_taken_leaves_no_result(
    place: Place, session: Session
) -> None:
    for _ in range(2):
        place.write("number.txt", "1")
        assert place.told(session, "Late") == (77, "ran")
        place.write("number.txt", "1")
        assert place.told(None, "Late") == (77, "ran")


def test_who_comes_after_an_edit_gets_nothing_of_before(place: Place) -> None:
    has_read, may_end = Event(), Event()

    @node
    def Held(ctx: Context) -> int:
        """The number in a file, or a fault where there is none."""
        text = ctx.file("number.txt").read_text()
        has_read.set()
        may_end.wait(30)
        return int(text)

    async def two(session: Session) -> list[RunResult]:
        runs = []
        for text in ("1", "2"):
            place.write("number.txt", text)
            runs.append(asyncio.ensure_future(session.run_async(flow("Held"), targets=["it"])))
            await asyncio.to_thread(has_read.wait, 30)
        for _ in range(20):
            await asyncio.sleep(0.01)  # so that the second one may join the first
        may_end.set()
        return await asyncio.gather(*runs)

    with Session(place.settings, nodes=[Given, Held], inputs=place.folder) as session:
        assert [result["it.number"] for result in asyncio.run(two(session))] == [1, 2]


def test_a_failure_of_before_an_edit_is_nobody_elses(place: Place) -> None:
    has_read, may_end = Event(), Event()

    @node
    def Held(ctx: Context) -> int:
        """The number in a file, or a fault where there is none."""
        path = ctx.file("number.txt")
        is_there = path.exists()
        has_read.set()
        may_end.wait(30)
        return int(path.read_text()) if is_there else int("none")

    async def two(session: Session) -> list[RunResult]:
        first = asyncio.ensure_future(session.run_async(flow("Held"), targets=["it"]))
        await asyncio.to_thread(has_read.wait, 30)
        place.write("number.txt", "2")
        second = asyncio.ensure_future(session.run_async(flow("Held"), targets=["it"]))
        for _ in range(20):
            await asyncio.sleep(0.01)
        may_end.set()
        return list(await asyncio.gather(first, second))

    with Session(place.settings, nodes=[Given, Held], inputs=place.folder) as session:
        first, second = asyncio.run(two(session))
        assert not first.is_ok
        assert second["it.number"] == 2


def test_an_input_that_a_variable_no_longer_asks_for_is_not_evaluated(
    place: Place, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTSIDE_SCALE", "2")
    assert place.told(session, "Chosen") == (20, "ran")
    monkeypatch.setenv("OUTSIDE_SCALE", "1")
    result = session.run(flow("Chosen"), targets=["it"])
    assert result["it.number"] == 1
    assert result.nodes.get("two") is None or result.nodes["two"].status == "skipped"


def test_what_is_in_the_way_of_a_file_counts(place: Place, session: Session) -> None:
    path = place.folder / "number.txt"

    def opened() -> str:
        result = session.run(flow("Opened"), targets=["it"])
        return result["it.text"] if result.is_ok else str(result.errors[0])

    assert opened() == "FileNotFoundError"
    path.mkdir()
    assert "is a folder" in opened()
    path.rmdir()
    path.symlink_to(path.name)
    assert opened() == "OSError"  # a link to itself
    path.unlink()
    for text in ("one", "two"):
        place.write(f"{text}.txt", text)
        path.symlink_to(f"{text}.txt")
        assert opened() == text
        path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert "is not a regular file" in opened()


@pytest.mark.parametrize("name", ["\0", "a" * 5000, "~nobody-has-this-name/file"])
def test_what_can_be_no_file_is_told(place: Place, session: Session, name: str) -> None:
    workflow = Workflow.from_dict(
        {"format": "nodegraph/1", "nodes": {"it": {"type": "Opened", "inputs": {"name": name}}}}
    )
    (error,) = session.run(workflow, targets=["it"]).errors
    assert isinstance(error.__cause__, InvalidFile)
    assert "is not a file" in str(error)
