"""Ray actor that runs a worker process on a node, and the node packs sent to it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from blake3 import blake3

from nodegraph.core.files import make_private_folder
from nodegraph.core.text_format import format_size
from nodegraph.core.version import VERSION
from nodegraph.errors import PackError
from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.crash_evidence import Recorder
from nodegraph.jobs.supervisor.worker_spec import Launch
from nodegraph.packs.installation.installed import read_installed
from nodegraph.packs.pack import outside_processes, pack_at, packs_in
from nodegraph.session.settings import NODE_CACHE

MOST = 64 << 20
"""Bytes of a pack; more is no source code."""
_NOT_SENT = frozenset({"__pycache__"})


@dataclass(frozen=True, slots=True)
class PackArchive:
    """A pack's files.

    Attributes:
        path: Where it lies on the server's machine.
        files: Their bytes, by the path below the pack's folder; of a pack that is one file, by "".
        digest: Of all that.
        is_listed: Whether a session that has the server's folders finds it by itself.
    """

    path: str
    files: Mapping[str, bytes]
    digest: str
    is_listed: bool


def archive_packs(
    paths: Sequence[str], folders: Iterable[Path], home: Path | None = None
) -> list[PackArchive]:
    """The packs that a worker is given by their paths, and those that lie in its folders.

    Args:
        home: Lists the packs that have processes of their own: they stay on this machine, as they
            would be imported in the worker's process elsewhere.
    Raises:
        PackError: One is too large to be sent, or the list of packs is damaged.
    """
    isolated = () if home is None else read_installed(home)[1]
    listed = [pack.root for pack in outside_processes(packs_in(list(folders)), isolated)]
    named = outside_processes([pack_at(Path(path)) for path in paths], isolated)
    unlisted = [_parcel(pack.root, is_listed=False) for pack in named]
    return [*unlisted, *[_parcel(path, is_listed=True) for path in listed]]


def _parcel(path: Path, *, is_listed: bool) -> PackArchive:
    path = path.expanduser().absolute()
    files: dict[str, bytes] = {}
    left = MOST
    for file in _files(path):
        left -= file.stat().st_size
        if left < 0:
            raise PackError(
                f"the pack at {path} is too large to send to other machines",
                expected=f"at most {format_size(MOST)}",
                hint="Put it at the same path on all machines, or move data out of it.",
            )
        files["" if file == path else file.relative_to(path).as_posix()] = file.read_bytes()
    return PackArchive(str(path), files, _digest(files), is_listed)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [each for each in folders if each not in _NOT_SENT and each[0] != "."]
        yield from (Path(folder, name) for name in names if not name.endswith(".pyc"))


def _digest(files: Mapping[str, bytes]) -> str:
    hasher = blake3()
    for name in sorted(files):
        for part in (name.encode("utf-8", "surrogateescape"), files[name]):
            hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher.hexdigest()


def unpack_archive(parcel: PackArchive, folder: Path | None = None) -> str | None:
    """Where a worker of this machine finds a pack; None if it finds it by itself.

    Args:
        folder: Where packs are put that aren't here yet.
    Raises:
        OSError: It can't be put there.
    """
    here = Path(parcel.path)
    if here.exists() and (parcel.is_listed or _is_same(here, parcel)):
        return None if parcel.is_listed else parcel.path
    above = (folder or _own_folder()) / parcel.digest
    target = above / here.name
    if not target.exists():
        _put(parcel, above)
    return str(target)


def _is_same(path: Path, parcel: PackArchive) -> bool:
    return _parcel(path, is_listed=False).digest == parcel.digest


def _own_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("nodegraph", appauthor=False) / "cluster-packs"


def _put(parcel: PackArchive, above: Path) -> None:
    """Put it there in one step: another worker may be about to do the same."""
    make_private_folder(above.parent)
    draft = Path(tempfile.mkdtemp(dir=above.parent))
    try:
        root = draft / Path(parcel.path).name
        for name, data in parcel.files.items():
            file = root / name if name else root
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        try:
            draft.rename(above)
        except OSError:
            if not above.exists():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


Signal = Literal["terminate", "traces", "kill"]
Address = tuple[str, int]
ProcessOutput = tuple[bytes, bytes, "dict[str, Any] | None"]
"""What a process said, what it wrote, and the fields of its `Exit` once nothing more will come."""

_CHUNK = 1 << 16
_MOST = 4 << 20
"""Bytes that wait to be fetched; then the process has to wait, too."""
_LEFT = 1.0
"""Seconds to read what a dead process left in its pipes; one of its children may hold them open."""
_DIAL_SECONDS = 5.0


class WorkerHost:
    """One worker process. Its methods are called through the cluster, several at a time.

    The process dies with the actor, as the system ties it to the thread that started it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._out = bytearray()
        self._err = bytearray()
        self._exit: dict[str, Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._fault: OSError | None = None

    def start(
        self,
        launch: Mapping[str, Any],
        environment: Mapping[str, str],
        parcels: Sequence[PackArchive],
        line: tuple[Sequence[Address], bytes] | None,
    ) -> dict[str, Any]:
        """Start the process; gives its id, its place, and whether it speaks over the line.

        Args:
            launch: Fields of `Launch` but for those that are of this machine.
            environment: Variables beside those of this machine.
            parcels: Packs that it may lack here.
            line: Where it is waited for, and what it has to say there; None if nobody waits.
        Raises:
            OSError: It can't be started.
        """
        connection = _connect_back(*line) if line else None
        recorder = Recorder.create()
        packs = [path for path in map(unpack_archive, parcels) if path is not None]
        own = {"packs": packs, "settings": _with_own_cache(launch["settings"])}
        whole = Launch(**{**launch, **own}, parent=os.getpid(), recorder=recorder.path)
        # A thread of its own: the process is to live as long as this thread, not as a call.
        arguments = (whole.command(), _variables(environment), connection, recorder)
        threading.Thread(target=self._live, args=arguments, name="worker", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._process or self._fault)
        if self._process is None:
            assert self._fault is not None
            raise self._fault
        return {
            "pid": self._process.pid,
            "host": socket.gethostname(),
            "version": VERSION,
            "is_direct": connection is not None,
        }

    def _live(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        line: socket.socket | None,
        recorder: Recorder,
    ) -> None:
        end = subprocess.PIPE if line is None else line.fileno()
        try:
            process = subprocess.Popen(  # noqa: S603 - this very Python, by its own path
                command,
                stdin=end,
                stdout=end,
                stderr=subprocess.PIPE,
                env=dict(environment),
                **platforms.spawn_options(),
            )
        except OSError as error:
            with self._changed:
                self._fault = error
                self._changed.notify_all()
            recorder.close()
            return
        finally:
            if line is not None:
                line.close()
        with self._changed:
            self._process = process
            self._changed.notify_all()
        readers = self._readers(process)
        code = process.wait()
        # What it started would go on with nobody to watch over it.
        platforms.kill_group(process.pid)
        for reader in readers:
            reader.join(_LEFT)
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        begun = recorder.begun
        recorder.close()
        with self._changed:
            self._exit = {"code": code, "begun": begun}
            self._changed.notify_all()

    def _readers(self, process: subprocess.Popen[bytes]) -> list[threading.Thread]:
        pipes = [(process.stdout, self._out), (process.stderr, self._err)]
        threads = [
            threading.Thread(target=self._read_on, args=(pipe, heap), daemon=True)
            for pipe, heap in pipes
            if pipe is not None
        ]
        for thread in threads:
            thread.start()
        return threads

    def _read_on(self, pipe: IO[bytes], heap: bytearray) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), _CHUNK):
                with self._changed:
                    while len(heap) >= _MOST:
                        self._changed.wait()
                    heap += data
                    self._changed.notify_all()

    def read(self) -> ProcessOutput:
        """What came since the last call; waits until there is something."""
        with self._changed:
            self._changed.wait_for(lambda: self._out or self._err or self._exit)
            output = bytes(self._out), bytes(self._err), self._exit
            self._out.clear()
            self._err.clear()
            self._changed.notify_all()
            return output

    def write(self, data: bytes) -> None:
        """Say something to the process; it is lost if that has died."""
        assert self._process is not None
        if self._process.stdin is None:
            return
        with suppress(OSError):
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def signal(self, what: Signal) -> None:
        """Ask the process to end, to write what its threads are doing, or kill it."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        if what == "terminate":
            process.terminate()
        elif what == "traces":
            platforms.ask_for_traces(process.pid)
        else:
            platforms.kill_group(process.pid)


def _with_own_cache(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A worker's settings, with the cache folder of this node if it has one of its own."""
    cache = os.environ.get(NODE_CACHE)
    if not cache:
        return dict(settings)
    # They would lie where the one who starts it keeps its own.
    left_out = ("store", "model_cache")
    kept = {name: value for name, value in settings.items() if name not in left_out}
    return {**kept, "cache": cache}


def _variables(more: Mapping[str, str]) -> dict[str, str]:
    # Ray sets it to the processors that the actor asked for. What computes there decides itself, as
    # it does on one machine, so that results are the same.
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return {**own, **more}


def _connect_back(addresses: Sequence[Address], secret: bytes) -> socket.socket | None:
    """A connection to whoever waits for this worker; None if there is no way to there."""
    for address in addresses:
        try:
            connection = socket.create_connection(address, timeout=_DIAL_SECONDS)
        except OSError:
            continue
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.sendall(secret)
        return connection
    return None
