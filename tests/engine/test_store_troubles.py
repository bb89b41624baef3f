"""Values that are gone at the worst moment, and what else is unlikely but happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nodegraph.api import BLOCKED, Context, Expand, Lazy, Value, node
from nodegraph.core.building import build_graph
from nodegraph.core.context import Environment
from nodegraph.core.events import Event
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, NoCache
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.memory_cache import MemoryCache
from nodegraph.engine.registry import Registry
from nodegraph.engine.result import RunResult
from nodegraph.store.store import Store

LARGE = 10_000
LIMIT = 30.0
ran: list[str] = []
gates: dict[str, threading.Event] = {}
bad: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    ran.clear()
    bad.clear()
    gates.clear()
    yield
    for gate in gates.values():
        gate.set()


def gate(name: str) -> threading.Event:
    return gates.setdefault(name, threading.Event())


@node
def Text(text: str) -> str:
    """A large text that isn't worth a file."""
    ran.append(f"Text {text}")
    if text in bad:
        raise ValueError(f"{text} is bad")
    return text * LARGE


@node
def Texts(count: int) -> list[str]:
    """Large ones."""
    ran.append("Texts")
    return [chr(ord("a") + at) * LARGE for at in range(count)]


@node
def Held(name: str, text: str = "") -> int:
    """Wait to be let go."""
    ran.append(f"Held {name}")
    gate(f"{name} started").set()
    assert gate(name).wait(LIMIT)
    return len(text)


@node
def HeldText(name: str, text: str) -> str:
    """A large text, once it is let go."""
    ran.append(f"HeldText {name}")
    gate(f"{name} started").set()
    assert gate(name).wait(LIMIT)
    return text.upper()


@node
def Length(text: str, plus: int = 0) -> int:
    """A small result."""
    ran.append(f"Length {plus}")
    return len(text) + plus


@node
async def AsyncLength(text: str, plus: int = 0) -> int:
    """The same on the event loop."""
    ran.append(f"AsyncLength {plus}")
    return len(text) + plus


@node
def Upper(text: str) -> str:
    """A large text of a large text."""
    ran.append(f"Upper {text[0]}")
    return text.upper()


@node
def Both(text: str, number: int) -> int:
    """Take two."""
    ran.append("Both")
    return len(text) + number


@node
def Join(a: str, b: str) -> int:
    """Take two large ones."""
    ran.append("Join")
    return len(a) + len(b)


@node
async def Either(first: bool, a: Lazy[str], b: Lazy[str]) -> str:
    """Take one of two."""
    ran.append("Either")
    return await a() if first else await b()


@node
def Expanded(text: str) -> str:
    """Answer with more graph."""
    ran.append("Expanded")
    inner = {
        "u": {"type": "Upper", "inputs": {"text": Value(text)}},
        "e": {"type": "Either", "inputs": {"first": True, "a": {"from": "u"}, "b": "no"}},
    }
    return Expand(inner, {"text": "e"})  # type: ignore[return-value]


@node
def Holes(count: int) -> list[int]:
    """Some, every other one blocked."""
    return [BLOCKED if at % 2 else at for at in range(count)]


@node
def Doubled(a: int) -> int:
    """Twice as much."""
    ran.append(f"Doubled {a}")
    return 2 * a


@node
def Total(numbers: list[int]) -> int:
    """Take a list whole."""
    ran.append(f"Total {len(numbers)}")
    return sum(numbers)


NODES = (
    *(Text, Texts, Held, HeldText, Length, AsyncLength, Upper, Both, Join, Either, Expanded),
    *(Holes, Doubled, Total),
)
Nodes = Mapping[str, Any]


