"""History: records of runs, and earlier results with the code behind them.

They explain why a call is computed again.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.store.index import Index
from nodegraph.store.packing import pack, unpack

if TYPE_CHECKING:
    from nodegraph.store.claims import Claims

RUNNING = "running"
KILLED = "killed"
"""Status of a run whose process ended before it could say how the run did."""

_KEPT = 1000
_LAST = "last"
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # none that is easily taken for another

_INSERT = "INSERT INTO runs (id, title, started, status, owner) VALUES (?, ?, ?, ?, ?)"
_FINISH = "UPDATE runs SET status = ?, seconds = ?, record = ? WHERE id = ?"
_LATEST = """
SELECT id, title, started, seconds, status, owner FROM runs ORDER BY number DESC LIMIT ?
"""
_SELECT_RUN = "SELECT id, title, started, seconds, status, owner FROM runs WHERE id = ?"
_NOTE_DIGEST = """
INSERT OR IGNORE INTO run_digests (digest, run) SELECT ?, number FROM runs WHERE id = ?
"""
_BY_DIGEST = """
SELECT id, title, started, seconds, status, owner FROM runs
JOIN run_digests ON run = number WHERE digest = ? ORDER BY number DESC
"""
_MOST_DIGESTS = 5_000
"""Values of one run by which it is found; those closest to its end."""
_BEYOND = "SELECT number, seconds, owner FROM runs ORDER BY number DESC LIMIT -1 OFFSET ?"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run.

    Attributes:
        id: Begins with the time in UTC at which it was begun, so that ids sort by it.
        started: Unix time.
        seconds: None while it goes on, and if it was killed.
        status: What `Runs.finish` was told, else `RUNNING` or `KILLED`.
    """

    id: str
    title: str
    started: float
    seconds: float | None
    status: str


@dataclass(frozen=True, slots=True)
class RunRecord(RunSummary):
    """A run with all that is kept of it.

    Attributes:
        record: What `Runs.finish` was given; empty until then.
    """

    record: Mapping[str, Any]


