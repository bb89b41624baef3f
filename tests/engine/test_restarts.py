"""What is computed again after a restart, and what isn't: the engine on a store on disk."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import time
from collections import UserList
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.api import BLOCKED, Context, Expand, Image, Lazy, Value, node
from nodegraph.core.context import Environment
from nodegraph.core.events import Event
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.keys import Key
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.options import RunOptions
from nodegraph.engine.result import RunResult
from nodegraph.packs.registry import Registry
from nodegraph.store.costs import Costs
from nodegraph.store.entries import NewEntry
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.store import Store


class _Ran(UserList[str]):
    """What ran. It is told by its name: else each call would be an edit of what notes it."""

    def __reduce__(self) -> str:
        return "ran"


ran = _Ran()


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@node
def Text(text: str, times: int = 1) -> str:
    """A text, which is quick to make."""
    ran.append("Text")
    return text * times


@node
def Slow(text: str) -> str:
    """A text of the same length, which takes a while: it is worth storing."""
    ran.append("Slow")
    time.sleep(0.1)
    return text.lower()


@node
def Length(text: str, plus: int = 0) -> int:
    """A small result."""
    ran.append("Length")
    return len(text) + plus


@node
def Texts(count: int) -> list[str]:
    """Large texts."""
    ran.append("Texts")
    return [chr(ord("A") + at) * 10_000 for at in range(count)]


@node
async def Either(first: bool, a: Lazy[str], b: Lazy[str]) -> str:
    """Take one of two."""
    ran.append("Either")
    return await a() if first else await b()


@node
def Doubled(text: str) -> str:
    """Answer with more graph."""
    ran.append("Doubled")
    return Expand({"inner": {"type": "Slow", "inputs": {"text": Value(text)}}}, {"text": "inner"})  # type: ignore[return-value]


@node(deterministic=False)
def Chance(text: str) -> str:
    """Differs from run to run."""
    ran.append("Chance")
    return f"{text}{time.perf_counter_ns()}"


@node(output="files")
def Save(ctx: Context, text: str) -> None:
    """Write a file."""
    ran.append("Save")
    path = ctx.environment.outputs / "text.txt"
    path.write_text(text)
    ctx.wrote(path, kind="text")


@node
def Cut(ctx: Context, text: str) -> str:
    """Say what it left out, besides what is of this run alone."""
    ran.append("Cut")
    ctx.log("64 of 65 layers", "warning")
    ctx.log("sampled in 3 s")
    ctx.log("no previews", "warning", about="run")
    return text.lower()


@node
async def CutEither(ctx: Context, first: bool, a: Lazy[str], b: Lazy[str]) -> str:
    """Take one of two, and say so."""
    ctx.log("took one", "warning")
    return await a() if first else await b()


@node
def Within(ctx: Context, text: str) -> str:
    """Answer with more graph, of which something is said, too."""
    ran.append("Within")
    ctx.log("from outside", "error")
    return Expand({"inner": {"type": "Cut", "inputs": {"text": Value(text)}}}, {"text": "inner"})  # type: ignore[return-value]


@node(output="files")
def SaveCut(ctx: Context, text: str) -> None:
    """Write a file, and say what isn't in it."""
    ran.append("SaveCut")
    path = ctx.environment.outputs / "text.txt"
    path.write_text(text)
    ctx.log("cut off", "warning")
    ctx.wrote(path, kind="text")


NODES = (Text, Slow, Length, Texts, Either, Doubled, Chance, Save, Cut, CutEither, Within, SaveCut)
DEAR = ("Slow", "Grey")


class PricedStore(Store):
    """Takes the slow nodes for much slower than they are, and the quick ones for instant.

    By the clock it is milliseconds that decide what is worth a file, and on a busy machine any
    call, and any file, takes them.
    """

    def put(self, key: Key, entry: NewEntry, committed: Callable[[], None] | None = None) -> None:
        factor = 10_000 if entry.node_type in DEAR else 0
        super().put(key, replace(entry, seconds=factor * entry.seconds), committed)


