"""Node types as the server knows them: read by another process, never by its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.context import Environment
from nodegraph.core.graph_builder import GraphCache
from nodegraph.errors import NodegraphError
from nodegraph.jobs.supervisor.errors import NoAnswerYet
from nodegraph.packs import import_timeouts as hanging
from nodegraph.packs.pack import pack_at
from nodegraph.server.http.errors import Unavailable
from nodegraph.server.workflows import node_types as known_types
from nodegraph.server.workflows.checks import validate_workflow
from nodegraph.server.workflows.node_types import DeclaredTypes, NodeTypeCache
from nodegraph.session.node_types import specs_folder
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from tests.messages import raises
from tests.server.hosting import PATIENCE

MORE = '''
from nodegraph import node

@node
def Late(value: int = 1) -> int:
    """Comes later."""
    return value
'''


def reader(home: Path) -> Callable[[], Any]:
    """Reads packs, in the way a planner does."""

    async def read() -> None:
        await asyncio.to_thread(lambda: Session(Settings(home=home)).registry)

    return read


async def never() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise NodegraphError("there is no planner")


def test_what_was_read_before_is_known_at_once(home: Path) -> None:
    async def look() -> DeclaredTypes:
        known = NodeTypeCache(Settings(home=home), (), never)
        await known.load()
        return await asyncio.wait_for(known.current(), PATIENCE)

    found = asyncio.run(look())
    assert found.spec("sums:Sum") is not None
    assert found.hook("sums:Checked", "validate") is None
    assert found.is_current


def test_a_pack_that_changed_is_waited_for_and_told_of(home: Path) -> None:
    (home / "packs" / "later.py").write_text(MORE)

    async def look() -> tuple[list[str], DeclaredTypes]:
        known = NodeTypeCache(Settings(home=home), (), reader(home))
        told: list[str] = []
        known.listen(lambda types: told.append(types.digest))
        known.listen(lambda types: 1 // 0)
        await known.load()
        assert known.now.spec("later:Late") is None
        waiting = asyncio.create_task(known.current())
        await asyncio.sleep(0)
        assert not waiting.done()
        await known.refresh()
        return told, await waiting

    told, found = asyncio.run(look())
    assert found.spec("later:Late") is not None
    assert (len(told), told[-1]) == (2, found.digest)


def test_it_is_ready_once_packs_were_read(home: Path) -> None:
    (home / "packs" / "later.py").write_text(MORE)
    answers = iter([NoAnswerYet("no answer in time"), None])

    async def read() -> None:
        fault = next(answers, None)
        if fault is not None:
            raise fault
        await reader(home)()

    async def look() -> list[bool]:
        known = NodeTypeCache(Settings(home=home), (), read)
        await known.load()
        found = [known.is_ready]
        for _ in range(2):
            await known.try_refresh()
            found.append(known.is_ready)
        # One that is edited keeps nobody out.
        (home / "packs" / "later.py").write_text(MORE.replace("value: int", "other: int"))
        await known.load()
        return [*found, known.is_ready]

    assert asyncio.run(look()) == [False, False, True, True]


def test_a_pack_that_is_edited_later_is_read_when_somebody_asks(home: Path) -> None:
    async def look() -> tuple[DeclaredTypes, DeclaredTypes, int]:
        known = NodeTypeCache(Settings(home=home), (), reader(home))
        await known.refresh()
        (home / "packs" / "later.py").write_text(MORE)
        came = await known.current()
        (home / "packs" / "later.py").write_text(MORE.replace("value: int", "other: int"))
        edited = await known.current()
        (home / "packs" / "later.py").write_text("import nothing_of_that_name")
        again = [await known.current() for _ in range(2)]
        return came, edited, len({id(types) for types in again})

    came, edited, times_read = asyncio.run(look())
    for types, port in ((came, "value"), (edited, "other")):
        spec = types.spec("later:Late")
        assert spec is not None
        assert [item.name for item in spec.inputs] == [port]
    assert times_read == 1


def test_without_anybody_to_read_packs_what_is_known_has_to_do(home: Path) -> None:
    (home / "packs" / "later.py").write_text(MORE)

    async def look() -> DeclaredTypes:
        known = NodeTypeCache(Settings(home=home), (), fails)
        await known.load()
        with pytest.raises(NodegraphError):
            await known.refresh()
        return await known.current()

    found = asyncio.run(look())
    assert found.spec("sums:Sum") is not None
    assert found.spec("later:Late") is None
    assert any("later" in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("fault", "level", "said"),
    [
        (NoAnswerYet("no answer in time"), "WARNING", "are still being read: no answer in time"),
        (NodegraphError("there is no planner"), "ERROR", "could not be read: there is no planner"),
    ],
)
def test_packs_that_are_slow_arent_called_unreadable(
    home: Path, caplog: pytest.LogCaptureFixture, fault: NodegraphError, level: str, said: str
) -> None:
    async def read() -> None:
        raise fault

    assert not asyncio.run(NodeTypeCache(Settings(home=home), (), read).try_refresh())
    assert [(each.levelname, each.message) for each in caplog.records] == [
        (level, f"the node packs {said}")
    ]


def problems_of(node_type: str, types: DeclaredTypes, home: Path) -> dict[str, str | None]:
    """What is wrong with a workflow of one node: hints by codes."""
    document = {"format": "nodegraph/1", "nodes": {"a": {"type": node_type}}}
    environment = Environment((), home, home, home)
    limits = environment, 10, GraphCache()
    problems, _ = validate_workflow(document, json.dumps(document), {}, None, types, *limits)
    return {problem.code: problem.hint for problem in problems}


def test_a_type_of_a_pack_that_cannot_be_read_says_so(home: Path) -> None:
    (home / "packs" / "broken.py").write_text("import nowhere_at_all")

    async def look() -> DeclaredTypes:
        known = NodeTypeCache(Settings(home=home), (), reader(home))
        await known.load()
        return await known.refresh()

    types = asyncio.run(look())
    hint = problems_of("broken:Sum", types, home)["unknown-node-type"]
    assert hint is not None
    assert "Only a part of it could be read" in hint


def test_no_node_type_is_called_unknown_whose_pack_is_still_being_read(home: Path) -> None:
    (home / "packs" / "later.py").write_text(MORE)

    async def look() -> DeclaredTypes:
        known = NodeTypeCache(Settings(home=home), (), reader(home))
        await known.load()
        with raises(Unavailable):
            problems_of("later:Late", known.now, home)
        return await known.refresh()

    types = asyncio.run(look())
    assert "unknown-node-type" not in problems_of("later:Late", types, home)
    assert "unknown-node-type" in problems_of("later:Later", types, home)


def test_a_pack_that_took_too_long_to_read_is_asked_for_again(home: Path) -> None:
    read, answers = reader(home), iter([False, True])

    async def slow_at_first() -> None:
        if not next(answers, True):
            raise NoAnswerYet("no answer in time")
        await read()

    async def look() -> list[DeclaredTypes]:
        await read()
        known = NodeTypeCache(Settings(home=home), (), slow_at_first)
        await known.load()
        (home / "packs" / "later.py").write_text(MORE)
        return [await known.current() for _ in range(2)]

    early, late = asyncio.run(look())
    assert (early.unread, late.unread) == ({"later"}, set())
    assert early.digest != late.digest
    assert late.spec("later:Late") is not None


def test_a_pack_that_fails_in_part_is_known_in_part_and_not_imported(home: Path) -> None:
    pack = home / "packs" / "partly"
    pack.mkdir()
    (pack / "__init__.py").write_text("")
    (pack / "fine.py").write_text(MORE)
    (pack / "broken.py").write_text("import nothing_of_that_name")
    Session(Settings(home=home)).registry  # noqa: B018 - reads the packs
    for name in [name for name in sys.modules if "partly" in name]:
        del sys.modules[name]

    async def look() -> DeclaredTypes:
        known = NodeTypeCache(Settings(home=home), (), None)
        await known.load()
        return known.now

    found = asyncio.run(look())
    assert found.spec("partly:Late") is not None
    assert not found.is_current
    assert any("nothing_of_that_name" in problem for problem in found.problems)
    assert not [name for name in sys.modules if "partly" in name]


def test_a_pack_that_hangs_where_it_is_imported_holds_up_nobody_for_long(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_types, "_PATIENCE_AGAIN", 0.01)

    async def look() -> list[DeclaredTypes]:
        known = NodeTypeCache(Settings(home=home), (), never)
        await known.load()
        (home / "packs" / "endless.py").write_text("while True: pass")
        return [await asyncio.wait_for(known.current(), 10) for _ in range(2)]

    for found in asyncio.run(look()):
        assert found.spec("sums:Sum") is not None


@pytest.mark.parametrize("is_given_up", [pytest.param(True, marks=pytest.mark.slow), False])
def test_what_other_processes_say_of_a_pack_that_hangs_is_among_the_problems(
    home: Path, is_given_up: bool
) -> None:
    text = "pack `endless`: importing it has taken 60 s and is still running, in endless.py, line 1"
    other = os.getppid()
    path = home / "packs" / "endless.py"

    async def look() -> tuple[DeclaredTypes, DeclaredTypes]:
        known = NodeTypeCache(Settings(home=home), (), reader(home))
        await known.load()
        path.write_text("while True: pass")
        pack = pack_at(path)
        note = hanging._note(pack.stamp(), text, is_given_up=False)
        notes = hanging.ImportTimeouts(specs_folder(Settings(home=home)))
        most = 60.0 if is_given_up else None
        notes._write(pack, replace(note, most=most, process=other, born=hanging._born(other)))
        told = await known.current()
        path.write_text(MORE)
        return told, await known.current()

    told, mended = asyncio.run(look())
    assert [problem for problem in told.problems if problem.startswith(text)]
    assert told.unread == (set() if is_given_up else {"endless"})
    assert told.spec("sums:Sum") is not None
    assert mended.problems == ()
    assert mended.spec("endless:Late") is not None


def test_an_edit_is_told_by_itself_and_a_broken_pack_is_read_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_types, "_SECONDS", 0.01)
    reads: list[int] = []
    path = home / "packs" / "late.py"

    async def look() -> None:
        read = reader(home)

        async def counted() -> None:
            reads.append(1)
            await read()

        known = NodeTypeCache(Settings(home=home), (), counted)
        await known.refresh()
        changed = asyncio.Event()
        known.listen(lambda types: changed.set())
        watching = asyncio.create_task(known.watch(lambda: True))
        path.write_text(MORE)
        await asyncio.wait_for(changed.wait(), PATIENCE)
        assert known.now.spec("late:Late") is not None
        changed.clear()
        path.write_text("def broken(:\n")
        await asyncio.wait_for(changed.wait(), PATIENCE)
        assert any("late.py" in problem for problem in known.now.problems)
        before = len(reads)
        await asyncio.sleep(0.3)
        assert len(reads) == before
        watching.cancel()

    asyncio.run(look())