def of(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node; an input that begins with an arrow is a link."""
    given = {
        port: {"from": value[2:]} if str(value).startswith("> ") else value
        for port, value in inputs.items()
    }
    return {"type": kind, "inputs": given}


class Process:
    """An engine on a store, as one process has it."""

    def __init__(
        self,
        folder: Path,
        *,
        memory: int = 1 << 30,
        cache: Cache | None = None,
        others: Sequence[Store] = (),
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.registry = Registry()
        self.registry.add(*NODES)
        self.environment = Environment((), folder, folder, folder)
        self.store = Store(folder / "store")
        self.memory = MemoryCache(memory)
        self.engine = Engine(
            self.registry,
            environment=self.environment,
            cache=cache or Cache(self.memory, self.store, others, self.registry.import_types),
            lanes=Lanes(cpu_places=4, io_places=4),
            claims=self.store.claims,
        )
        self.loop = loop or asyncio.new_event_loop()
        self.events: list[Event] = []

    def job(self, nodes: Nodes, *targets: str, **options: Any) -> asyncio.Task[RunResult]:
        """Start a run."""
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})
        wanted = targets or list(nodes)[-1:]
        graph = build_graph(workflow, self.registry, self.environment, targets=wanted)
        options.setdefault("listener", self.events.append)
        return self.loop.create_task(self.engine.run(graph, **options))

    def finish(self, *jobs: asyncio.Task[RunResult]) -> list[RunResult]:
        """The results of runs, which mustn't hang."""
        _, pending = self.loop.run_until_complete(asyncio.wait(jobs, timeout=LIMIT))
        assert not pending, "it hangs"
        return [job.result() for job in jobs]

    def run(self, nodes: Nodes, *targets: str, **options: Any) -> RunResult:
        (result,) = self.finish(self.job(nodes, *targets, **options))
        self.store.flush()
        return result

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until something has happened."""

        async def wait() -> None:
            end = self.loop.time() + LIMIT
            while not condition():
                assert self.loop.time() < end
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(wait())

    def forget(self) -> None:
        """Let go of what is in memory."""
        self.store.flush()
        self.memory.clear()
        ran.clear()

    def close(self) -> None:
        for event in gates.values():
            event.set()
        self.engine.close()
        self.store.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    yield made
    made.close()


def statuses(result: RunResult) -> dict[str, str]:
    return {name: report.status for name, report in result.nodes.items()}


# A node is made ready while what it needs is computed once more


def test_who_becomes_ready_while_its_source_runs_again_waits_for_it(process: Process) -> None:
    nodes = {
        "t": of("Text", text="a"),
        "slow": of("HeldText", name="slow", text="> t"),
        "l": of("Length", text="> slow"),
        "h": of("Held", name="h"),
        "both": of("Both", text="> slow", number="> h"),
    }
    gate("slow").set()
    gate("h").set()
    process.run(nodes, "slow")
    process.forget()
    gate("slow").clear()
    gate("slow started").clear()
    gate("h").clear()
    job = process.job(nodes, "l", "both")
    # `slow` is known, but its value is gone: `l` has it computed again.
    process.until(lambda: gate("slow started").is_set())
    gate("h").set()
    process.until(lambda: any(e.kind == "node.finished" and e.node == "h" for e in process.events))
    gate("slow").set()
    (result,) = process.finish(job)
    assert (result["l.number"], result["both.number"]) == (LARGE, LARGE)
    assert ran.count("HeldText slow") == 1


def test_a_failure_at_the_second_time_is_a_failure_once(process: Process) -> None:
    nodes: dict[str, Any] = {"t": of("Text", text="a")}
    nodes |= {f"l{at}": of("Length", text="> t", plus=at) for at in range(5)}
    process.run(nodes, "t")
    process.forget()
    bad.add("a")
    result = process.run(nodes, *[f"l{at}" for at in range(5)])
    assert result.status == "failed"
    assert [error.problem.node for error in result.errors] == ["t"]
    assert statuses(result) == {"t": "failed"} | {f"l{at}": "skipped" for at in range(5)}
    assert ran == ["Text a"]


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_what_many_need_again_is_computed_once(tmp_path: Path, memory: int) -> None:
    process = Process(tmp_path, memory=memory)
    nodes: dict[str, Any] = {"t": of("Text", text="a")}
    nodes |= {f"l{at}": of("Length", text="> t", plus=at) for at in range(20)}
    process.run(nodes, "t")
    process.forget()
    result = process.run(nodes, *[f"l{at}" for at in range(20)])
    assert [result[f"l{at}.number"] for at in range(20)] == [LARGE + at for at in range(20)]
    assert ran.count("Text a") == 1
    process.close()


def test_the_items_of_a_long_list_are_computed_again_once(tmp_path: Path) -> None:
    process = Process(tmp_path, memory=0)
    nodes = {
        "t": of("Texts", count=20),
        "u": of("Upper", text="> t"),
        "l": of("Length", text="> u", plus=1),
    }
    process.run(nodes, "u")
    process.forget()
    assert process.run(nodes)["l.number"] == [LARGE + 1] * 20
    assert ran.count("Texts") == 1
    assert len([call for call in ran if call.startswith("Upper")]) == 20
    process.close()


# Blocked items of lists in lists


def test_a_blocked_list_within_a_list_blocks_its_calls(process: Process) -> None:
    @node
    def Lists(count: int) -> list[list[int]]:
        """Lists, every other one blocked."""
        return [BLOCKED if at % 2 else [at, at + 1] for at in range(count)]

    process.registry.add(Lists)
    nodes = {"n": of("Lists", count=3), "d": of("Doubled", a="> n")}
    assert process.run(nodes)["d.number"] == [[0, 2], BLOCKED, [4, 6]]


def test_a_list_within_a_list_is_taken_without_its_blocked_items(process: Process) -> None:
    @node
    def Many(counts: list[list[int]]) -> str:
        """Take lists whole."""
        return repr(counts)

    process.registry.add(Many)
    nodes = {
        "c": of("Holes", count=5),
        "h": of("Holes", count="> c"),
        "s": of("Total", numbers="> h"),
        "m": of("Many", counts="> h"),
    }
    result = process.run(nodes, "s", "m")
    assert result["s.number"] == [0, BLOCKED, 0, BLOCKED, 2]
    assert result["m.text"] == "[[], [0], [0, 2]]"


# The event loop ends in the middle of a run


def test_an_engine_goes_on_after_its_loop_was_closed_in_the_middle(tmp_path: Path) -> None:
    process = Process(tmp_path)
    nodes = {"h": of("Held", name="h"), "t": of("Text", text="a"), "l": of("Length", text="> t")}
    nodes |= {f"w{at}": of("Held", name=f"w{at}") for at in range(6)}
    job = process.job(nodes, *nodes)
    process.until(lambda: gate("h started").is_set())
    process.loop.run_until_complete(process.loop.shutdown_default_executor())
    process.loop.close()
    del job
    process.loop = asyncio.new_event_loop()
    for name in ("h", *(f"w{at}" for at in range(6))):
        gate(name).set()
    assert process.run(nodes, *nodes).is_ok
    assert not process.engine.shared.in_flight
    process.close()
