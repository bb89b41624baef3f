"""The processes of isolated packs: started on demand and ended when idle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from uuid import uuid4

from nodegraph.core.context import Environment
from nodegraph.core.foreign_value import ENDED, ForeignValue
from nodegraph.core.host_memory import host_memory
from nodegraph.errors import NodegraphError, PackError
from nodegraph.isolation.channel import ProcessEnded, RequestOverdue
from nodegraph.isolation.process import GRACE, PackProcess
from nodegraph.isolation.runner import Portable, foreign_values
from nodegraph.packs.import_timeouts import ImportOverdue
from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import FLAT, Snapshot
from nodegraph.store.msgpack_codec import Undecodable, Unstorable

IDLE_SECONDS = 300.0
IMPORT_SECONDS = 60.0
CALL_SECONDS = 600.0
_MOST_CRASHES = 2
"""Starts of a process with the same files that may fail, one after the other."""
_TRIM_SECONDS = 10.0
"""Seconds without work after which a process and this one give back shared memory."""
_LEAST_FREE = 0.1
"""Share of the machine's memory; with less, shared memory that is free is given back at once."""
_ROUND = 1.0
"""Seconds between looks for processes without work."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What is known of an isolated pack's process.

    Attributes:
        pack: Name of the pack.
        python: Interpreter of its environment.
        number: The system's number of the process; None if there is none now.
        calls: Requests that it answers at this moment.
        crashes: How often it failed to start since it last did.
        problem: Why it last ended unexpectedly.
    """

    pack: str
    python: str
    number: int | None
    calls: int = 0
    crashes: int = 0
    problem: str = ""


class PackProcessEnded(PackError):
    """The process of a pack ended while it worked.

    Attributes:
        is_shared: It ran several calls, and which of them ended it is not known.
        is_overdue: It took too long.
    """

    is_shared = is_overdue = False


