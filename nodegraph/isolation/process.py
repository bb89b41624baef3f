"""The process of an isolated pack: start it, watch it, end it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from importlib.util import find_spec
from io import BufferedReader, RawIOBase
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread
from time import monotonic
from typing import BinaryIO, cast
from uuid import uuid4

from nodegraph.core.foreign_value import ENDED
from nodegraph.errors import InvalidValue, PackError
from nodegraph.isolation.channel import Channel, ChannelMessage, ProcessEnded
from nodegraph.isolation.sandbox import SANDBOX, SandboxPolicy, excess, sandboxed
from nodegraph.isolation.shared_memory import OtherPool, OwnPool, SharedMemory, new_file
from nodegraph.packs.pack import Isolation, Pack
from nodegraph.store.msgpack_codec import Serializers
from nodegraph.weights.numerics import compute_threads

_LOG = logging.getLogger(__name__)
_KEPT_LINES = 20
_SIGNALS = 128
_LONGEST_LINE = 1 << 16
"""Bytes of a printed line; the rest becomes another line."""
_IDLE_KEPT = 64 << 20
"""Bytes of shared memory that each side keeps for later calls, while there are none."""
GRACE = 2.0
"""Seconds that a process has to end by itself."""
_THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_SHARED_PACKAGES = ("nodegraph", "nodegraph_nodes")
"""Packages that a process imports from where this one has them."""
_START = """
import json, sys
from importlib.util import spec_from_file_location
options = json.loads(sys.argv[1])
sys.path[:0] = options["first"]
sys.path += [folder for folder in options["after"] if folder not in sys.path]
class SharedPackages:
    def find_spec(self, name, path=None, target=None):
        folder = options["packages"].get(name)
        if folder is None:
            return None
        inside = [folder]
        return spec_from_file_location(
            name, folder + "/__init__.py", submodule_search_locations=inside
        )
