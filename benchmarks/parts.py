"""A benchmark in parts: processes of their own, each with a share of the seconds that there are.

For machines that are there for minutes. A part is a list of checks. What a check measures is in the
report's file at once, and stays there whatever happens to the process. A check that fails ends its
process, as what it leaves of a device may be of no use to others; those after it run in a new one.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, Any, Literal

import psutil
from common import Figure

Clock = Callable[[], float]
State = Literal["waiting", "running", "done", "failed", "cut off", "left out"]
_LOOK = 0.2
"""Seconds between two looks at the clock while a process says nothing."""
_PATIENCE = 20.0
"""Seconds for a process to end that has said all."""

_RECORD = "\x1e"
"""What lines begin with that are records, as in RFC 7464."""


@dataclass
class Check:
    """What came of a check.

    Attributes:
        state: `cut off` while it ran, or `left out` before it began, for want of time.
        seconds: That it took.
        counts: Of what it goes through, so far.
        notes: What can't be said in figures.
        error: Why it failed, with the traceback.
    """

    name: str
    state: State = "waiting"
    seconds: float | None = None
    figures: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass
class Part:
    """A part, and what came of it.

    Attributes:
        share: Of the seconds, beside those of the other parts.
        most: Seconds that it gets at most.
        given: Those that it got.
        seconds: Those that it took.
        error: Why it has no checks.
    """

    name: str
    share: float
    most: float = math.inf
    state: State = "waiting"
    given: float | None = None
    seconds: float | None = None
    checks: list[Check] = field(default_factory=list)
    error: str | None = None


class Report:
    """All that is known so far, in a file that is a whole JSON document at any moment.

    Args:
        file: None keeps it in memory alone.
        about: What was asked for.
    """

    def __init__(self, file: Path | None, parts: Sequence[Part], about: Mapping[str, Any]) -> None:
        self.parts = parts
        self.machine: dict[str, Any] = {}
        self._file = file
        self._about = about
        self.write()

    def document(self) -> dict[str, Any]:
        """What the file holds."""
        parts = [
            {key: value for key, value in asdict(part).items() if key not in ("share", "most")}
            for part in self.parts
        ]
        return {**self._about, "machine": self.machine, "parts": parts}

    def write(self) -> None:
        """Put it in the place of what the file held."""
        if self._file is None:
            return
        beside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        beside.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")
        beside.replace(self._file)


@dataclass(frozen=True)
class Launch:
    """How a part's process is started: with the names of checks that it is to leave out added."""

    command: Sequence[str | Path]
    environment: Mapping[str, str]


class Parts:
    """Runs the parts of a report one after the other.

    Args:
        budget: Seconds for all of them, from now on.
        launch: How to start one.
    """

    def __init__(
        self,
        report: Report,
        budget: float,
        launch: Callable[[Part], Launch],
        clock: Clock = time.monotonic,
    ) -> None:
        self._report = report
        self._launch = launch
        self._clock = clock
        self._end = clock() + budget

    def figures(self) -> Iterator[Figure]:
        """Figures as they come; how many checks gave none that were to, at last."""
        waiting = list(self._report.parts)
        while waiting:
            part = waiting[0]
            part.given = seconds_of(waiting, self._end - self._clock())
            if part.given > 0:
                yield from self._run(part, part.given)
            else:
                part.state = "left out"
                self._report.write()
            del waiting[0]
        parts = self._report.parts
        states = [part.state for part in parts]
        states += [check.state for part in parts for check in part.checks]
        yield Figure("parts and checks that failed", states.count("failed"), "", 0)
        late = states.count("cut off") + states.count("left out")
        yield Figure("… that there was no time for", late, "")

    def _run(self, part: Part, seconds: float) -> Iterator[Figure]:
        start = self._clock()
        end = start + seconds
        part.state = "running"
        self._report.write()
        while part.state == "running":
            tried = [check.name for check in part.checks if check.state != "waiting"]
            with _Process(self._launch(part), tried) as process:
                for record in process.records(end, self._clock):
                    yield from self._noted(part, record)
                    self._report.write()
                is_late = self._clock() >= end
                code = None if is_late else process.code()
            self._settle(part, code, is_late=is_late, has_tried=len(tried))
            part.seconds = self._clock() - start
            self._report.write()

    def _noted(self, part: Part, record: Mapping[str, Any]) -> Iterator[Figure]:
        """Enter what a process says into the report."""
        (kind, value), *_ = record.items()
        running = next((check for check in part.checks if check.state == "running"), None)
        if kind == "machine":
            self._report.machine |= value
        elif kind == "checks":
            known = {check.name for check in part.checks}
            part.checks += [Check(name) for name in value if name not in known]
        elif kind == "begins":
            next(check for check in part.checks if check.name == value).state = "running"
        elif running is None:
            part.error = str(value)
        elif kind == "figure":
            running.figures.append(value)
            yield Figure(**value)
        elif kind == "counts":
            running.counts = value
        elif kind == "note":
            running.notes.append(value)
        elif kind == "error":
            running.state, running.error = "failed", value
            _warn(part, running)
        elif kind == "seconds":
            running.seconds, running.state = value, "done"

    def _settle(self, part: Part, code: int | None, *, is_late: bool, has_tried: int) -> None:
        """What is to be said of a part whose process is over; it stays `running` if it goes on."""
        running = [check for check in part.checks if check.state == "running"]
        waiting = [check for check in part.checks if check.state == "waiting"]
        for check in running:
            check.state = "cut off" if is_late else "failed"
            check.error = None if is_late else f"its process ended with {code}"
            _warn(part, check)
        if is_late:
            for check in waiting:
                check.state = "left out"
            part.state = "cut off" if running or waiting or not part.checks else "done"
        elif len(part.checks) - len(waiting) == has_tried and (waiting or not part.checks):
            part.state = "failed"
            part.error = part.error or f"its process ended with {code}"
            _warn(part)
        elif not waiting:
            part.state = "done"