class Runs:
    """The runs of all processes that use the store; safe to use from several threads.

    A run goes on as long as its process holds a claim, so one that was killed is told.

    Args:
        owner: Name of a claim that this process holds, such as `Store.owner`; without, each run
            makes one of its own.
        keep: How many runs are remembered; the oldest go first, never one that goes on.
    """

    def __init__(self, index: Index, claims: Claims, *, owner: str = "", keep: int = _KEPT) -> None:
        self._index = index
        self._claims = claims
        self._owner = owner
        self._keep = keep
        self._owners: dict[str, str] = {}
        self._lock = Lock()

    def begin(self, title: str) -> str:
        """Note that a run begins, and forget the oldest.

        Half a surrogate pair in the title becomes U+FFFD.

        Returns:
            The run's id; hand it to `finish`, whatever happens.
        """
        import secrets  # imports much, and whoever only reads needs none

        own = "" if self._owner else secrets.token_hex(32)
        if own:
            self._claims.try_claim(own)
        title = to_well_formed(title)
        started = time.time()
        try:
            with self._index.writing() as connection:
                run = _new_id(connection, started)
                connection.execute(_INSERT, (run, title, started, RUNNING, own or self._owner))
                self._prune(connection, self._keep)
        except BaseException:
            self._claims.release(own)
            raise
        with self._lock:
            self._owners[run] = own
        return run

    def finish(self, id: str, status: str, seconds: float, record: Mapping[str, Any]) -> None:
        """Note how a run ended.

        Args:
            id: From `begin`.
            status: In one word.
            record: Plain values.
        Raises:
            TypeError: There is something else in the record; the rest was noted.
            sqlite3.Error: The index can't be written.
        """
        with self._lock:
            own = self._owners.pop(id, "")
        packed = None
        try:
            # Quickly rather than well: most of a large one are digests, which get no smaller.
            packed = zlib.compress(pack(dict(record)), 1)
        finally:
            self._finish(id, status, seconds, packed, own, _digests_in(record))

    def _finish(
        self,
        id: str,
        status: str,
        seconds: float,
        record: bytes | None,
        own: str,
        digests: Collection[bytes],
    ) -> None:
        try:
            with self._index.writing() as connection:
                connection.execute(_FINISH, (status, seconds, record, id))
                rows = [(digest, id) for digest in digests]
                connection.executemany(_NOTE_DIGEST, rows)
        finally:
            self._claims.release(own)

    def list(self, limit: int = 20) -> list[RunSummary]:
        """The latest runs, the last one first."""
        with self._index.reading() as connection:
            rows = connection.execute(_LATEST, (limit,)).fetchall()
        return [self._summary(row) for row in rows]

    def get(self, name: str) -> RunRecord:
        """One run.

        Args:
            name: Its id, the beginning or the end of it if no other's is the same, ``last`` for
                the last run or ``last~2`` for the one two before.
        Raises:
            InvalidValue: There is no such run, or more than one.
            InvalidFile: Its record is damaged.
        """
        with self._index.reading() as connection:
            rows = connection.execute("SELECT id FROM runs ORDER BY number DESC")
            run = _resolve_id(name, [known for (known,) in rows])
            row = connection.execute(_SELECT_RUN, (run,)).fetchone()
        summary = self._summary(row)
        with self._index.reading() as connection:
            # Only now: it may have ended in the meantime.
            query = "SELECT record FROM runs WHERE id = ?"
            (data,) = connection.execute(query, (run,)).fetchone() or (None,)
        try:
            record = {} if data is None else unpack(zlib.decompress(data))
        except (zlib.error, ValueError) as error:
            raise InvalidFile(f"the record of run {run} is damaged: {error}") from error
        return RunRecord(
            summary.id, summary.title, summary.started, summary.seconds, summary.status, record
        )

    def find_by_file(self, digest: Digest) -> Sequence[RunSummary]:
        """The runs that wrote a file, the last one first; a run from the cache counts, too.

        Args:
            digest: blake3 digest of the bytes of a file, or of a value that a node returned, such
                as `core.manifest.Manifest.content`; hexadecimal.
        Raises:
            InvalidValue: It is not a digest.
        """
        try:
            key = bytes.fromhex(digest)
        except ValueError:
            raise InvalidValue(
                "this is not a digest", given=digest, expected="64 hexadecimal digits"
            ) from None
        with self._index.reading() as connection:
            rows = connection.execute(_BY_DIGEST, (key,)).fetchall()
        return [self._summary(row) for row in rows]

    def _summary(self, row: tuple[Any, ...]) -> RunSummary:
        run, title, started, seconds, status, owner = row
        if seconds is None and not self._claims.is_held(owner):
            # A run is noted as ended before it lets go of its claim, so look again.
            with self._index.reading() as connection:
                again = connection.execute(_SELECT_RUN, (run,)).fetchone() or row
            seconds, status = again[3], KILLED if again[3] is None else again[4]
        return RunSummary(run, title, started, seconds, status)

    def prune(self, keep: int) -> int:
        """Forget all but the latest runs, and those that go on.

        Returns:
            How many were forgotten.
        """
        with self._index.writing() as connection:
            return self._prune(connection, keep)

    def _prune(self, connection: Connection, keep: int) -> int:
        gone = [
            (number,)
            for number, seconds, owner in connection.execute(_BEYOND, (keep,)).fetchall()
            if seconds is not None or not self._claims.is_held(owner)
        ]
        connection.executemany("DELETE FROM runs WHERE number = ?", gone)
        return len(gone)

    def oldest_live_start(self) -> float | None:
        """Unix time at which the oldest run began that goes on, in any process; None if none does.

        What was used since then may be in use still.
        """
        with self._index.reading() as connection:
            rows = connection.execute(
                "SELECT started, owner FROM runs WHERE seconds IS NULL ORDER BY started"
            ).fetchall()
        return next((started for started, owner in rows if self._claims.is_held(owner)), None)


def _digests_in(record: Mapping[str, Any]) -> set[bytes]:
    """Digests of files and values in the record of a run, as `Runs.finish` gets it."""
    nodes, files = record.get("nodes", {}), record.get("files", [])
    outputs = [text for node in nodes.values() for text in node.get("outputs", {}).values()]
    written = [file["digest"] for file in files if "digest" in file]
    return {bytes.fromhex(text) for text in (*outputs[-_MOST_DIGESTS:], *written)}


def _new_id(connection: Connection, started: float) -> str:
    import secrets

    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(started))
    while True:
        run = f"{moment}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"
        if not connection.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone():
            return run


