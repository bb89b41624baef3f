"""Files that several servers share: their storage, timeouts and tables.

The tables are those of a single server's files, so the same statements work on both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.errors import OutputError
from nodegraph.jobs.queue.backend import Tables
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.store.remote.object_storage import ObjectStorage, Unreachable

T = TypeVar("T")
ReportProgress = Callable[[], None]
"""Is called by what asks as often as it gets on."""
_FIRST, _LONGEST = 1.0, 30.0
"""Seconds for which a place that didn't answer isn't asked: twice as long each time."""


class CircuitBreaker:
    """Calls of a place, each in a thread of its own. A mounted folder whose server is gone keeps a
    thread for as long as it likes; who waits for that is told so in time, and who comes later at
    once, until the place lives again.

    Args:
        patience: Seconds without any progress, after which a place counts as away.
        clock: Seconds, from any moment on.
    """

    def __init__(self, patience: float = 10.0, clock: Callable[[], float] = monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._lock = Lock()
        self._hanging: list[Event] = []
        self._pause = _FIRST
        self._again: float | None = None

    def call(self, call: Callable[[ReportProgress], T], seconds: float = 0.0) -> T:
        """What a call gives, or raises.

        Args:
            seconds: That it may be silent for beyond what is patience with all.
        Raises:
            Unreachable: It hangs, or others do.
        """
        self._check()
        pending = _Call(call, self._clock)
        # Not of a pool: the process has to be able to end while it hangs.
        run = copy_context().run
        Thread(target=run, args=(pending.make,), name="nodegraph-place", daemon=True).start()
        patience = self._patience + seconds
        while not pending.done.wait(max(0.0, pending.last_progress + patience - self._clock())):
            if self._clock() - pending.last_progress >= patience:
                self._lost(pending.done)
                raise Unreachable(f"no answer for {patience:g} s")
        if self._again is not None:
            self._lives()
        return pending.outcome()

    def _check(self) -> None:
        with self._lock:
            if self._again is None:
                return
            self._hanging = [each for each in self._hanging if not each.is_set()]
            now = self._clock()
            if self._hanging or now < self._again:
                raise Unreachable("it did not answer; the server retries later")
            # One tries; others hear of it.
            self._again = now + self._patience

    def _lost(self, done: Event) -> None:
        with self._lock:
            self._hanging.append(done)
            self._again = self._clock() + self._pause
            self._pause = min(2 * self._pause, _LONGEST)

    def _lives(self) -> None:
        with self._lock:
            self._again, self._pause = None, _FIRST


class _Call(Generic[T]):
    """One call, made in a thread and waited for in another.

    Attributes:
        done: Is set at its end.
        last_progress: When it last got on.
    """

    def __init__(self, call: Callable[[ReportProgress], T], clock: Callable[[], float]) -> None:
        self._call = call
        self._clock = clock
        self._given: list[T] = []
        self._error: BaseException | None = None
        self.done = Event()
        self.last_progress = clock()

    def make(self) -> None:
        try:
            self._given.append(self._call(self._goes_on))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        finally:
            self.done.set()

    def _goes_on(self) -> None:
        self.last_progress = self._clock()

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._given[0]


SHARED_SCHEMA = "nodegraph_files"
"""In which they lie, beside the queue's."""
SCHEMA_LOCK = 0x6E676675
"""Of whoever changes them."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);

CREATE TABLE uploads (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT NOT NULL,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    width BIGINT,
    height BIGINT,
    created DOUBLE PRECISION NOT NULL,
    used DOUBLE PRECISION NOT NULL,
    UNIQUE (digest, client, name)
);
CREATE INDEX uploads_by_client ON uploads (client, number);
CREATE INDEX uploads_by_use ON uploads (used);

CREATE TABLE files (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT NOT NULL,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    media_type TEXT NOT NULL,
    stamp TEXT,
    width BIGINT,
    height BIGINT,
    shared BIGINT NOT NULL DEFAULT 0,  -- 1: the bytes are where all servers can read them
    UNIQUE (digest, path)
);
CREATE INDEX files_to_share ON files (number) WHERE shared = 0;

-- Files that are to be deleted by whoever has them.
CREATE TABLE removals (path TEXT, digest TEXT, PRIMARY KEY (path, digest));

CREATE TABLE uses (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file BIGINT NOT NULL,
    job TEXT NOT NULL,
    client TEXT NOT NULL,
    node TEXT NOT NULL,
    kind TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    words TEXT NOT NULL DEFAULT '',
    UNIQUE (job, file, node)
);
CREATE INDEX uses_by_file ON uses (file);
CREATE INDEX uses_by_client ON uses (client, number);

CREATE TABLE jobs (job TEXT PRIMARY KEY, name TEXT NOT NULL, words TEXT NOT NULL);
"""