class Process:
    """An engine on a store, as one process has it."""

    def __init__(self, folder: Path, *, memory: int = 1 << 30, claims: bool = True) -> None:
        self.registry = Registry()
        self.registry.add(*NODES)
        self.environment = Environment((), folder, folder, folder)
        self.store = PricedStore(folder / "store")
        self.costs = Costs(self.store.index)
        self.engine = Engine(
            self.registry,
            environment=self.environment,
            cache=Cache(MemoryCache(memory), self.store, (), self.registry.import_types),
            lanes=Lanes(cpu_places=2, io_places=2),
            costs=self.costs,
            claims=self.store.claims if claims else None,
            written=SinkFiles(self.store.index),
        )
        self.events: list[Event] = []

    def graph(self, nodes: Mapping[str, Any], *targets: str) -> CheckedGraph:
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})
        wanted = targets or list(nodes)[-1:]
        return build_graph(workflow, self.registry, self.environment, targets=wanted)

    async def run_async(self, nodes: Mapping[str, Any], *targets: str, **options: Any) -> RunResult:
        self.events = []
        return await self.engine.run(
            self.graph(nodes, *targets), RunOptions(listener=self.events.append, **options)
        )

    def close(self) -> None:
        self.engine.close()
        self.costs.flush()
        self.store.close()


Run = Callable[..., RunResult]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run nodes in a process of their own."""

    def in_new_process(nodes: Mapping[str, Any], *targets: str, **options: Any) -> RunResult:
        ran.clear()
        memory = options.pop("memory", 1 << 30)
        process = Process(folder, memory=memory)
        try:
            result = asyncio.run(process.run_async(nodes, *targets, **options))
            assert not [event for event in process.events if event.kind == "node.failed"]
            if options.get("values", True):
                dict(result.outputs)  # brings them in, while the store is open
            return result
        finally:
            process.close()

    return in_new_process


def text(value: str, times: int = 1) -> dict[str, Any]:
    return {"type": "Text", "inputs": {"text": value, "times": times}}


def of(kind: str, source: str, port: str = "text", **more: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": {port: {"from": source}, **more}}


def chain(value: str = "A", times: int = 10_000, plus: int = 0) -> dict[str, Any]:
    return {"t": text(value, times), "s": of("Slow", "t"), "n": of("Length", "s", plus=plus)}


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "store" / "artifacts").rglob("*") if path.is_file()]


def test_nothing_runs_after_a_restart(run: Run) -> None:
    first = run(chain())
    again = run(chain())
    assert ran == []
    assert again["n.number"] == first["n.number"] == 10_000
    assert {report.source for report in again.nodes.values()} == {"disk"}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the index is asked for results and their files, by whichever thread."""
    found: list[str] = []
    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(
            lambda asked: found.append(asked) if re.search("FROM (entries|artifacts)", asked) else 0
        )
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return found


def test_a_known_result_costs_one_look_into_the_index(run: Run, looks: list[str]) -> None:
    run(chain())
    looks.clear()
    assert run(chain(plus=1))["n.number"] == 10_001
    assert ran == ["Length"]
    # One for the text, one for what is read from its file, one for the length, which isn't known.
    assert len(looks) == 3


def test_a_known_list_costs_one_look_however_long(run: Run, looks: list[str]) -> None:
    nodes = {"t": {"type": "Texts", "inputs": {"count": 6}}, "s": of("Slow", "t")}
    run(nodes)
    looks.clear()
    assert len(run(nodes)["s.text"]) == 6
    assert ran == []
    assert len(looks) == 1 + 6  # the list, and a call for each of its items


def test_only_what_took_long_to_compute_is_written(run: Run, folder: Path) -> None:
    run(chain())
    assert [path.stat().st_size > 10_000 for path in files(folder)] == [True]


def test_a_changed_node_finds_its_inputs_on_disk(run: Run) -> None:
    run(chain())
    assert run(chain(plus=1))["n.number"] == 10_001
    assert ran == ["Length"]


def test_what_was_not_worth_writing_is_computed_only_for_who_needs_it(run: Run) -> None:
    nodes = {"t": text("A", 10_000), "n": of("Length", "t")}
    run(nodes)
    run(nodes)
    assert ran == []
    nodes["n"]["inputs"]["plus"] = 5
    assert run(nodes)["n.number"] == 10_005
    assert sorted(ran) == ["Length", "Text"]


def test_equal_bytes_stop_a_change_across_restarts(run: Run) -> None:
    run(chain("A"))
    # Another input that gives the same text in lower case.
    assert run(chain("a"))["n.number"] == 10_000
    assert ran == ["Text", "Slow"]


def test_renamed_and_moved_nodes_are_known(run: Run) -> None:
    run(chain())
    nodes = {"x": text("A", 10_000), "y": of("Slow", "x"), "z": of("Length", "y", plus=0)}
    run(nodes)
    assert ran == []