sys.meta_path.insert(0, SharedPackages())
from nodegraph.isolation.child import main
main(options)
"""
"""What a process runs first. Its own packages come before those of the main environment."""


def command(isolation: Isolation, memory: Sequence[int]) -> list[str]:
    """The command that starts a pack's process.

    Args:
        memory: Descriptors of the files that it shares: those that the main process and that it
            itself writes to.
    """
    options = {
        "first": list(isolation.search_path),
        "after": [str(Path(folder or ".").absolute()) for folder in sys.path],
        "packages": {name: _folder(name) for name in _SHARED_PACKAGES if _folder(name)},
        # A sandbox ends with this process by itself, and has other numbers of processes.
        "parent": os.getpid() if isolation.trusted else None,
        "memory": list(memory),
    }
    # Isolated mode: neither variables nor the working folder add to what can be imported.
    return [isolation.python, "-I", "-u", "-X", "utf8", "-c", _START, json.dumps(options)]


def _folder(package: str) -> str | None:
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else str(Path(spec.origin).parent)


class PackProcess:
    """A process that runs the code of one pack.

    Args:
        pack: The pack.
        digest: Of the pack's files that it runs.
        serializers: Of values in its messages.
        models: Folders that a pack without trust may read.
        private: Files that it never may.
        call_seconds: Seconds that it may take for one request.

    Attributes:
        id: Unique among all processes.
        is_shared_end: It ended while it answered several requests: which of them ended it is not
            known.
        is_overdue: It was ended because it took too long.
        calls: Requests that it answers at this moment.
        idle_since: When it last had nothing to do, by a clock of seconds.
    """

    def __init__(
        self,
        pack: Pack,
        digest: str,
        serializers: Serializers,
        models: Sequence[Path] = (),
        private: Sequence[Path] = (),
        call_seconds: float = inf,
    ) -> None:
        assert pack.isolation is not None
        self.pack, self.digest = pack, digest
        self._call_seconds = inf if pack.isolation.trusted else call_seconds
        self.id = uuid4().hex
        self.calls = 0
        self.is_retired = False
        self.idle_since = monotonic()
        self._trimmed = self.idle_since
        self._isolation = pack.isolation
        self._serializers = serializers
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._started = Event()
        self._ended = Event()
        self._lock = Lock()
        self._reason = self._remedy = ""
        self.is_overdue = False
        self._failure: OSError | PackError | None = None
        self._models, self._private = tuple(models), tuple(private)
        self._policy: SandboxPolicy | None = None
        self.is_shared_end = False
        self._process: subprocess.Popen[bytes] | None = None
        self._memory: SharedMemory | None = None
        self.channel: Channel | None = None

    def start(self) -> None:
        """Start it.

        Raises:
            PackError: It cannot be started.
        """
        # The system ends a process with the thread that started it: this one lives as long.
        Thread(target=self._run, name=f"pack {self.pack.name}", daemon=True).start()
        self._started.wait()
        if isinstance(self._failure, PackError):
            raise self._failure
        if self._failure is not None:
            raise PackError(
                f"the process of pack `{self.pack.name}` cannot be started: {self._failure}",
                given=self._isolation.python,
                hint="Install the pack again.",
            )

    def _run(self) -> None:
        with ExitStack() as opened:
            self._serve(opened)

    def _serve(self, opened: ExitStack) -> None:
        files = [new_file(), new_file()]
        shared = [file for file in files if file is not None]
        if len(shared) < len(files):
            shared = []
        try:
            command, environment = self._command(shared, opened)
            self._process = process = subprocess.Popen(  # noqa: S603 - that of the pack
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=shared,
                env=environment,
                start_new_session=True,  # Ctrl+C is for the main process, which cancels
            )
        except (OSError, PackError) as error:
            self._failure = error
            self._started.set()
            self._ended.set()
            return
        reader, writer = cast(BinaryIO, process.stdout), cast(BinaryIO, process.stdin)
        if shared:
            is_copied = not self._isolation.trusted
            self._memory = SharedMemory(OwnPool(shared[0]), OtherPool(shared[1]), is_copied)
        self.channel = Channel(
            reader, writer, _refuse, first=1, serializers=self._serializers, memory=self._memory
        )
        self.channel.takes_turns = self._isolation.kind == "comfyui"
        logging_thread = Thread(target=self._log, name=f"log of pack {self.pack.name}", daemon=True)
        logging_thread.start()
        self._started.set()
        self.channel.closed = self._note_end
        self.channel.read()
        writer.close()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._kill()
            process.wait()
        self._end_group()
        logging_thread.join(GRACE)
        for stream in (process.stdout, process.stderr):
            cast(BinaryIO, stream).close()
        if self._memory is not None:
            self._memory.close()
        self._ended.set()

    def _command(
        self, memory: Sequence[int], opened: ExitStack
    ) -> tuple[list[str], Mapping[str, str]]:
        """The command, and its environment variables."""
        plain, variables = command(self._isolation, memory), self._environment()
        if self._isolation.trusted:
            return plain, variables
        temporary = Path(opened.enter_context(TemporaryDirectory(prefix="nodegraph-pack-")))
        packages = [folder for name in _SHARED_PACKAGES if (folder := _folder(name))]
        own: list[str | Path] = [self.pack.root, *self._isolation.search_path, *packages]
        self._policy = SandboxPolicy(
            read=(*map(Path, own), *self._models), write=(temporary,), private=self._private
        )
        extra = {name: variables[name] for name in _THREADS if name in variables}
        extra[SANDBOX] = str(temporary)
        box = sandboxed(plain, self._policy, environment=extra, descriptors=memory)
        return box.command, box.environment

    def check_report(self, path: Path) -> None:
        """Refuse a file that a pack without trust cannot have written: results are given out.

        Raises:
            InvalidValue: It lies outside of the folder that it may write.
        """
        if self._isolation.trusted:
            return
        folders = () if self._policy is None else self._policy.write
        if not any(path.resolve().is_relative_to(folder.resolve()) for folder in folders):
            _LOG.warning("pack %s is not trusted and cannot have written %s", self.pack.name, path)
            raise InvalidValue("this pack cannot have written this file", given=str(path))

    def check_variable(self, name: str) -> None:
        """Refuse variables to a pack without trust: they hold secrets.

        Raises:
            InvalidValue: It is not trusted.
        """
        if not self._isolation.trusted:
            raise InvalidValue(
                f"pack `{self.pack.name}` is not trusted and reads no environment variables",
                given=name,
                hint="Give it the value by an input.",
            )

    def check_limits(self) -> None:
        """End a process without trust that writes more, or takes longer, than it may."""
        if self._policy is None or not self.is_alive:
            return
        if excess(self._policy):
            self.kill(f"it wrote more than {self._policy.written >> 30} GiB of temporary files")
        elif self._call_seconds < inf and self.channel is not None:
            self.channel.end_overdue(self._call_seconds, self._kill_overdue)

    def _kill_overdue(self) -> None:
        self.kill(
            f"it took longer than {self._call_seconds:g} s, the limit of one call of an untrusted "
            "pack",
            "Increase the setting `untrusted_call_seconds` (NODEGRAPH_UNTRUSTED_CALL_SECONDS), or "
            f"add the pack with --trusted if you know its author: `nodegraph pack info "
            f"{self.pack.distribution or self.pack.name}` shows its source. The next call starts "
            "a new process.",
        )

    def _environment(self) -> Mapping[str, str]:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        # Results depend on the number of threads, which is part of their keys.
        variables.setdefault("OMP_NUM_THREADS", str(compute_threads()))
        if "OMP_WAIT_POLICY" not in variables:
            variables.setdefault("GOMP_SPINCOUNT", "3000")
        folder = str(Path(self._isolation.python).parent)
        variables["PATH"] = f"{folder}{os.pathsep}{variables.get('PATH', os.defpath)}"
        return variables

    def _log(self) -> None:
        """Pass what the pack prints to the log, line by line."""
        assert self._process is not None
        # Unbuffered it would be read byte by byte.
        with BufferedReader(cast(RawIOBase, self._process.stderr)) as stream:
            for line in iter(partial(stream.readline, _LONGEST_LINE), b""):
                text = line.decode("utf-8", "replace").rstrip()
                self._lines.append(text)
                _LOG.info("pack %s: %s", self.pack.name, text)

    def _note_end(self) -> None:
        with self._lock:
            self.is_shared_end = self.calls > 1
        ENDED.add(self.id)

    # State

    @property
    def number(self) -> int | None:
        """The system's number of the process."""
        return None if self._process is None else self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it takes requests."""
        return self._started.is_set() and not self._ended.is_set() and not self._reason

    def begin(self) -> bool:
        """Note that a request begins; False if the process takes none any more."""
        with self._lock:
            if self.is_retired or not self.is_alive:
                return False
            self.calls += 1
            return True

    def begin_alone(self) -> bool:
        """As `begin`, but False if the process works for others."""
        with self._lock:
            if self.calls or self.is_retired or not self.is_alive:
                return False
            self.calls += 1
            return True

    def finish(self) -> None:
        """Note that a request has its answer."""
        with self._lock:
            self.calls -= 1
            self.idle_since = monotonic()
            is_over = self.is_retired and self.calls == 0
        if is_over:
            self.end()

    def retire(self) -> None:
        """End once all requests have their answers."""
        with self._lock:
            self.is_retired = True
            is_over = self.calls == 0
        if is_over:
            self.end()

    def end_if_idle(self, seconds: float) -> bool:
        """End if there was nothing to do for some seconds, and return whether it ends."""
        with self._lock:
            if self.calls or monotonic() - self.idle_since < seconds:
                return False
            self.is_retired = True
        self.end()
        return True

    def trim(self, seconds: float, *, is_short: bool) -> None:
        """Give back shared memory that is free, if there was nothing to do for some seconds.

        Args:
            is_short: The machine has little memory left: do so at once.
        """
        with self._lock:
            is_idle = not self.calls and monotonic() - self.idle_since >= seconds
            is_due = is_short or (is_idle and self._trimmed != self.idle_since)
            if is_due:
                self._trimmed = self.idle_since
        if is_due and self.is_alive and self.channel is not None:
            kept = 0 if is_short else _IDLE_KEPT
            self.channel.trim(kept)
            with suppress(ProcessEnded):
                self.channel.notify("trim", kept)

    def end(self) -> None:
        """End it now: it notices that its connection is closed."""
        self._reason = self._reason or "it was ended"
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self, reason: str, remedy: str = "", *, is_overdue: bool = False) -> None:
        """End it at once.

        Args:
            reason: For the errors of the calls that it still runs.
            remedy: How to avoid that, for the errors.
            is_overdue: Whether it took too long.
        """
        if not self._reason:
            self._reason, self._remedy, self.is_overdue = reason, remedy, is_overdue
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (AttributeError, OSError):
                self._process.kill()

    def _end_group(self) -> None:
        """End what the process has started: nobody else would."""
        assert self._process is not None
        # The group's number is not given to others while a process of it is left.
        with suppress(AttributeError, OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def join(self, seconds: float) -> None:
        """Wait for its end; after some seconds, kill it."""
        if not self._ended.wait(seconds):
            self._kill()
            self._ended.wait(GRACE)

    def error(self, doing: str) -> PackError:
        """Why it ended, as an error of what was asked of it.

        Args:
            doing: What it did, such as ``running Blur``.
        """
        self._ended.wait(GRACE)
        code = None if self._process is None else self._process.returncode
        if code is not None and code > _SIGNALS and not self._isolation.trusted:
            code = _SIGNALS - code  # bubblewrap says it as shells do
        how = self._reason or _ending(code)
        lines = [line for line in list(self._lines)[-5:] if line]
        last_lines = f" Its last lines: {' | '.join(lines)}" if lines else ""
        return PackError(
            f"the process of pack `{self.pack.name}` ended while {doing}: {how}.{last_lines}",
            hint=self._remedy or (None if self._reason else "The next call starts a new one."),
        )


def _ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "its connection was lost"
    if code >= 0:
        return f"it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    words = {"SIGSEGV": " (it crashed in compiled code)", "SIGKILL": " (perhaps memory ran out)"}
    return f"{name}{words.get(name, '')}"


def _refuse(frame: ChannelMessage) -> None:
    _LOG.warning("the process of a pack asks for `%s` outside of a call", frame.name)