_CODE = """
CREATE FUNCTION instr(text TEXT, part TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS $$
    SELECT strpos(text, part)
$$;

CREATE FUNCTION use_removed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM files WHERE number = OLD.file
        AND NOT EXISTS (SELECT 1 FROM uses WHERE file = OLD.file);
    DELETE FROM jobs WHERE job = OLD.job
        AND NOT EXISTS (SELECT 1 FROM uses WHERE job = OLD.job);
    RETURN NULL;
END
$$;
CREATE TRIGGER use_removed AFTER DELETE ON uses FOR EACH ROW EXECUTE FUNCTION use_removed();
"""

_REMOVALS = """
-- When it was asked for: what lies there since is another file.
ALTER TABLE removals ADD COLUMN asked DOUBLE PRECISION NOT NULL
    DEFAULT extract(epoch FROM clock_timestamp());
"""

ADD_EXISTED = """
-- 1: the file was there already, as an earlier job had made it.
ALTER TABLE uses ADD COLUMN existed INTEGER NOT NULL DEFAULT 0;
UPDATE uses SET existed = 1
    WHERE EXISTS (SELECT 1 FROM uses AS first
        WHERE first.file = uses.file AND first.number < uses.number);
"""

ADD_SEARCH = """
-- Jobs are entered anew, to find what they gave by more than words.
DELETE FROM jobs;
DELETE FROM meta WHERE name = 'last';

-- What made the files: seeds, steps, samplers, models.
CREATE TABLE facts (
    use BIGINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (use, name, value)
);
CREATE INDEX facts_by_value ON facts (name, value, use);
CREATE INDEX files_by_width ON files (width, height);
CREATE INDEX files_by_height ON files (height);

-- A copy of the library, which `meta` says how far it is of.
CREATE TABLE marks (
    client TEXT NOT NULL,
    digest TEXT NOT NULL,
    stars BIGINT NOT NULL,
    tags TEXT NOT NULL,
    note TEXT,
    board TEXT,
    trashed DOUBLE PRECISION,
    words TEXT NOT NULL,
    PRIMARY KEY (client, digest)
);
CREATE INDEX marks_by_stars ON marks (stars);
CREATE INDEX marks_by_board ON marks (board) WHERE board IS NOT NULL;
CREATE TABLE mark_tags (
    tag TEXT NOT NULL,
    client TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (tag, client, digest)
);
CREATE INDEX mark_tags_by_mark ON mark_tags (client, digest);
"""
_FACTS_REMOVED = """
CREATE FUNCTION use_facts_removed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM facts WHERE use = OLD.number;
    RETURN NULL;
END
$$;
CREATE TRIGGER use_facts_removed AFTER DELETE ON uses
    FOR EACH ROW EXECUTE FUNCTION use_facts_removed();
"""

# Texts are compared and put in order as in a file: by their characters' numbers.
SHARED_MIGRATIONS: Sequence[str] = (
    _TABLES.replace(" TEXT", ' TEXT COLLATE "C"') + _CODE,
    _REMOVALS,
    ADD_EXISTED,
    ADD_SEARCH.replace(" TEXT", ' TEXT COLLATE "C"') + _FACTS_REMOVED,
)
"""Step `n` leads the tables of version `n` to version `n + 1`; no tables are version 0."""


_LOG = logging.getLogger(__name__)
_OWNER = "queue"
"""Object that says whose files they are."""
_SLOWEST = 1 << 20
"""Bytes a second; what is slower counts as no answer."""
_LISTING = 600.0
"""Seconds that a list of all files may take."""


class FilesUnreachable(OutputError):
    """The place of shared files can't be asked now; what it holds is safe."""

    code = "files-unreachable"


class FilesOfOthers(FilesUnreachable):
    """The place of shared files is another queue's, whose servers delete what they don't know."""