@pytest.mark.parametrize("harm", ["truncated", "altered", "removed"])
def test_damage_is_found_and_computed_again(run: Run, folder: Path, harm: str) -> None:
    run(chain())
    (path,) = files(folder)
    if harm == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "altered":
        path.write_bytes(b"x" + path.read_bytes()[1:])
    else:
        path.unlink()
    assert run(chain(plus=2))["n.number"] == 10_002
    assert sorted(ran) == ["Length", "Slow", "Text"]
    run(chain(plus=3))
    assert ran == ["Length"]


def test_a_wanted_value_is_brought_in_or_computed_again(run: Run, folder: Path) -> None:
    value = run(chain(), "s")["s.text"]
    assert run(chain(), "s")["s.text"] == value
    assert ran == []
    for path in files(folder):
        path.unlink()
    assert run(chain(), "s")["s.text"] == value
    assert ran == ["Text", "Slow"]


def test_lazy_steps_are_remembered(run: Run) -> None:
    nodes = {
        "a": text("A", 10_000),
        "b": text("B", 10_000),
        "slow": of("Slow", "b"),
        "e": {
            "type": "Either",
            "inputs": {"first": True, "a": {"from": "a"}, "b": {"from": "slow"}},
        },
    }
    run(nodes)
    assert sorted(ran) == ["Either", "Text"]
    run(nodes, values=False)
    assert ran == []
    nodes["e"]["inputs"]["first"] = False
    assert run(nodes)["e.text"] == "b" * 10_000
    assert sorted(ran) == ["Either", "Slow", "Text"]
    nodes["e"]["inputs"]["first"] = True
    run(nodes, values=False)
    assert ran == []


def test_a_longer_list_computes_its_new_items(run: Run) -> None:
    def nodes(count: int) -> dict[str, Any]:
        return {"t": {"type": "Texts", "inputs": {"count": count}}, "s": of("Slow", "t")}

    run(nodes(3))
    longer = run(nodes(5))
    assert ran == ["Texts", "Slow", "Slow"]
    assert [value[0] for value in longer["s.text"]] == ["a", "b", "c", "d", "e"]
    assert longer.nodes["s"].cached == 3


def test_one_lost_item_of_a_mapped_node_is_computed_again(run: Run, folder: Path) -> None:
    nodes = {"t": {"type": "Texts", "inputs": {"count": 3}}, "s": of("Slow", "t")}
    expected = run(nodes)["s.text"]
    files(folder)[0].unlink()
    assert run(nodes)["s.text"] == expected
    assert ran == ["Texts", "Slow"]


def test_an_expansion_is_known_and_can_be_made_again(run: Run, folder: Path) -> None:
    nodes = {"t": text("A", 10_000), "d": of("Doubled", "t"), "n": of("Length", "d", plus=0)}
    run(nodes)
    run(nodes)
    assert ran == []
    for path in files(folder):
        path.unlink()
    nodes["n"]["inputs"]["plus"] = 1
    assert run(nodes)["n.number"] == 10_001
    assert sorted(ran) == ["Doubled", "Length", "Slow", "Text"]


def test_a_run_within_hardly_any_memory_is_the_same(run: Run) -> None:
    nodes = {
        "t": {"type": "Texts", "inputs": {"count": 3}},
        "s": of("Slow", "t"),
        "d": of("Doubled", "s"),
        "n": of("Length", "d"),
    }
    assert run(nodes, memory=0)["n.number"] == [10_000] * 3
    assert run(nodes, memory=0)["n.number"] == [10_000] * 3
    assert ran == []


def test_what_differs_each_time_runs_in_each_job(run: Run) -> None:
    nodes = {"c": {"type": "Chance", "inputs": {"text": "x"}}, "n": of("Length", "c")}
    run(nodes)
    run(nodes)
    assert "Chance" in ran


def test_files_that_lie_there_unchanged_are_not_written_again(run: Run, folder: Path) -> None:
    nodes = {"t": text("A", 10), "save": of("Save", "t")}
    first = run(nodes)
    assert [file.existed for file in first.files] == [False]
    again = run(nodes)
    assert ran == []
    assert [(file.path, file.existed) for file in again.files] == [(folder / "text.txt", True)]
    assert again.nodes["save"].source == "files"
    (folder / "text.txt").write_text("something else")
    run(nodes)
    assert ran == ["Save"]
    (folder / "text.txt").unlink()
    run(nodes)
    assert ran == ["Save"]