def _resolve_id(name: str, ids: Sequence[str]) -> str:
    """The id that a name stands for; `ids` from the last one to the first.

    Raises:
        InvalidValue: None, or several.
    """
    if not ids:
        raise InvalidValue("no run is recorded here", given=name)
    if name == _LAST or name.startswith(f"{_LAST}~"):
        return ids[_how_far_back(name, len(ids))]
    if name in ids:
        return name
    matches = [run for run in ids if name and (run.startswith(name) or run.endswith(f"-{name}"))]
    if not matches:
        raise InvalidValue(
            f"there is no run {name!r}", expected="last, last~1, or an id", hint=_near(name, ids)
        )
    if len(matches) > 1:
        shown = ", ".join(matches[:8]) + (
            f" and {len(matches) - 8} more" if len(matches) > 8 else ""
        )
        raise InvalidValue(f"{name!r} matches several runs", given=name, expected=shown)
    return matches[0]


def _how_far_back(name: str, count: int) -> int:
    steps = name[len(_LAST) + 1 :] if name != _LAST else "0"
    if not (steps.isascii() and steps.isdigit()):
        raise InvalidValue(
            "this is not a number of runs to go back", given=name, expected="such as last~1"
        )
    # A number of thousands of digits would be refused by Python itself.
    if len(steps) > 9 or int(steps) >= count:
        raise InvalidValue(f"there are only {count} runs", given=name, expected="a later one")
    return int(steps)


def _near(name: str, ids: Sequence[str]) -> str:
    ends = [run.rpartition("-")[2] for run in ids]
    close = did_you_mean(name, ends, listed=0) if len(name) <= 4 else ""
    if close.startswith("Did"):
        return close
    return did_you_mean(name, ids[:200], listed=4)


class CodeModules:
    """Modules by code digest; safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._noted: set[Digest] = set()

    def remember(self, digest: Digest, modules: Callable[[], Mapping[str, Digest]]) -> None:
        """Remember what is behind a code digest; at once if that was done before.

        Args:
            modules: Gives the modules' digests by name; not called if they are known.
        Raises:
            sqlite3.Error: The index can't be written.
        """
        if digest in self._noted:
            return
        self._noted.add(digest)
        if self.modules(digest) is not None:
            return
        packed = msgpack.packb({name: bytes.fromhex(text) for name, text in modules().items()})
        with self._index.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO codes (digest, modules) VALUES (?, ?)",
                (bytes.fromhex(digest), packed),
            )

    def modules(self, digest: Digest) -> Mapping[str, Digest] | None:
        """The modules' digests by name; None if nobody noted them."""
        with self._index.reading() as connection:
            row = connection.execute(
                "SELECT modules FROM codes WHERE digest = ?", (bytes.fromhex(digest),)
            ).fetchone()
        if row is None:
            return None
        return {name: text.hex() for name, text in msgpack.unpackb(row[0]).items()}


_COLUMNS = "key, node_type, seconds, created, run, parts"


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result of earlier, without its outputs.

    Attributes:
        seconds: That computing it took.
        created: Unix time.
        run: Id of the run that computed it.
        parts: What the key was made of, see `nodegraph.engine.key_parts`; None if that isn't known.
    """

    key: Key
    node_type: str
    seconds: float
    created: float
    run: str
    parts: Mapping[str, Any] | None


class History:
    """Reads entries of the index; safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def of(self, key: Key) -> StoredResult | None:
        """The result of a key."""
        with self._index.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE key = ? AND outputs IS NOT NULL",  # noqa: S608 - a constant
                (bytes.fromhex(key),),
            ).fetchone()
        return None if row is None else _earlier(row)

    def knows(self, node_type: str) -> bool:
        """Whether there is any result of a node type."""
        with self._index.reading() as connection:
            query = "SELECT 1 FROM entries WHERE node_type = ? LIMIT 1"
            return connection.execute(query, (node_type,)).fetchone() is not None

    def latest(self, node_type: str, limit: int) -> list[StoredResult]:
        """The latest results of a node type, the last one first."""
        with self._index.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE node_type = ? AND outputs IS NOT NULL"  # noqa: S608 - a constant
                " ORDER BY created DESC LIMIT ?",
                (node_type, limit),
            ).fetchall()
        return [_earlier(row) for row in rows]


def _earlier(row: tuple[Any, ...]) -> StoredResult:
    key, node_type, seconds, created, run, parts = row
    return StoredResult(key.hex(), node_type, seconds, created, run, _unpacked(parts))


def _unpacked(parts: bytes | None) -> Mapping[str, Any] | None:
    if parts is None:
        return None
    try:
        unpacked = unpack(parts)
    except ValueError:
        return None  # damaged: nothing can be said about it
    return unpacked if isinstance(unpacked, Mapping) else None