class PackProcesses:
    """The processes of a session's isolated packs: one each, started when it is needed.

    Args:
        environment: Returns the folders and permissions of the session.
        pickled: Returns them as bytes, which a process reads.
        idle_seconds: Seconds without work after which a process ends.
        import_seconds: Seconds that the import of an untrusted pack may take.
        call_seconds: Seconds that one call of an untrusted pack may take.

    Attributes:
        untrusted: Names of the packs whose processes are not trusted.
    """

    def __init__(
        self,
        environment: Callable[[], Environment],
        pickled: Callable[[Environment], bytes],
        idle_seconds: float,
        import_seconds: float = IMPORT_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._import_seconds, self._call_seconds = import_seconds, call_seconds
        self._opening: set[PackProcess] = set()
        self._environment = environment
        self._pickled = pickled
        self._idle_seconds = idle_seconds
        self._processes: dict[str, PackProcess] = {}
        self._retired: list[PackProcess] = []
        self._crashes: dict[tuple[str, str], tuple[int, PackError]] = {}
        self._problems: dict[str, str] = {}
        self.untrusted: set[str] = set()
        self._lock = Lock()
        self._starting: dict[str, Lock] = {}
        self._repeating: dict[str, Lock] = {}
        self._closed = Event()
        self._watching: Thread | None = None

    @contextmanager
    def using(self, pack: Pack, snapshot: Snapshot, doing: str) -> Iterator[PackProcess]:
        """The pack's process, which does not end for want of work inside the `with`.

        Raises:
            PackError: It does not start, or ended.
        """
        process = self._started(pack, snapshot)
        try:
            yield process
        except ProcessEnded as error:
            raise self.ended(process, doing, error) from error
        finally:
            process.finish()

    def _started(self, pack: Pack, snapshot: Snapshot) -> PackProcess:
        assert pack.isolation is not None
        digest = snapshot.digest()
        with self._lock:
            starting = self._starting.setdefault(pack.name, Lock())
        with starting:
            process = self._processes.get(pack.name)
            is_same = process is not None and process.pack == pack and process.digest == digest
            if process is not None and is_same and process.begin():
                return process
            if process is not None and process.pack == pack and self._reopened(process, digest):
                return process
            if process is not None:
                self._forget(process)
            return self._start(pack, digest)

    def _reopened(self, process: PackProcess, digest: str) -> bool:
        """Whether a process imports the pack anew after an edit, which is faster than to start one.

        As in the main process, libraries stay loaded. Packs of other tools change them, so these
        get new processes.
        """
        isolation = process.pack.isolation
        if isolation is None or isolation.kind != "native" or not process.begin_alone():
            return False
        ENDED.add(process.id)
        process.id, process.digest = uuid4().hex, digest
        try:
            self._open(process)
        except (ProcessEnded, NodegraphError):
            process.finish()
            return False
        return True

    def _start(self, pack: Pack, digest: str) -> PackProcess:
        if self._closed.is_set():
            raise PackError(f"the process of pack `{pack.name}` was ended with its session")
        assert pack.isolation is not None
        key = pack.name, f"{digest} {pack.isolation.stamp}"
        crashes, error = self._crashes.get(key, (0, None))
        if crashes >= _MOST_CRASHES and error is not None:
            raise PackError(
                f"{error.problem.message} It failed {crashes} times and is not started again",
                hint="Edit the pack, or install it again.",
            )
        environment = self._environment()
        private = () if environment.services.secrets is None else (environment.services.secrets,)
        process = PackProcess(
            pack, digest, self._serializers(pack), environment.models, private, self._call_seconds
        )
        process.start()
        process.begin()
        self._opening.add(process)
        self._watch()
        try:
            self._open(process)
        except ProcessEnded as ended:
            failure = self.ended(process, "starting", ended)
            self._note_crash(pack, digest, failure)
            raise failure from ended
        except BaseException:
            process.end()
            raise
        finally:
            self._opening.discard(process)
        self._processes[pack.name] = process
        if not pack.isolation.trusted:
            self.untrusted.add(pack.name)
        return process

    def _serializers(self, pack: Pack) -> Portable:
        """How messages with a pack's process hold values of packs' classes.

        A pack runs code that such a value of a trusted pack names. So one without trust gives out
        its own alone, and no other pack gets these.
        """
        is_trusted = pack.isolation is None or pack.isolation.trusted

        def leaving(value: ForeignValue) -> None:
            if value.pack in self.untrusted and value.pack != pack.name:
                raise Unstorable(f"pack `{value.pack}`, which made it, is not trusted")

        def coming(value: ForeignValue) -> None:
            if not is_trusted and value.pack != pack.name:
                raise Undecodable(f"pack `{pack.name}` is not trusted and makes no such value")

        return foreign_values(leaving, coming)

    def _open(self, process: PackProcess) -> None:
        opening = {
            "pack": process.pack,
            "environment": self._pickled(self._environment()),
            "digest": process.digest,
            "process": process.id,
        }
        assert process.channel is not None
        isolation = process.pack.isolation
        if isolation is None or isolation.trusted:
            process.channel.request("open", opening)
            return
        began = monotonic()

        def look(_: int) -> None:
            if monotonic() - began > self._import_seconds:
                process.kill(
                    f"importing it took longer than {self._import_seconds:g} s",
                    "Increase the setting `import_seconds`, or edit the pack.",
                    is_overdue=True,
                )

        process.channel.request("open", opening, look=look)
        # What it imports here is no time of its first call.
        process.channel.request("prepare", {}, look=look)

    def ended(
        self, process: PackProcess, doing: str, cause: ProcessEnded | None = None
    ) -> PackProcessEnded:
        """Why a process ended; it is used no more.

        Args:
            cause: What the call that it worked on was told.
        """
        problem = process.error(doing).problem
        error = PackProcessEnded(problem.message, hint=problem.hint)
        error.is_overdue = process.is_overdue
        error.is_shared = process.is_shared_end and not isinstance(cause, RequestOverdue)
        self._problems[process.pack.name] = problem.message
        if self._processes.get(process.pack.name) is process:
            del self._processes[process.pack.name]
        return error

    @contextmanager
    def counting_crashes(self, pack: Pack, snapshot: Snapshot) -> Iterator[None]:
        """Note how often the process ends inside the `with`: it is not started in a loop.

        Raises:
            ImportOverdue: It took too long.
        """
        digest = snapshot.digest()
        try:
            yield
        except PackProcessEnded as error:
            self._note_crash(pack, digest, error)
            if error.is_overdue:
                raise ImportOverdue(error.problem.message, hint=error.problem.hint) from error
            raise
        assert pack.isolation is not None
        self._crashes.pop((pack.name, f"{digest} {pack.isolation.stamp}"), None)

    def _note_crash(self, pack: Pack, digest: str, error: PackError) -> None:
        assert pack.isolation is not None
        key = pack.name, f"{digest} {pack.isolation.stamp}"
        self._crashes[key] = self._crashes.get(key, (0, error))[0] + 1, error

    def countable(self, pack: Pack, paths: Sequence[str]) -> tuple[str, ...]:
        """Paths that the declarations of a pack depend on, as far as this process looks at them.

        A pack without trust could have it walk or read anything.
        """
        if pack.isolation is None or pack.isolation.trusted:
            return tuple(paths)
        environment = self._environment()
        models = [root.resolve() for root in (*environment.models, pack.root)]
        flat_inputs = f"{environment.inputs.absolute()}{FLAT}"
        counted = []
        for path in paths:
            is_model = any(Path(path).resolve().is_relative_to(root) for root in models)
            is_folder = not Path(path).is_file()
            is_code = path.endswith(".py") and not is_folder
            if path == flat_inputs or is_code or (is_model and is_folder):
                counted.append(path)
        return tuple(counted)

    def alone(self, pack: Pack) -> Lock:
        """Held by who repeats a call of a pack that may have ended its process."""
        with self._lock:
            return self._repeating.setdefault(pack.name, Lock())

    def _forget(self, process: PackProcess) -> None:
        ENDED.add(process.id)
        if self._processes.get(process.pack.name) is process:
            del self._processes[process.pack.name]
        self._retired = [each for each in self._retired if each.is_alive]
        self._retired.append(process)
        process.retire()

    def _watch(self) -> None:
        with self._lock:
            if self._watching is None or not self._watching.is_alive():
                self._watching = Thread(target=self._end_idle, name="idle packs", daemon=True)
                self._watching.start()

    def _end_idle(self) -> None:
        while not self._closed.wait(min(_ROUND, self._idle_seconds)):
            for process in [*list(self._opening), *self._retired]:
                process.check_limits()
            memory = host_memory() if self._processes else None
            is_short = memory is not None and memory.free < _LEAST_FREE * memory.total
            for process in list(self._processes.values()):
                process.check_limits()
                process.trim(_TRIM_SECONDS, is_short=is_short)
                if process.end_if_idle(self._idle_seconds):
                    self._forget(process)

    def states(self) -> list[ProcessState]:
        """What is known of the processes that were started."""
        states = []
        for name in sorted({*self._processes, *self._problems}):
            process = self._processes.get(name)
            isolation = None if process is None else process.pack.isolation
            states.append(
                ProcessState(
                    name,
                    "" if isolation is None else isolation.python,
                    process.number if process is not None and process.is_alive else None,
                    0 if process is None else process.calls,
                    max(
                        (n for (pack, _), (n, _) in self._crashes.items() if pack == name),
                        default=0,
                    ),
                    self._problems.get(name, ""),
                )
            )
        return states

    def close(self) -> None:
        """End all processes."""
        self._closed.set()
        processes = [*self._processes.values(), *self._retired]
        self._processes.clear()
        for process in processes:
            process.end()
        for process in processes:
            process.join(GRACE)