def test_a_blocked_output_stays_blocked(run: Run, folder: Path) -> None:
    @node
    def Never(text: str) -> str:
        """Give nothing."""
        ran.append("Never")
        return BLOCKED  # type: ignore[return-value]

    for _ in range(2):
        process = Process(folder)
        process.registry.add(Never)
        nodes = {"t": text("A"), "x": of("Never", "t"), "n": of("Length", "x")}
        result = asyncio.run(process.run_async(nodes))
        process.close()
        assert result.is_ok
        assert result.nodes["n"].status == "skipped"
    assert ran.count("Never") == 1
    assert "Length" not in ran


def test_two_processes_compute_each_key_once(folder: Path) -> None:
    """Two engines on stores of their own in one folder, as two processes have them."""
    results: dict[int, list[Any]] = {}
    both_begin = threading.Barrier(2)

    def work(number: int) -> None:
        process = Process(folder)
        both_begin.wait()

        async def jobs() -> list[Any]:
            found = []
            for job in range(10):
                result = await process.run_async(chain("A", 5000 + job), "n")
                found.append(result["n.number"])
            return found

        try:
            results[number] = asyncio.run(jobs())
        finally:
            process.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [5000 + job for job in range(10)] for number in range(2)}
    assert ran.count("Slow") == 10


def test_who_waits_for_another_process_can_be_cancelled(folder: Path) -> None:
    from nodegraph.engine.options import CancelToken

    process = Process(folder)
    other = Store(folder / "store")
    nodes = {"t": text("A"), "s": of("Slow", "t")}
    token = CancelToken()

    async def cancelled() -> RunResult:
        def listen(event: Event) -> None:
            if event.kind == "node.waiting":
                token.cancel("enough")

        graph = process.graph(nodes)
        return await process.engine.run(graph, RunOptions(listener=listen, cancel=token))

    assert other.claims is not None
    held: list[str] = []

    class Held:
        """Somebody else holds every claim."""

        def try_claim(self, name: str) -> bool:
            held.append(name)
            return False

        def release(self, name: str) -> None:
            raise AssertionError

        def is_held(self, name: str) -> bool:
            return True

    process.engine.shared.claims = Held()
    result = asyncio.run(cancelled())
    assert result.status == "cancelled"
    assert result.reason == "enough"
    assert held
    other.close()
    process.close()


def test_a_failed_node_gives_its_claim_back(folder: Path) -> None:
    @node
    def Fail(text: str) -> str:
        """Fail."""
        raise ValueError("no")

    for _ in range(2):
        process = Process(folder)
        process.registry.add(Fail)
        result = asyncio.run(process.run_async({"f": {"type": "Fail", "inputs": {"text": "a"}}}))
        assert result.status == "failed"
        assert process.engine.shared.claims is not None
        process.close()


# Nodes that change their inputs in place

changed_first = threading.Event()


@node
def Grey(level: float) -> Image:
    """An even image; it takes a while, so that it is worth storing."""
    import torch

    ran.append("Grey")
    time.sleep(0.1)
    return torch.full((1, 32, 32, 3), level)


@node
def Careless(image: Image) -> float:
    """Brighten the image that others share."""
    ran.append("Careless")
    image += 0.5
    changed_first.set()
    return float(image.mean())


@node
def Doubled2(image: Image, after: bool = False) -> float:
    """Twice the image's brightness, after somebody else has had his way with it."""
    ran.append("Doubled2")
    if after:
        assert changed_first.wait(30)
    return float((image * 2).mean())


def beside(folder: Path, *, after: bool, check_mutation: bool = False) -> RunResult:
    process = Process(folder)
    process.registry.add(Grey, Careless, Doubled2)
    changed_first.clear()
    nodes = {
        "grey": {"type": "Grey", "inputs": {"level": 0.25}},
        "bad": of("Careless", "grey", "image"),
        "good": of("Doubled2", "grey", "image", after=after),
    }
    try:
        return asyncio.run(process.run_async(nodes, "bad", "good", check_mutation=check_mutation))
    finally:
        process.close()


def test_a_changed_picture_fails_who_changed_it_and_is_kept_nowhere(folder: Path) -> None:
    for _ in range(2):
        result = beside(folder, after=False)
        assert result.nodes["bad"].status == "failed"
        (error, *_) = [error for error in result.errors if error.problem.node == "bad"]
        assert error.problem.port == "image"
        assert "changed this input" in error.problem.message
        if result.nodes["good"].status != "failed":
            assert result["good.number"] == 0.5


