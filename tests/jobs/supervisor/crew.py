"""Real workers for tests, and somebody who watches them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import psutil

from nodegraph.core.events import Event
from nodegraph.core.file_access import PathRedactor
from nodegraph.jobs.queue import Death
from nodegraph.jobs.supervisor.messages import Ended, HelpUpdate, RunJob
from nodegraph.jobs.supervisor.starter import Starter
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules, WorkerSpec
from nodegraph.store.blobs import TransferSpeeds
from nodegraph.store.store import Store

PATIENCE = 120.0
"""Seconds: the machine may have much else to do."""
PACK = str(Path(__file__).with_name("trouble.py"))
QUICK = {"check_seconds": 0.05, "backoff_first": 0.01}


class Watch:
    """Notes what workers tell; a `WorkerObserver`."""

    def __init__(self) -> None:
        self.readied: list[str] = []
        self.told: list[tuple[str, int, Event]] = []
        self.ends: list[Ended] = []
        self.deaths: list[tuple[str, str | None, int | None, Death]] = []
        self.help: list[tuple[str, str]] = []
        self.on_end: Callable[[Ended], object] = lambda ended: None
        self._changed = asyncio.Event()

    def ready(self, worker: str) -> None:
        self.readied.append(worker)
        self._changed.set()

    def joinable(self, worker: str) -> None:
        self._changed.set()

    def events(self, job: str, attempt: int, events: Sequence[Event]) -> None:
        self.told += [(job, attempt, event) for event in events]
        self._changed.set()

    def ended(self, ended: Ended) -> None:
        self.events(ended.job, ended.attempt, ended.events)
        self.ends.append(ended)
        self.on_end(ended)

    def helped(self, worker: str, news: HelpUpdate) -> None:
        self.help.append((worker, news.status))
        self._changed.set()

    def died(self, worker: str, job: str | None, attempt: int | None, death: Death) -> None:
        self.deaths.append((worker, job, attempt, death))
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is true, looking again whenever anything was told, and regularly."""
        await asyncio.wait_for(self._until(condition), PATIENCE)

    async def _until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.02)

    def events_of(self, job: str) -> list[Event]:
        """What was told of a job."""
        return [event for name, _, event in self.told if name == job]

    def kinds(self, job: str) -> list[str]:
        """Kinds of a job's events."""
        return [event.kind for event in self.events_of(job)]


class Crew:
    """A supervisor with real workers, and the folder that they work in."""

    def __init__(self, folder: Path, supervisor: Supervisor, watch: Watch) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.watch = watch

    def path(self, name: str) -> str:
        """A file in its folder."""
        return str(self.folder / name)

    async def ready(self, count: int = 1) -> None:
        """Wait until workers have got ready so many times in all."""
        await self.watch.until(lambda: len(self.watch.readied) >= count)

    def begin(self, nodes: Mapping[str, Any], job: str = "job", **options: Any) -> None:
        """Give a job to an idle worker."""
        worker = self.supervisor.idle[0]
        self.supervisor.run(worker, run_of(nodes, job, **options))

    async def run(self, nodes: Mapping[str, Any], job: str = "job", **options: Any) -> Ended:
        """Run a job to its end."""
        await self.watch.until(lambda: self.supervisor.idle)
        before = len(self.watch.ends)
        self.begin(nodes, job, **options)
        await self.watch.until(lambda: len(self.watch.ends) > before)
        return self.watch.ends[-1]

    async def death(self, count: int = 1) -> Death:
        """Wait for a worker's death."""
        await self.watch.until(lambda: len(self.watch.deaths) >= count)
        return self.watch.deaths[count - 1][-1]

    def pid(self, worker: str = "worker-1") -> int:
        """Of a worker's process."""
        pid = self.supervisor.status(worker).pid
        assert pid is not None
        return pid

    async def there(self, name: str) -> None:
        """Wait for a file in the folder."""
        await self.watch.until((self.folder / name).exists)


def run_of(nodes: Mapping[str, Any], job: str = "job", attempt: int = 1, **options: Any) -> RunJob:
    """An order to run some nodes, given as type and inputs; a `@` in an input means a link."""
    written = {
        name: {"type": f"trouble:{kind}", "inputs": {key: _input(inputs[key]) for key in inputs}}
        for name, (kind, inputs) in nodes.items()
    }
    text = json.dumps({"format": "nodegraph/1", "nodes": written})
    return RunJob(job, attempt, options.pop("text", text), **options)


def _input(value: Any) -> Any:
    return {"from": value[1:]} if isinstance(value, str) and value.startswith("@") else value


def alone(kind: str, **inputs: Any) -> dict[str, Any]:
    """One node, and an end to it."""
    return {"it": (kind, inputs), "end": ("Show", {"value": "@it"})}


def sums(value: int) -> dict[str, Any]:
    """Three nodes that take no time."""
    return {"a": ("Number", {"value": value}), **alone("Add", a="@a")}


@asynccontextmanager
async def crew(
    folder: Path,
    *,
    workers: int = 1,
    planner: bool = False,
    import_seconds: float = 60.0,
    worker: Mapping[str, Any] | None = None,
    starter: Starter | None = None,
    **rules: Any,
) -> AsyncIterator[Crew]:
    """Workers until the end of the `with`; none of them outlives it.

    Args:
        worker: Settings that the workers have and the planner hasn't.
        starter: Starts the workers' processes, if not as usual.
    """
    settings = {
        "home": str(folder / "home"),
        "outputs": str(folder / "output"),
        # What packs declare is read once for all tests; results are each test's own.
        "cache": str(folder.parent / "cache"),
        "device": "cpu",
        "checkpoint_seconds": 0,
        "import_seconds": import_seconds,
    }
    places = PathRedactor({"home": folder / "home"})
    own = {**settings, **(worker or {})}
    specs = [
        WorkerSpec(f"worker-{at + 1}", settings=own, packs=[PACK], warm=False, places=places)
        for at in range(workers)
    ]
    if planner:
        specs.append(WorkerSpec("planner", "planner", settings=settings, packs=[PACK]))
    watch = Watch()
    found = SupervisionRules(**{**QUICK, **rules})
    supervisor = Supervisor(specs, watch, found, starter=starter)
    await supervisor.start()
    try:
        yield Crew(folder, supervisor, watch)
    finally:
        await supervisor.stop()


def remember_slow_disk() -> None:
    """Let the test's store take its disk for the slowest: no file is worth what a quick call gave.

    By the clock it is milliseconds that decide, and on a busy machine any call takes them.
    """
    folder = Path(os.environ["NODEGRAPH_STORE"])
    with Store(folder):
        pass
    with closing(sqlite3.connect(folder / "index.sqlite")) as index:
        TransferSpeeds(write_file=0.5, read_file=0.5).save(index)
        index.commit()


def stand_still(pid: int) -> None:
    """Stop a process, and wait until none of its threads does anything any more.

    A thread that is already running may go on for a while after the signal was sent.
    """
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + PATIENCE
    while any(thread != psutil.STATUS_STOPPED for thread in _states(pid)):
        assert time.monotonic() < end, "it never stood still"
        time.sleep(0.001)


def _states(pid: int) -> list[str]:
    """Of the threads of a process, where the system tells; else its own."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        return [psutil.Process(pid).status()]
    found = []
    for task in tasks.iterdir():
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(task.name)).status())
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has buried doesn't."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