def seconds_of(waiting: Sequence[Part], left: float) -> float:
    """What the first of some parts gets of the seconds that are left: those it doesn't take are
    left to the others."""
    share = waiting[0].share / sum(part.share for part in waiting)
    return max(0.0, min(waiting[0].most, left * share))


def _warn(part: Part, check: Check | None = None) -> None:
    entry = part if check is None else check
    name = part.name if check is None else f"{part.name}, {check.name}"
    reason = (entry.error or "no time is left").strip().splitlines()[-1]
    print(f"{name}: {entry.state}: {reason}", file=sys.stderr, flush=True)


class _Process:
    """A part's process; it and all that it started are over at the end of the `with`."""

    def __init__(self, launch: Launch, tried: Collection[str]) -> None:
        skips = [text for name in tried for text in ("--skip", name)]
        self._process = subprocess.Popen(
            [*launch.command, *skips],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=dict(launch.environment),
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # A daemon, as who inherited the pipe might keep it open.
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def records(self, end: float, clock: Clock) -> Iterator[dict[str, Any]]:
        """What it says, until it ends or no time is left."""
        while clock() < end:
            try:
                line = self._lines.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if line is None:
                return
            if line.startswith(_RECORD):
                yield json.loads(line.removeprefix(_RECORD))
            else:  # of a library that prints while it is imported
                sys.stderr.write(line)

    def code(self) -> int | None:
        """With what it ended; None if it doesn't end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_PATIENCE)
        return None

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        started: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            # Looked for before it ends, as nobody knows whose they were afterwards.
            started = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._reader.join(_PATIENCE)
        assert self._process.stdout is not None
        if not self._reader.is_alive():
            self._process.stdout.close()


class Recorder:
    """Writes the records of a part, in its process."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def say(self, kind: str, value: Any) -> None:
        """One record."""
        print(_RECORD + json.dumps({kind: value}), file=self._out, flush=True)

    def figure(self, figure: Figure) -> None:
        """Something that was measured."""
        self.say("figure", asdict(figure))

    def note(self, text: str) -> None:
        """What can't be said in a figure."""
        self.say("note", text)

    def counts(self, counts: Mapping[str, int]) -> None:
        """How many there were of each kind so far; in the place of what was said before."""
        self.say("counts", dict(counts))


Action = Callable[[Recorder], object]


def measuring(figures: Callable[[], Iterator[Figure]]) -> Action:
    """A check that measures figures one by one."""

    def run(records: Recorder) -> None:
        for figure in figures():
            records.figure(figure)

    return run


def run_checks(
    checks: Callable[[], Mapping[str, Action]],
    skip: Collection[str],
    machine: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Run a part's checks in its process, and say what comes of them.

    Args:
        checks: By name; they are made here, so that what goes wrong with that is recorded, too.
        skip: Names of those that were tried before.
        machine: What they run on.
    Raises:
        Exception: What a check raised; those after it weren't run.
    """
    # Libraries print as they like; only records go to where they are read.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        records = Recorder(out)
        try:
            records.say("machine", dict(machine()))
            named = checks()
            records.say("checks", list(named))
            for name, check in named.items():
                if name in skip:
                    continue
                records.say("begins", name)
                start = time.perf_counter()
                check(records)
                records.say("seconds", time.perf_counter() - start)
        except Exception:
            records.say("error", traceback.format_exc())
            raise
