"""Random graphs on a store, with edits, restarts, damage and cancellation between and during runs.

Every result is that of plain evaluation from scratch, and what ran is what had to run; see
`tests.engine.store_model`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_value
from nodegraph.core.events import Event
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.keys import Key
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.options import CancelToken, RunOptions
from nodegraph.engine.product import leaves as leaves_of
from nodegraph.engine.result import RunResult
from nodegraph.engine.run import Run
from nodegraph.errors import InvalidValue
from nodegraph.packs.registry import Registry
from nodegraph.store.entries import NewEntry
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.store import Store
from tests.engine.store_model import (
    KINDS,
    NODES,
    CallModel,
    Closure,
    Evaluation,
    Plain,
    Remembered,
    every_call,
    most_often,
    plain,
    told,
    world,
)
from tests.properties import examples

LIMIT = 60.0
"""Seconds after which a run is taken to hang."""
DEAR = ("Dear",)
MANY = 1 << 30


class PricedStore(Store):
    """What calls took is set by their type, so that what is worth a file doesn't vary."""

    def put(self, key: Key, entry: NewEntry, committed: Callable[[], None] | None = None) -> None:
        seconds = 1000.0 if entry.node_type in DEAR else 0.0
        super().put(key, replace(entry, seconds=seconds), committed)


class WatchedClaims:
    """Remembers what is claimed."""

    def __init__(self, store: Store) -> None:
        assert store.claims is not None
        self._claims = store.claims
        self._lock = threading.Lock()
        self.held: set[str] = set()

    def try_claim(self, name: str) -> bool:
        with self._lock:
            is_mine = self._claims.try_claim(name)
            if is_mine:
                self.held.add(name)
            return is_mine

    def is_held(self, name: str) -> bool:
        return self._claims.is_held(name)

    def release(self, name: str) -> None:
        with self._lock:
            self.held.discard(name)
            self._claims.release(name)


class SeenRun(Run):
    """A run that can be looked at after its end."""

    seen: ClassVar[list[Run]] = []

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        SeenRun.seen.append(self)


class Process:
    """An engine on a store, as one process has it."""

    def __init__(self, folder: Path, memory: int) -> None:
        self.registry = Registry()
        self.registry.add(*NODES)
        (folder / "outputs").mkdir(exist_ok=True)
        self.environment = Environment((), folder, folder / "outputs", folder)
        self.store = PricedStore(folder / "store")
        self.claims = WatchedClaims(self.store)
        self.memory = MemoryCache(memory)
        self.engine = Engine(
            self.registry,
            environment=self.environment,
            cache=Cache(self.memory, self.store, (), self.registry.import_types),
            lanes=Lanes(cpu_places=2, io_places=2),
            claims=self.claims,
            written=SinkFiles(self.store.index),
        )

    def graph(self, nodes: Mapping[str, Any], targets: Sequence[str]) -> CheckedGraph:
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})
        return build_graph(workflow, self.registry, self.environment, targets=targets)

    def is_intact(self, value: str) -> bool:
        """Whether a text lies on disk as it was written."""
        query = "SELECT file, suffix FROM artifacts WHERE digest = ?"
        row = self.store.index.fetch_one(query, (bytes.fromhex(digest_value(value)),))
        if row is None:
            return False
        path = self._path(row[0].hex(), row[1])
        return path.exists() and blake3(path.read_bytes()).digest() == row[0]

    def _path(self, name: str, suffix: str) -> Path:
        return self.store.folder / "artifacts" / name[:2] / f"{name[2:]}.{suffix}"

    def files(self) -> list[Path]:
        found = (self.store.folder / "artifacts").rglob("*.*")
        return sorted(path for path in found if path.is_file())

    def check_idle(self) -> None:
        """Nothing is left of the runs that have ended."""
        shared = self.engine.shared
        assert not shared.in_flight
        for lane in ("gpu", "cpu", "io"):
            assert not shared.lanes[lane].waiting
        # They are given back a moment after others can see the results.
        wait_until(lambda: not self.claims.held)

    def close(self) -> None:
        self.engine.close()
        self.store.close()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


# Graphs


@dataclass(frozen=True)
class Gene:
    """A node whose links fit whatever stands before it.

    Attributes:
        picks: For each input: chooses a literal or one of the outputs that fit.
    """

    name: str
    kind: str
    picks: tuple[int, ...]
    always: bool = False