def test_who_works_beside_it_gives_no_wrong_result(folder: Path) -> None:
    result = beside(folder, after=True)
    assert result.nodes["bad"].status == "failed"
    # It fails as well where it was handed the image before that was changed.
    assert result.nodes["good"].status == "failed" or result["good.number"] == 0.5
    process = Process(folder)
    process.registry.add(Grey, Careless, Doubled2)
    nodes = {
        "grey": {"type": "Grey", "inputs": {"level": 0.25}},
        "good": of("Doubled2", "grey", "image", after=True),
    }
    try:
        assert asyncio.run(process.run_async(nodes))["good.number"] == 0.5
    finally:
        process.close()


def test_the_checking_mode_blames_nobody_else(folder: Path) -> None:
    result = beside(folder, after=False, check_mutation=True)
    assert result.nodes["bad"].status == "failed"
    assert result.nodes["good"].status == "ran"
    assert result["good.number"] == 0.5


def test_values_are_taken_from_whichever_store_has_them(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first = Process(other)
    nodes = {"t": text("A", 10_000), "s": of("Slow", "t")}
    value = asyncio.run(first.run_async(nodes))["s.text"]
    first.close()
    here = Process(folder)
    asyncio.run(here.run_async(nodes))
    here.store.trim(0)
    here.close()
    ran.clear()
    process = Process(folder)
    team = Store(other / "store", read_only=True)
    process.engine.shared.cache = Cache(MemoryCache(), process.store, [team])
    try:
        assert asyncio.run(process.run_async(nodes))["s.text"] == value
    finally:
        process.close()
        team.close()
    assert ran == []


WARNED: dict[str, dict[str, Any]] = {
    "alone": {"x": of("Cut", "t")},
    "lazy": {
        "x": {"type": "CutEither", "inputs": {"first": True, "a": {"from": "t"}, "b": "no"}},
    },
    "expanded": {"x": of("Within", "t")},
    "written": {"x": of("SaveCut", "t")},
}
TOLD = {
    "alone": [("x", "warning", "64 of 65 layers")],
    "lazy": [("x", "warning", "took one")],
    "expanded": [("x", "error", "from outside"), ("x/inner", "warning", "64 of 65 layers")],
    "written": [("x", "warning", "cut off")],
}


def told(process: Process) -> list[tuple[str | None, str, str]]:
    """What nodes said."""
    return [
        (event.node, event.data["level"], event.data["message"])
        for event in process.events
        if event.kind == "log"
    ]


@pytest.mark.parametrize("how", list(WARNED))
@pytest.mark.parametrize("memory", [1 << 30, 0])
def test_what_a_node_warned_of_is_told_again_with_its_result(
    folder: Path, how: str, memory: int
) -> None:
    nodes = {"t": text("A", 10), **WARNED[how]}
    for process_number in range(2):
        process = Process(folder, memory=memory)
        for run_number in range(2):
            result = asyncio.run(process.run_async(nodes, values=False))
            is_first = process_number == run_number == 0
            assert result.nodes["x"].status == ("ran" if is_first else "cached")
            assert result.nodes["x"].warnings == tuple(message for *_, message in TOLD[how])
            if not is_first:  # neither what is no warning, nor what was said of that run alone
                assert told(process) == TOLD[how]
        process.close()


def test_all_items_of_a_list_warn_together_where_they_come_from_the_cache(folder: Path) -> None:
    nodes = {"t": {"type": "Texts", "inputs": {"count": 3}}, "x": of("Cut", "t")}
    for _ in range(2):
        process = Process(folder)
        result = asyncio.run(process.run_async(nodes, values=False))
        assert result.nodes["x"].warnings == ("64 of 65 layers",)
        process.close()
    assert told(process) == [("x[0]", "warning", "64 of 65 layers")]


def test_an_equal_call_that_waited_warns_as_well(folder: Path) -> None:
    process = Process(folder)
    nodes = {"t": text("A"), "x": of("Cut", "t"), "y": of("Cut", "t")}
    asyncio.run(process.run_async(nodes, "x", "y", values=False))
    process.close()
    assert ran.count("Cut") == 1
    warned = {node for node, _, message in told(process) if message == "64 of 65 layers"}
    assert warned == {"x", "y"}
