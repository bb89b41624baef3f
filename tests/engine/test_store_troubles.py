"""Values that are gone at the worst moment, and what else is unlikely but happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nodegraph.api import BLOCKED, Expand, Lazy, Value, node
from nodegraph.core.context import Environment
from nodegraph.core.events import Event
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, MemoryCache, NoCache
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.options import CancelToken, RunOptions
from nodegraph.engine.result import RunResult
from nodegraph.packs.registry import Registry
from nodegraph.store.store import Store

pytestmark = pytest.mark.usefixtures("cheap_calls")

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
        return self.loop.create_task(self.engine.run(graph, RunOptions(**options)))

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


# What is gone is an expansion, or part of a list


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_an_expansion_whose_value_is_gone_expands_once_more(tmp_path: Path, memory: int) -> None:
    process = Process(tmp_path, memory=memory)
    nodes = {
        "t": of("Texts", count=2),
        "x": of("Expanded", text="> t"),
        "l": of("Length", text="> x"),
        "m": of("AsyncLength", text="> x"),
    }
    process.run(nodes, "x", values=False)
    process.forget()
    result = process.run(nodes, "l", "m")
    assert (result["l.number"], result["m.number"]) == ([LARGE] * 2, [LARGE] * 2)
    assert ran.count("Texts") == 1
    assert ran.count("Expanded") == 2
    process.close()


def test_one_that_still_expands_is_not_begun_anew(process: Process) -> None:
    """Its value is asked for while what it expanded into runs once more."""

    @node
    def Slowly(text: str) -> str:
        """Expand into what is held."""
        ran.append("Slowly")
        inner = {"h": {"type": "HeldText", "inputs": {"name": "h", "text": Value(text)}}}
        return Expand(inner, {"text": "h"})  # type: ignore[return-value]

    process.registry.add(Slowly)
    nodes = {"t": of("Text", text="a"), "x": of("Slowly", text="> t")}
    nodes |= {f"l{at}": of("Length", text="> x", plus=at) for at in range(3)}
    nodes["later"] = of("Held", name="later")
    nodes["both"] = of("Both", text="> x", number="> later")
    gate("h").set()
    gate("later").set()
    process.run(nodes, "x")
    process.forget()
    for name in ("h", "h started", "later"):
        gate(name).clear()
    job = process.job(nodes, "l0", "l1", "l2", "both")
    process.until(lambda: gate("h started").is_set())
    gate("later").set()
    process.until(
        lambda: any(e.kind == "node.finished" and e.node == "later" for e in process.events)
    )
    gate("h").set()
    (result,) = process.finish(job)
    assert [result[f"l{at}.number"] for at in range(3)] == [LARGE, LARGE + 1, LARGE + 2]
    assert result["both.number"] == LARGE
    assert ran.count("Slowly") == 1
    assert ran.count("HeldText h") == 1


def test_a_value_that_differs_each_time_is_made_once_in_a_run(process: Process) -> None:
    made: list[str] = []

    @node(deterministic=False)
    def Draw() -> str:
        """Mostly the same, but you never know."""
        made.append("draw")
        return ("a" if len(made) < 3 else "b") * LARGE

    process.registry.add(Draw)
    nodes = {
        "d": of("Draw"),
        "u": of("Upper", text="> d"),
        "l": of("Length", text="> u"),
        "e": of("Either", first=True, a="> d", b="no"),
    }
    process.run(nodes, "u", "e")
    process.forget()
    result = process.run(nodes, "u", "l", "e")
    assert len(made) == 2
    assert (result["u.text"][0], result["e.text"][0]) == ("A", "a")


def test_a_list_whose_items_were_used_one_by_one_leaves_memory(process: Process) -> None:
    from nodegraph.engine.options import DEFAULT_OPTIONS
    from nodegraph.engine.run import Run

    nodes = {
        "t": of("Texts", count=3),
        "l": of("Length", text="> t"),
        "s": of("Total", numbers="> l"),
    }
    process.run(nodes, "t")
    process.store.flush()
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    graph = build_graph(workflow, process.registry, process.environment, targets=["s"])
    # The values are in memory, while the list as such was never made.
    process.memory.clear()
    process.run({**nodes, "l": of("Length", text="> t", plus=1)}, "l")

    async def run() -> Run:
        run = Run(process.engine.shared, graph, DEFAULT_OPTIONS, {})
        await run.execute()
        return run

    found = process.loop.run_until_complete(run())
    assert found.states["t"].products is not None
    assert not any(product.resident_size for product in found.states["t"].products)


# Cancelled, paused, too late


def test_a_run_is_cancelled_while_a_value_is_computed_once_more(process: Process) -> None:
    nodes = {
        "t": of("Text", text="a"),
        "slow": of("HeldText", name="slow", text="> t"),
        "l": of("Length", text="> slow"),
        "m": of("AsyncLength", text="> slow"),
    }
    gate("slow").set()
    process.run(nodes, "slow")
    process.forget()
    gate("slow").clear()
    gate("slow started").clear()
    token = CancelToken()
    job = process.job(nodes, "slow", "l", "m", cancel=token)
    process.until(lambda: gate("slow started").is_set())
    token.cancel("enough")
    process.until(lambda: not process.engine.shared.lanes["cpu"].waiting)
    gate("slow").set()
    (result,) = process.finish(job)
    assert (result.status, result.reason) == ("cancelled", "enough")
    assert not process.engine.shared.in_flight
    assert process.run(nodes, "l", "m").is_ok


def test_a_run_that_is_cancelled_before_its_values_are_there_says_so(process: Process) -> None:
    nodes = {"t": of("Text", text="a")}
    process.run(nodes)
    process.forget()
    token = CancelToken()

    def listen(event: Event) -> None:
        if event.kind == "nodes.cached":
            token.cancel("enough")

    result = process.run(nodes, cancel=token, listener=listen)
    assert (result.status, result.reason, list(result.outputs)) == ("cancelled", "enough", [])


def test_a_paused_run_goes_on_where_it_was(process: Process) -> None:
    nodes = {
        "t": of("Text", text="a"),
        "slow": of("HeldText", name="slow", text="> t"),
        "l": of("Length", text="> slow"),
        "m": of("AsyncLength", text="> slow"),
        "e": of("Either", first=True, a="> slow", b="> t"),
        "x": of("Expanded", text="> e"),
    }
    gate("slow").set()
    process.run(nodes, "slow")
    process.forget()
    gate("slow").clear()
    gate("slow started").clear()
    token = CancelToken()
    job = process.job(nodes, "l", "m", "x", cancel=token)
    process.until(lambda: gate("slow started").is_set())
    token.pause()
    gate("slow").set()
    process.until(lambda: any(event.kind == "job.paused" for event in process.events))
    before = list(ran)
    process.loop.run_until_complete(asyncio.sleep(0.05))
    assert [call for call in ran if not call.startswith("Held")] == [
        call for call in before if not call.startswith("Held")
    ]
    token.resume()
    (result,) = process.finish(job)
    assert result.is_ok
    assert (result["l.number"], result["m.number"]) == (LARGE, LARGE)
    assert ran.count("HeldText slow") == 1


def test_a_deadline_ends_the_wait_for_another_process(process: Process) -> None:
    class Taken:
        """Somebody else has every claim."""

        def try_claim(self, name: str) -> bool:
            return False

        def is_held(self, name: str) -> bool:
            return True

        def release(self, name: str) -> None:
            raise AssertionError

    process.engine.shared.claims = Taken()
    result = process.run({"t": of("Text", text="a")}, deadline=0.05)
    assert (result.status, result.reason) == ("cancelled", "deadline of 0.05 s passed")
    assert not process.engine.shared.in_flight
    process.engine.shared.claims = process.store.claims
    assert process.run({"t": of("Text", text="a")}).is_ok


@pytest.mark.parametrize("fails", [False, True])
def test_who_followed_a_cancelled_call_makes_it_itself(process: Process, fails: bool) -> None:
    @node
    async def Wait(value: int) -> int:
        """On the event loop, until it is let go or cancelled."""
        ran.append("Wait")
        gate("wait started").set()
        while not gate("wait").is_set():
            await asyncio.sleep(0.001)
        if fails:
            raise ValueError("no")
        return value

    process.registry.add(Wait)
    nodes = {"w": of("Wait", value=5), "d": of("Doubled", a="> w")}
    token = CancelToken()
    first = process.job(nodes, cancel=token)
    process.until(lambda: gate("wait started").is_set())
    gate("wait started").clear()
    others = [process.job(nodes) for _ in range(3)]
    (leader,) = process.engine.shared.in_flight.values()
    process.until(lambda: len(leader.followers) == 3)
    token.cancel()
    process.until(lambda: gate("wait started").is_set())
    gate("wait").set()
    cancelled, *results = process.finish(first, *others)
    assert cancelled.status == "cancelled"
    assert ran.count("Wait") == 2
    assert ran.count("Doubled 5") == (0 if fails else 1)
    assert [result.status for result in results] == ["failed" if fails else "ok"] * 3
    assert not process.engine.shared.in_flight


# Stores that are of no help


class FaultyStore(Store):
    """Reading fails in a way that nobody foresaw."""

    def load(self, output: Any) -> Any:
        raise RuntimeError("the disk is on fire")


def test_a_store_that_raises_fails_who_needs_the_value(tmp_path: Path) -> None:
    process = Process(tmp_path)
    nodes = {"t": of("Text", text="a"), "l": of("Length", text="> t", plus=1)}
    process.run(nodes, "t")
    process.close()
    store = FaultyStore(tmp_path / "store")
    again = Process(tmp_path, cache=Cache(MemoryCache(), store))
    result = again.run(nodes, "l")
    assert result.status == "failed"
    assert [error.problem.node for error in result.errors] == ["l"]
    assert "on fire" in str(result.errors[0])
    with pytest.raises(RuntimeError, match="on fire"):
        again.run(nodes, "t")
    assert not again.engine.shared.in_flight
    store.close()
    again.close()


class DearStore(Store):
    """All that it is given is worth a file."""

    def put(self, key: Any, entry: Any, committed: Any = None) -> None:
        from dataclasses import replace

        super().put(key, replace(entry, seconds=1000.0), committed)


@pytest.mark.parametrize("harm", ["removed", "altered", "truncated"])
@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_damage_in_a_store_that_is_only_read_is_computed_again(
    tmp_path: Path, harm: str, memory: int
) -> None:
    nodes = {"t": of("Text", text="a"), "u": of("Upper", text="> t")}
    theirs = DearStore(tmp_path / "theirs")
    process = Process(tmp_path / "first", cache=Cache(MemoryCache(), theirs))
    process.run(nodes)
    theirs.close()
    process.close()
    for path in (tmp_path / "theirs" / "artifacts").rglob("*.msgpack"):
        if harm == "removed":
            path.unlink()
        else:
            data = path.read_bytes()
            path.write_bytes(data[:-1] if harm == "truncated" else data[:-1] + b"?")
    for with_own in (True, False):
        with Store(tmp_path / "theirs", read_only=True) as other:
            folder = tmp_path / ("second" if with_own else "third")
            mine = Store(folder / "mine")
            tier = MemoryCache(memory)
            cache = Cache(tier, mine if with_own else None, [other])
            process = Process(folder, cache=cache)
            nodes["l"] = of("Length", text="> u", plus=7)
            for _ in range(2):
                ran.clear()
                assert process.run(nodes, "l", "u")["l.number"] == LARGE + 7
                assert len(ran) <= 3
                tier.clear()
            process.close()
            mine.close()


@pytest.mark.parametrize("kind", ["memory 0", "none"])
def test_without_any_cache_all_is_computed_as_it_is_needed(tmp_path: Path, kind: str) -> None:
    cache = NoCache() if kind == "none" else Cache(MemoryCache(0))
    process = Process(tmp_path, cache=cache)
    nodes = {
        "t": of("Texts", count=3),
        "u": of("Upper", text="> t"),
        "x": of("Expanded", text="> u"),
        "e": of("Either", first=True, a="b", b="c"),
        "l": of("Length", text="> x"),
        "s": of("Total", numbers="> l"),
        "m": of("AsyncLength", text="> e"),
    }
    for _ in range(2):
        ran.clear()
        result = process.run(nodes, "s", "m", "u")
        assert (result["s.number"], result["m.number"]) == (3 * LARGE, 1)
        assert [text[:1] for text in result["u.text"]] == ["A", "B", "C"]
        assert ran.count("Texts") == 1
        assert len([call for call in ran if call.startswith("Upper")]) == 6
    process.close()


def test_a_list_that_grew_meanwhile_fails_who_goes_through_it(
    process: Process, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    count.write_text("3")

    @node(fingerprint=lambda inputs: "the same")
    def Listing() -> list[str]:
        """What lies in a folder, told badly."""
        return [chr(ord("a") + at) * LARGE for at in range(int(count.read_text()))]

    process.registry.add(Listing)
    nodes = {"f": of("Listing"), "l": of("Length", text="> f", plus=0)}
    process.run(nodes, "f")
    process.forget()
    count.write_text("4")
    result = process.run(nodes)
    assert result.status == "failed"
    assert "a different length" in str(result.errors[0])
    assert not process.engine.shared.in_flight


def test_equal_calls_one_after_the_other_dont_wait_for_each_other(process: Process) -> None:
    """What a function gives back as it was has one key before and after it."""
    nodes = {
        "t": of("Text", text="A"),
        "a": of("Upper", text="> t"),
        "b": of("Upper", text="> a"),
        "c": of("Upper", text="> b"),
        "l": of("Length", text="> c", plus=1),
    }
    process.run(nodes, "c", values=False)
    process.forget()
    result = process.run(nodes, "b", "c", "l")
    assert result["l.number"] == LARGE + 1
    assert result["c.text"] == result["b.text"] == "A" * LARGE