KIND_NAMES = sorted(KINDS)
GENES = st.builds(
    lambda kind, picks, always: ("", kind, tuple(picks), always),
    st.sampled_from(KIND_NAMES),
    st.lists(st.integers(0, 40), min_size=3, max_size=3),
    st.integers(0, 11).map(lambda number: number == 11),
)
_TAKES = {
    "int": {"int"},
    "float": {"int", "float"},
    "str": {"str"},
    "int?": {"int", "int?"},
}


def workflow_of(genes: Sequence[Gene]) -> dict[str, Any]:
    """The nodes of a workflow."""
    nodes: dict[str, Any] = {}
    types = Evaluation(nodes, ())
    outputs: list[tuple[str, str, int]] = []
    for gene in genes:
        kind = KINDS[gene.kind]
        inputs: dict[str, Any] = {}
        for (port, wanted), pick in zip(kind.ports.items(), gene.picks, strict=False):
            fitting = [
                output
                for output, base, depth in outputs
                if base in _TAKES[wanted.base] and depth <= wanted.depth + 2
            ]
            if wanted.only_literal or not fitting or pick % 8 == 7:
                inputs[port] = _literal(wanted.base, wanted.depth, pick % 4)
            else:
                inputs[port] = {"from": fitting[-1 - pick % len(fitting)]}
        nodes[gene.name] = {"type": gene.kind, "inputs": inputs}
        if gene.always:
            nodes[gene.name]["always"] = True
        for port in kind.outputs:
            base, depth = types.type_of(gene.name, port)
            if depth <= 2:
                outputs.append((f"{gene.name}.{port}".rstrip("."), base, depth))
    return nodes


def _literal(base: str, depth: int, number: int) -> Any:
    if depth:
        return [_literal(base, depth - 1, at) for at in range(number)]
    return "abcd"[number] if base == "str" else number


# Runs