class SharedFiles:
    """Puts files there, and brings them; safe to use from several threads.

    Whatever is brought is compared with its digest. Nobody waits for a place that hangs for longer
    than a moment, so any thread may ask. Why a place can't be asked the log says: where it is is
    nobody's business who reads a file.

    Args:
        store: A folder that all servers have mounted, or a bucket.
        owner: The queue whose files they are: tells it from any other.
        calls: How the place is asked.
    """

    def __init__(
        self, store: ObjectStorage, owner: str, calls: CircuitBreaker | None = None
    ) -> None:
        self._store = store
        self._owner = owner
        self._calls = calls or CircuitBreaker()
        self._is_ours = False
        self._fault = ""

    def check(self) -> None:
        """See that the place is this queue's, as it becomes with the first server that asks.

        Raises:
            FilesOfOthers: It is another's.
            FilesUnreachable: It can't be told now; it is seen to before anything else then.
        """
        self._call(lambda _: None)

    def has(self, name: str) -> bool:
        """Whether a file is there.

        Raises:
            FilesUnreachable: It can't be told.
        """
        return self._call(lambda _: self._store.size(name)) is not None

    def put(self, name: str, path: Path) -> None:
        """Put a file there, unless it is there already.

        Raises:
            FilesUnreachable: That is impossible now.
            OutputError: There is no such file here any more.
        """
        if self.has(name):
            return
        try:
            seconds = path.stat().st_size / _SLOWEST
            self._call(lambda _: self._store.upload(name, path), seconds)
        except FileNotFoundError as error:
            raise OutputError(
                "the file was deleted while it was uploaded", hint="Upload it again."
            ) from error

    def names(self, folder: str) -> set[str]:
        """Of all files in a folder.

        Raises:
            FilesUnreachable: They can't be told.
        """
        return self._call(lambda _: {name for name, _ in self._store.list(folder)}, _LISTING)

    def download(self, name: str, digest: Digest, into: ConfinedFolder, file: str) -> bool:
        """Bring a file; whether it was there.

        Args:
            digest: Of its bytes.
            into, file: Where it is put, and under which name.
        Raises:
            FilesUnreachable: It can't be told.
            OutputError: It can't be written here.
        """
        return self._call(lambda goes_on: self._bring(name, digest, into, file, goes_on))

    def _bring(
        self, name: str, digest: Digest, into: ConfinedFolder, file: str, goes_on: ReportProgress
    ) -> bool:
        with into.new() as made:
            hasher = blake3()
            try:
                size = self._store.size(name)
                if size is None:
                    return False
                for chunk in self._store.chunks(name, size):
                    goes_on()
                    made.write(chunk)
                    hasher.update(chunk)
            except FileNotFoundError:
                return False
            if hasher.hexdigest() == digest:
                made.commit(file, synced=False)
                return True
            # Whoever still has the file puts it there anew.
            self._store.remove(name)
        _LOG.warning("%s of the shared files was damaged, and is removed", name)
        return False

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            FilesUnreachable: That is impossible now.
        """
        self._call(lambda _: self._store.remove(name))

    def _call(self, call: Callable[[ReportProgress], T], seconds: float = 0.0) -> T:
        def made(goes_on: ReportProgress) -> T:
            self._check_owner()
            return call(goes_on)

        try:
            answer = self._calls.call(made, seconds)
        except Unreachable as error:
            self._is_ours = False  # something else may be mounted there next
            if str(error) != self._fault:
                self._fault = str(error)
                _LOG.warning("the shared files %s cannot be reached: %s", self._store.url, error)
            raise FilesUnreachable(
                "the shared files cannot be reached now",
                hint="The server retries automatically. Its log shows the cause.",
            ) from error
        if self._fault:
            self._fault = ""
            _LOG.warning("the shared files %s can be reached again", self._store.url)
        return answer

    def _check_owner(self) -> None:
        if self._is_ours:
            return
        try:
            owner = self._store.read(_OWNER)
        except FileNotFoundError:
            self._store.create(_OWNER, self._owner.encode())
            owner = self._store.read(_OWNER)
        if owner != self._owner.encode():
            raise FilesOfOthers(
                "the location of the shared files belongs to another queue",
                given=owner[:80].decode(errors="replace"),
                expected=self._owner,
                hint="Use a separate folder as `shared_files`, because servers of two queues "
                "delete each other's files. If the other queue no longer exists, remove "
                f"`{_OWNER}` there.",
            )
        self._is_ours = True


@dataclass(frozen=True, slots=True)
class FilePool:
    """What several servers have in common of files: the bytes, and what is known of them."""

    files: SharedFiles
    tables: Tables
