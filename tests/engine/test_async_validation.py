"""Validate hooks that are `async def`: they run together, and hold up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings
from nodegraph.api import Expand, Finding, HookInputs, node
from nodegraph.core import hooks
from nodegraph.errors import InvalidWorkflow, NodegraphError, Problem

met: list[str] = []
meeting: list[asyncio.Event] = []


async def meet(inputs: HookInputs) -> list[Finding]:
    """Wait until another hook is here, too."""
    met.append(str(inputs.literals["a"]))
    if len(met) == 2:
        meeting[0].set()
    await meeting[0].wait()
    return []


async def check(inputs: HookInputs) -> AsyncIterator[Finding]:
    """Refuse negative numbers; be wary of large ones."""
    await asyncio.sleep(0)
    if inputs.literals["a"] < 0:
        yield Finding("a", "must not be negative", given=str(inputs.literals["a"]))
    if inputs.literals["a"] > 100:
        yield Finding("a", "is large", is_warning=True)


async def fail(inputs: HookInputs) -> list[Finding]:
    """Raise."""
    await asyncio.sleep(0)
    raise RuntimeError("no network")


async def hang(inputs: HookInputs) -> list[Finding]:
    """Never end."""
    met.append("hangs")
    try:
        await asyncio.Event().wait()
    finally:
        met.append("ended")
    return []


@node(validate=meet)
def Meet(a: int) -> int:
    """A number."""
    return a


@node(validate=check)
def Check(a: int) -> int:
    """A number."""
    return a


@node(validate=fail)
def Fail(a: int) -> int:
    """A number."""
    return a


@node(validate=hang)
def Hang(a: int) -> int:
    """A number."""
    return a


@node
def Plain(a: int) -> int:
    """A number."""
    return a


@node
def Outer(a: int, kind: str = "Check") -> int:
    """Expand into one that is checked."""
    return Expand({"inner": {"type": kind, "inputs": {"a": a}}}, {"number": "inner"})


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    met.clear()
    meeting[:] = [asyncio.Event()]
    with Session(Settings(home=tmp_path), nodes=[Meet, Check, Fail, Hang, Plain, Outer]) as made:
        yield made


def graph(**nodes: tuple[str, int]) -> dict[str, Any]:
    return {
        "format": "nodegraph/1",
        "nodes": {name: {"type": kind, "inputs": {"a": a}} for name, (kind, a) in nodes.items()},
    }


def problems_of(session: Session, document: dict[str, Any], **options: Any) -> list[Problem]:
    targets = options.pop("targets", list(document["nodes"]))
    with pytest.raises(InvalidWorkflow) as caught:
        session.run(document, targets=targets, **options)
    validated = session.check(document, targets=targets)
    assert [each.message for each in validated] == [each.message for each in caught.value.problems]
    return list(caught.value.problems)


def test_what_they_find_is_a_problem_of_the_node(session: Session) -> None:
    document = graph(x=("Check", -1), y=("Check", 1), z=("Check", -2))
    found = problems_of(session, document)
    assert [(each.node, each.port, each.given) for each in found] == [
        ("x", "a", "-1"),
        ("z", "a", "-2"),
    ]
    assert session.run(graph(y=("Check", 1)), targets=["y"])["y"] == 1


def test_each_run_asks_again(session: Session) -> None:
    document = graph(x=("Check", -1))
    for _ in range(2):
        assert len(problems_of(session, document)) == 1


def test_they_run_at_the_same_time(session: Session) -> None:
    async def run() -> Any:
        meeting[:] = [asyncio.Event()]
        document = graph(x=("Meet", 1), y=("Meet", 2))
        return await session.run_async(document, targets=["x", "y"])

    result = asyncio.run(run())
    assert (result["x"], result["y"]) == (1, 2)
    assert met == ["1", "2"]


def test_another_run_goes_on_meanwhile(session: Session) -> None:
    async def run() -> tuple[Any, Any]:
        meeting[:] = [asyncio.Event()]
        waiting = asyncio.create_task(session.run_async(graph(x=("Meet", 1)), targets=["x"]))
        other = await session.run_async(graph(y=("Plain", 2)), targets=["y"])
        assert not waiting.done()
        meeting[0].set()
        return other, await waiting

    other, first = asyncio.run(run())
    assert (other["y"], first["x"]) == (2, 1)


def test_what_they_raise_is_a_problem(session: Session) -> None:
    (found,) = problems_of(session, graph(x=("Fail", 1), y=("Plain", 2)))
    assert (found.code, found.node) == ("hook-failed", "x")
    assert "RuntimeError: no network" in found.message


def test_one_that_does_not_end_is_a_problem(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "VALIDATION_LIMIT", 0.05)
    (found,) = problems_of(session, graph(x=("Hang", 1)))
    assert "did not end within 0.05 s" in found.message
    assert met.count("ended") == met.count("hangs")


def test_a_run_that_is_cancelled_ends_them(session: Session) -> None:
    async def run() -> None:
        task = asyncio.create_task(session.run_async(graph(x=("Hang", 1)), targets=["x"]))
        while not met:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert met == ["hangs", "ended"]


def test_only_what_the_targets_need_is_a_problem(session: Session) -> None:
    document = graph(bad=("Check", -1), good=("Check", 1))
    result = session.run(document, targets=["good"])
    assert result["good"] == 1
    assert session.check(document, targets=["good"]) == []


def test_other_problems_are_told_without_waiting(session: Session) -> None:
    document = graph(x=("Hang", 1))
    document["nodes"]["y"] = {"type": "Plain"}
    with pytest.raises(InvalidWorkflow) as caught:
        session.run(document, targets=["x", "y"])
    assert [each.node for each in caught.value.problems] == ["y"]
    assert met == []


def test_nodes_of_a_returned_graph_are_checked_too(session: Session) -> None:
    assert session.run(graph(o=("Outer", 1)), targets=["o"])["o"] == 1
    result = session.run(graph(o=("Outer", -1)), targets=["o"])
    (error,) = result.errors
    assert isinstance(error, NodegraphError)
    assert "must not be negative" in str(error)


def test_a_cancelled_run_ends_those_of_a_returned_graph(session: Session) -> None:
    from nodegraph.engine.options import CancelToken

    async def run() -> str:
        token = CancelToken()
        document = graph(o=("Outer", 1))
        document["nodes"]["o"]["inputs"]["kind"] = "Hang"
        task = asyncio.create_task(session.run_async(document, targets=["o"], cancel=token))
        while "hangs" not in met:
            await asyncio.sleep(0.001)
        token.cancel()
        return (await asyncio.wait_for(task, 30)).status

    assert asyncio.run(run()) == "cancelled"
    assert met == ["hangs", "ended"]