class GraphsOnAStore(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        world.reset()
        SeenRun.seen.clear()
        self.patch = patch("nodegraph.engine.engine.Run", SeenRun)
        self.patch.start()
        self.temporary = TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = Path(self.temporary.name)
        self.loop = asyncio.new_event_loop()
        self.budget = MANY
        self.process = Process(self.folder, self.budget)
        self.is_harmed = False
        self.genes: list[Gene] = []
        self.count = 0
        self.known: set[Plain] = set()
        self.maybe_known: set[Plain] = set()
        self.loaded: set[Plain] = set()
        self.maybe_loaded: set[Plain] = set()

    def teardown(self) -> None:
        self.process.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.patch.stop()
        self.temporary.cleanup()
        SeenRun.seen.clear()

    # Edits

    def _new(self, parts: tuple[Any, ...]) -> Gene:
        self.count += 1
        return Gene(f"n{self.count}", *parts[1:])

    @initialize(genes=st.lists(GENES, min_size=3, max_size=8))
    def begin(self, genes: list[tuple[Any, ...]]) -> None:
        self.genes = [self._new(gene) for gene in genes]

    @precondition(lambda self: len(self.genes) < 12)
    @rule(gene=GENES, at=st.integers(0, 12))
    def add_node(self, gene: tuple[Any, ...], at: int) -> None:
        self.genes.insert(len(self.genes) - at % (len(self.genes) + 1), self._new(gene))

    @precondition(lambda self: len(self.genes) > 2)
    @rule(at=st.integers(0, 12))
    def remove_node(self, at: int) -> None:
        del self.genes[at % len(self.genes)]

    @rule(at=st.integers(0, 12), port=st.integers(0, 2), pick=st.integers(0, 40))
    def change_input(self, at: int, port: int, pick: int) -> None:
        gene = self.genes[at % len(self.genes)]
        picks = (*gene.picks[:port], pick, *gene.picks[port + 1 :])
        self.genes[at % len(self.genes)] = replace(gene, picks=picks)

    @rule(at=st.integers(0, 12))
    def rename(self, at: int) -> None:
        self.count += 1
        at %= len(self.genes)
        self.genes[at] = replace(self.genes[at], name=f"renamed{self.count}")

    @rule(at=st.integers(0, 12))
    def toggle_always(self, at: int) -> None:
        at %= len(self.genes)
        self.genes[at] = replace(self.genes[at], always=not self.genes[at].always)

    # The world

    @rule(number=st.integers(0, 6))
    def toggle_bad(self, number: int) -> None:
        world.bad ^= {number}

    @rule()
    def tick(self) -> None:
        world.tick += 1

    @rule(name=st.sampled_from("abcd"), state=st.integers(0, 2))
    def change_outside(self, name: str, state: int) -> None:
        world.state[name] = state

    @rule(harm=st.sampled_from(["removed", "altered"]))
    def harm_outputs(self, harm: str) -> None:
        for path in (self.folder / "outputs").iterdir():
            path.unlink() if harm == "removed" else path.write_text("something else")

    # The caches

    @rule(budget=st.sampled_from([0, 0, 20_000, MANY]))
    def restart(self, budget: int) -> None:
        self.process.close()
        self.budget = budget
        self.process = Process(self.folder, budget)
        self._forget_memory()

    @rule(budget=st.sampled_from([0, 20_000, MANY]))
    def resize_memory(self, budget: int) -> None:
        self.budget = self.process.memory.budget = budget
        self.process.memory.clear()
        self._forget_memory()

    def _forget_memory(self) -> None:
        self.loaded.clear()
        self.maybe_loaded.clear()

    @rule()
    def evict_everything(self) -> None:
        self.process.store.trim(0)
        self.resize_memory(self.budget)

    @rule(at=st.integers(0, 20), harm=st.sampled_from(["truncated", "altered", "removed"]))
    def harm_file(self, at: int, harm: str) -> None:
        self.process.store.flush()
        files = self.process.files()
        if files:
            self.is_harmed = True
            path = files[at % len(files)]
            data = path.read_bytes()
            if harm == "removed":
                path.unlink()
            else:
                path.write_bytes(data[:-1] if harm == "truncated" else b"x" + data[1:])
        self.resize_memory(self.budget)

    # Runs

    def _targets(self, picks: Sequence[int]) -> list[str]:
        names = [gene.name for gene in self.genes]
        return list(dict.fromkeys(names[-1 - pick % len(names)] for pick in picks))

    @rule(picks=st.lists(st.integers(0, 12), min_size=1, max_size=4), values=st.booleans())
    def run(self, picks: list[int], values: bool) -> None:
        self._check([self._targets(picks)], values=values)

    @rule(values=st.booleans())
    def run_all(self, values: bool) -> None:
        self._check([[gene.name for gene in self.genes]], values=values)

    @rule(picks=st.lists(st.integers(0, 12), min_size=1, max_size=4))
    def run_twice(self, picks: list[int]) -> None:
        for _ in range(2):
            self._check([self._targets(picks)])

    @rule(picks=st.lists(st.integers(0, 12), min_size=2, max_size=4), values=st.booleans())
    def run_two_at_once(self, picks: list[int], values: bool) -> None:
        half = len(picks) // 2
        both = [self._targets(picks[:half]), self._targets(picks[half:])]
        self._check(both, values=values)

    @rule(
        picks=st.lists(st.integers(0, 12), min_size=2, max_size=4),
        budget=st.sampled_from([0, MANY]),
    )
    def run_on_two_engines(self, picks: list[int], budget: int) -> None:
        half = len(picks) // 2
        other = Process(self.folder, budget)
        try:
            both = [self._targets(picks[:half]), self._targets(picks[half:])]
            self._check(both, processes=[self.process, other])
        finally:
            other.close()

    @rule(
        picks=st.lists(st.integers(0, 12), min_size=1, max_size=4),
        after=st.integers(1, 40),
        values=st.booleans(),
    )
    def cancel(self, picks: list[int], after: int, values: bool) -> None:
        self._check([self._targets(picks)], values=values, cancel_after=after)

    @rule(
        picks=st.lists(st.integers(0, 12), min_size=2, max_size=4),
        after=st.integers(1, 40),
    )
    def cancel_one_of_two(self, picks: list[int], after: int) -> None:
        half = len(picks) // 2
        both = [self._targets(picks[:half]), self._targets(picks[half:])]
        self._check(both, cancel_after=after)

    @rule(
        picks=st.lists(st.integers(0, 12), min_size=1, max_size=4),
        after=st.integers(1, 20),
    )
    def pause_and_resume(self, picks: list[int], after: int) -> None:
        self._check([self._targets(picks)], pause_after=after)

    # What must hold

    def _check(
        self,
        targets: list[list[str]],
        *,
        values: bool = True,
        cancel_after: int | None = None,
        pause_after: int | None = None,
        processes: list[Process] | None = None,
    ) -> None:
        """Run the graph for each list of targets, at the same time; the first may be cancelled."""
        nodes = workflow_of(self.genes)
        self.process.store.flush()
        on = processes or [self.process] * len(targets)
        models = [Evaluation(nodes, self.known, self.maybe_known) for _ in targets]
        most, least = self._expected(models, targets, values, on)
        world.log.clear()
        SeenRun.seen.clear()
        tokens = [CancelToken() for _ in targets]
        jobs = []
        for process, names, token in zip(on, targets, tokens, strict=True):
            is_first = not jobs
            listen = _Listener(
                token,
                self.loop,
                cancel_after if is_first else None,
                pause_after if is_first else None,
            )
            graph = process.graph(nodes, names)
            jobs.append(
                process.engine.run(graph, RunOptions(listener=listen, cancel=token, values=values))
            )
        results = self._finish(jobs)
        ran = Counter(world.log)
        for process in dict.fromkeys(on):
            process.store.flush()
            process.check_idle()
        cancelled = [result.status == "cancelled" for result in results]
        is_elsewhere = processes is not None
        if any(model.is_doubtful for model in models):
            self._remember(most, least, ran, True, is_elsewhere)
            return
        for result, model, names in zip(results, models, targets, strict=True):
            _check_result(result, model, names, nodes, values=values)
        for run, names in zip(SeenRun.seen, targets, strict=True):
            _check_nothing_held(run, names)
        unexpected = set(ran) - set().union(*(closure.plain for closure in most))
        assert not unexpected, f"ran without need: {unexpected}"
        if not any(cancelled):
            missing = set().union(*(closure.plain for closure in least)) - set(ran)
            assert not missing, f"should have run: {missing}"
        if self.budget == MANY and processes is None:
            often = most_often(models)
            # Who finds a damaged file only when it is read needs what gave it once more, as does
            # who waited for a call that was cancelled.
            more = 1 if any(cancelled) or self.is_harmed else 0
            too_often = {
                call: (times, often[call])
                for call, times in ran.items()
                if times > often[call] + more
            }
            assert not too_often, f"ran too often: {too_often}"
        self._remember(most, least, ran, any(cancelled), is_elsewhere)

    def _finish(self, jobs: list[Coroutine[Any, Any, RunResult]]) -> list[RunResult]:
        async def all_of_them() -> list[RunResult]:
            tasks = [asyncio.ensure_future(job) for job in jobs]
            _, pending = await asyncio.wait(tasks, timeout=LIMIT)
            assert not pending, "\n".join(map(_told, SeenRun.seen))
            return [task.result() for task in tasks]

        return self.loop.run_until_complete(all_of_them())

    def _expected(
        self,
        models: Sequence[Evaluation],
        targets: Sequence[Sequence[str]],
        values: bool,
        on: Sequence[Process],
    ) -> tuple[list[Closure], list[Closure]]:
        on_disk: dict[str, bool] = {}
        givers: Counter[Any] = Counter()

        def is_there(value: str) -> bool:
            if value not in on_disk:
                on_disk[value] = self.process.is_intact(value)
            return on_disk[value]

        for model, names in zip(models, targets, strict=True):
            for name in names:
                model.of(name)
            for call in every_call(model):
                for leaf in call.values:
                    givers[told(leaf.value)] += 1
                    if isinstance(leaf.value, str) and len(leaf.value) > 4000:
                        is_there(leaf.value)
        written = {
            path.stem
            for path in (self.folder / "outputs").iterdir()
            if path.read_text() == path.stem
        }

        def closures(
            known: set[Plain], loaded: Sequence[set[Plain]], at_least: bool
        ) -> list[Closure]:
            def is_written(call: CallModel) -> bool:
                return call.key in known and str(call.plain[1]) in written

            return [
                Closure(
                    model,
                    names,
                    Remembered(known, found, is_there, is_written, givers, self.is_harmed),
                    values=values,
                    at_least=at_least,
                )
                for model, names, found in zip(models, targets, loaded, strict=True)
            ]

        # Another engine has nothing in memory.
        loaded = [self.loaded if process is self.process else set() for process in on]
        maybe_loaded = [self.maybe_loaded] * len(on)
        return (
            closures(self.known, loaded, at_least=False),
            closures(self.maybe_known, maybe_loaded, at_least=True),
        )

    def _remember(
        self,
        most: Sequence[Closure],
        least: Sequence[Closure],
        ran: Counter[Plain],
        was_cancelled: bool,
        is_elsewhere: bool,
    ) -> None:
        calls = {call for closure in most for call in closure.calls}
        kept = {call for call in calls if (call.kept or call.plain[0] == "Save")}
        kept = {call for call in kept if not call.failed}
        must = {call.key for closure in least for call in closure.calls}
        # Where one noted call stands for several keys, it can't be told which of them ran.
        keys: dict[Plain, set[Plain]] = {}
        for call in calls:
            keys.setdefault(call.plain, set()).add(call.key)
        for call in kept:
            self.maybe_known.add(call.key)
            self.maybe_loaded.add(call.key)
            is_sure = call.plain in ran and len(keys[call.plain]) == 1
            is_sure |= call.key in must and not was_cancelled
            may_be_dropped = call.is_lazy or call.inner is not None or call.plain[0] == "Length"
            if was_cancelled and may_be_dropped:
                is_sure = False  # what runs on the event loop ends at once
            if is_sure:
                self.known.add(call.key)
            stays = self.budget == MANY and not was_cancelled and not is_elsewhere
            if is_sure and stays and call.inner is None:
                self.loaded.add(call.key)
        if self.budget == 0:
            self.maybe_loaded.clear()


class _Listener:
    """Cancels or pauses a run after some of its events."""

    def __init__(
        self,
        token: CancelToken,
        loop: asyncio.AbstractEventLoop,
        cancel_after: int | None,
        pause_after: int | None,
    ) -> None:
        self._token = token
        self._loop = loop
        self._cancel_after = cancel_after
        self._pause_after = pause_after
        self._count = 0

    def __call__(self, event: Event) -> None:
        self._count += 1
        if self._count == self._cancel_after:
            self._token.cancel("enough")
        if self._count == self._pause_after:
            self._token.pause()
        if event.kind == "job.paused":
            self._loop.call_soon(self._loop.call_soon, self._token.resume)


def _check_result(
    result: RunResult,
    model: Evaluation,
    targets: Sequence[str],
    nodes: Mapping[str, Any],
    *,
    values: bool,
) -> None:
    was_cancelled = result.status == "cancelled"
    statuses = {
        name: {"ran": "ok", "cached": "ok"}.get(report.status, report.status)
        for name, report in result.nodes.items()
        if name in nodes
    }
    expected = {name: node.status for name, node in model.nodes.items()}
    if was_cancelled:
        statuses = {name: status for name, status in statuses.items() if status != "cancelled"}
        for name, status in statuses.items():
            assert status == expected[name] or status == "skipped", name
    else:
        assert statuses == expected
        assert result.status == ("failed" if "failed" in expected.values() else "ok")
    for name in targets:
        for port, art in model.nodes[name].arts.items():
            key = f"{name}.{port or PORTS[nodes[name]['type']]}"
            if key not in result.outputs:
                assert was_cancelled, key
                continue
            try:
                value = result.outputs[key]
            except InvalidValue:
                assert not values
                continue
            assert value == plain(art), key
            assert type(value) is type(plain(art))


def _ports() -> dict[str, str]:
    registry = Registry()
    registry.add(*NODES)
    return {
        name: registry.spec(name).outputs[0].name  # type: ignore[union-attr]
        for name, kind in KINDS.items()
        if kind.outputs
    }


PORTS = _ports()


def _check_nothing_held(run: Run, targets: Iterable[str]) -> None:
    """A run has let go of all large values but those of its targets."""
    held = [
        name
        for name, state in run.states.items()
        for product in leaves_of(state.products or ())
        if product.is_loaded and product.size > 4096
    ]
    assert set(held) <= set(targets)
    assert not [name for name, state in run.states.items() if state.watchers or state.followers]


def _told(run: Run) -> str:
    return "\n".join(
        f"{name}: {state.status} waiting={state.waiting} consumers={state.consumers} "
        f"demanded={state.demanded} open={state.open_calls} followers={len(state.followers)}"
        for name, state in run.states.items()
    )


TestGraphsOnAStore = GraphsOnAStore.TestCase
TestGraphsOnAStore.settings = settings(
    deadline=None,
    max_examples=examples(100),
    stateful_step_count=20,
    suppress_health_check=list(HealthCheck),
)
TestGraphsOnAStore = pytest.mark.slow(TestGraphsOnAStore)
