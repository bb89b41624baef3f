"""The files that clients brought, named by their content."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.core.file_access import (
    PathOutside,
    upload_digest,
    with_upload_paths,
    with_upload_references,
)
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.jobs.queue import JobFilter, JobNotFound
from nodegraph.jobs.queue.backend import Tables
from nodegraph.jobs.queue.reader import QueueView
from nodegraph.server.content.files.safe_files import ConfinedFolder, NewFile, safe_name
from nodegraph.server.content.files.shared_files import FilePool, FilesUnreachable, SharedFiles
from nodegraph.server.content.uploads.index import Upload, UploadIndex, UploadPage, uploads_format
from nodegraph.server.content.uploads.kinds import UploadRules, recognise
from nodegraph.server.http.errors import FileGone, NotFound, TooLarge
from nodegraph.server.http.media_types import SUFFIXES
from nodegraph.server.http.responses import OpenFile, check_limit, read_cursor, write_cursor
from nodegraph.store.database import Database

Find = Callable[[str], str | None]
"""The path of the file of a digest; None if there is none that the client may use."""
_DIGESTS = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_JOBS_AT_ONCE = 500


def resolve_references(document: Any, find: Find, folder: str) -> Any:
    """A copy of a JSON document, such as a workflow, with paths in place of references.

    Args:
        folder: Where those paths lead to. Texts that begin with it are refused: from here on, such
            a path says that whoever sent the document may read the file.
    Raises:
        InvalidWorkflow: No such upload; lists all, with node and port where they have one.
    """
    reader = _Reader(find, folder)
    copy = reader.read(document, ())
    if reader.problems:
        raise InvalidWorkflow(reader.problems)
    return copy


class _Reader:
    def __init__(self, find: Find, folder: str) -> None:
        self.problems: list[Problem] = []
        self._find = find
        self._folder = folder

    def read(self, value: Any, location: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self.read(item, (*location, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.read(item, location) for item in value]
        if not isinstance(value, str):
            return value
        if value.startswith(self._folder):
            self.problems.append(_by_path(value, *_port(location)))
            return value
        digest = upload_digest(value)
        if digest is None:
            return value
        path = self._find(digest)
        if path is None:
            self.problems.append(_unknown(value, *_port(location)))
        return path


def _port(location: Sequence[str]) -> tuple[str | None, str | None]:
    """Node and input, where a place in a workflow is one."""
    if len(location) > 3 and location[0] == "nodes" and location[2] == "inputs":
        return location[1], location[3]
    return None, None


def _by_path(path: str, node: str | None, port: str | None) -> Problem:
    return Problem(
        PathOutside.code,
        "this file may not be read here",
        node,
        port=port,
        given=ascii(path[:200]),
        expected="an upload by its reference, `upload:…`",
    )


def _unknown(reference: str, node: str | None, port: str | None) -> Problem:
    return Problem(
        "unknown-upload",
        "there is no such upload",
        node,
        port=port,
        given=reference[:120],
        hint="Upload the file again; it may have been deleted because it was not used for a long "
        "time.",
    )


def needed_digests(queue: QueueView) -> set[str]:
    """All that look like digests in the workflows and parameters of jobs that aren't over."""
    digests: set[str] = set()
    texts: set[str] = set()
    cursor: str | None = None
    which = JobFilter(states=("queued", "running"))
    while True:
        page = queue.page(which, order="oldest", limit=_JOBS_AT_ONCE, cursor=cursor)
        for each in page.jobs:
            with suppress(JobNotFound):
                job = queue.get(each.id)
                texts.add(job.workflow)
                digests.update(_DIGESTS.findall(json.dumps(dict(job.parameters))))
        cursor = page.next
        if cursor is None:
            break
    for digest in texts:
        with suppress(KeyError):
            digests.update(_DIGESTS.findall(queue.workflow(digest)))
    return digests


T = TypeVar("T")
_STEP = 1 << 20
"""Bytes that are gathered before a thread writes and hashes them."""


class Incoming:
    """A file that is being received; gone at the end, unless it was kept.

    Args:
        folder: Where it is written.
        limit: Bytes.
    Raises:
        OutputError: It can't be written.
    """

    def __init__(self, folder: ConfinedFolder, limit: int) -> None:
        self._limit = limit
        self._hasher = blake3()
        with ExitStack() as opened:
            self.file: NewFile = opened.enter_context(folder.new())
            self._opened = opened.pop_all()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            TooLarge: They are too many.
            OSError: They can't be written.
        """
        if self.file.size + len(data) > self._limit:
            raise TooLarge("the file is too large", expected=f"at most {format_size(self._limit)}")
        self.file.write(data)
        self._hasher.update(data)

    @property
    def digest(self) -> str:
        """blake3 of what was written."""
        return self._hasher.hexdigest()

    def close(self, error: BaseException | None = None) -> None:
        """Let go of the file.

        Raises:
            OutputError: It could not be written, as `error` says.
        """
        kind = None if error is None else type(error)
        self._opened.__exit__(kind, error, None if error is None else error.__traceback__)


async def receive(
    folder: ConfinedFolder,
    chunks: AsyncIterator[bytes],
    limit: int,
    finish: Callable[[Incoming], T],
) -> T:
    """Receive a file without keeping the event loop from others.

    Args:
        chunks: Its bytes; if that raises, as where the client is gone, nothing stays.
        limit: Bytes.
        finish: Is called in a thread when all have come.
    Raises:
        TooLarge: They are too many.
        OutputError: They can't be written.
    """
    incoming = await run_sync(Incoming, folder, limit)
    try:
        waiting = bytearray()
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= _STEP:
                await run_sync(incoming.write, bytes(waiting))
                waiting.clear()
        await run_sync(incoming.write, bytes(waiting))
        result = await run_sync(finish, incoming)
    except BaseException as error:
        # Not in a thread: nothing can be waited for where the request was cancelled.
        incoming.close(error)
        raise
    incoming.close()
    return result


LARGEST_PAGE = 1000
_LONGEST_STEM = 100
_DIGEST = re.compile(r"[0-9a-f]{64}")
_AT_ONCE = 100
_LONGEST_UPLOAD = 3_600.0
"""Seconds without a byte, after which nobody brings a file any more."""
_REFERENCE = '"upload:'
_INDEX = "uploads.sqlite"
_SHARED = "uploads"
_LOG = logging.getLogger(__name__)


def files_folder(folder: Path) -> Path:
    """Where in the folder of uploads the files themselves lie, each named by its digest."""
    return folder.absolute() / "files"


class Uploads:
    """Files that clients brought; safe to use from several threads.

    Each client sees its own. Equal files take their space once, whoever brought them.

    Args:
        folder: Where they lie; made if it isn't there.
        queue: Whose jobs may need them.
        rules: What may be brought, and how long it is kept.
        clock: Unix time.
        shared: What other servers of the queue share with this one. The folder holds what this one
            needed of it then.
    Raises:
        InvalidFile, OutputError: The index can't be opened.
    """

    def __init__(
        self,
        folder: Path,
        queue: QueueView,
        rules: UploadRules | None = None,
        *,
        clock: Callable[[], float] = time.time,
        shared: FilePool | None = None,
    ) -> None:
        self.rules = rules or UploadRules()
        self._files = ConfinedFolder(files_folder(folder))
        self._written = json.dumps(str(self._files.root))[1:-1]
        self._own = Database(folder / _INDEX, uploads_format()) if shared is None else None
        tables: Tables | None = self._own if shared is None else shared.tables
        assert tables is not None
        self._index = UploadIndex(tables)
        self._shared = None if shared is None else shared.files
        self._queue = queue
        self._clock = clock
        self._changing = Lock()
        # Bytes from before files were shared are listed nowhere else, and lie nowhere else.
        self._of_before = frozenset() if shared is None else _listed(folder / _INDEX)
        self._sweep()

    def close(self) -> None:
        """Close the index, but for one that is shared."""
        if self._own is not None:
            self._own.close()

    def _sweep(self) -> None:
        """Delete what a process that was killed left: half a file, a file that isn't listed; and
        what another server has deleted."""
        names = self._files.names()
        known = self._index.digests() | self._of_before
        # Another server of the same folder may be about to bring and list it.
        spared = self._clock() - _LONGEST_UPLOAD if self._queue.is_shared else math.inf
        for name in names:
            status = self._files.status(name)
            is_old = status is not None and status.st_mtime < spared
            if is_old and name.partition(".")[0] not in known:
                self._files.remove(name)

    async def receive(
        self, chunks: AsyncIterator[bytes], name: str, client: str
    ) -> tuple[Upload, bool]:
        """Take a file in; the upload, and whether it is new.

        Args:
            chunks: Its bytes, as they come.
            name: As the client calls it; any text.
        Raises:
            TooLarge: It is, or has too many pixels, or there is no space left for uploads.
            UnsupportedType, InvalidFile, InvalidWorkflow: It is nothing that is taken in.
            OutputError: It can't be written.
        """
        return await receive(
            self._files,
            chunks,
            self.rules.bytes,
            lambda incoming: self._keep(incoming, name, client),
        )

    def _keep(self, incoming: Incoming, name: str, client: str) -> tuple[Upload, bool]:
        size = incoming.file.size
        kind = recognise(incoming.file.file, size, self.rules)
        self._make_room(size)
        now = self._clock()
        upload = Upload(
            *(0, incoming.digest, client, _named(name, kind.media_type), kind.media_type),
            *(size, kind.width, kind.height, now, now),
        )
        with self._changing:
            incoming.file.commit(upload.file)
            if self._shared is None:
                return self._index.add(upload)
        # What takes long keeps nobody from bringing something else.
        self._shared.put(_shared_name(upload.file), self.path(upload))
        added = self._index.add(upload)
        # Another server may just have deleted the last upload of the same bytes.
        self._shared.put(_shared_name(upload.file), self.path(upload))
        return added

    def _make_room(self, size: int) -> None:
        if self._has_room(size):
            return
        needed = needed_digests(self._queue)
        spared = self._clock() - self.rules.spared_seconds
        for upload in self._index.unused(spared):
            if upload.digest not in needed:
                self._delete([upload], spared)
                if self._has_room(size):
                    return
        raise TooLarge(
            "there is no space left for uploads",
            given=format_size(size),
            expected=f"at most {format_size(self.rules.held)} of uploads in all",
            hint="Delete uploads that are no longer needed.",
        )

    def _has_room(self, size: int) -> bool:
        return self._index.total_bytes() + size <= self.rules.held

    def find(self, digest: Digest, client: str | None) -> Upload:
        """The latest upload of certain bytes.

        Args:
            client: Whose; None for anybody's.
        Raises:
            NotFound: There is none, or none that the client may know of.
        """
        uploads = self._index.find(digest, client) if _DIGEST.fullmatch(digest) else []
        if not uploads:
            raise NotFound(
                "there is no such upload",
                given=ascii(digest[:80]),
                hint="It may have been deleted because it was not used for a long time.",
            )
        return uploads[0]

    def find_named(self, names: Sequence[str], client: str | None) -> Upload | None:
        """The upload with one of some names that was brought last; None if there is none."""
        return self._index.find_named(names, client)

    @property
    def files(self) -> Path:
        """The folder of the files."""
        return self._files.root

    def mentions_uploads(self, text: str) -> bool:
        """Whether a JSON text speaks of uploads, by reference or by the folder that they lie in."""
        return _REFERENCE in text or self._written in text

    def path(self, upload: Upload) -> Path:
        """Where the file of an upload lies."""
        return self._files.root / upload.file

    def open(self, upload: Upload) -> OpenFile:
        """The file of an upload, open.

        Raises:
            FileGone: It was deleted by another hand.
            FilesUnreachable: It was brought to another server, and can't be had from there now.
        """
        try:
            self._download(upload)
            return OpenFile(self._files.open(upload.file), upload.size, upload.digest)
        except OSError as error:
            raise FileGone(
                "the file of this upload is no longer available",
                given=upload.digest,
                hint="Upload it again.",
            ) from error

    def page(self, client: str | None, *, limit: int = 50, cursor: str | None = None) -> UploadPage:
        """A page of uploads, the newest first.

        Args:
            client: Whose; None for everybody's.
            cursor: `UploadPage.next` of the page before; None for the first.
        Raises:
            InvalidValue: The cursor is of another list, or the limit no number of uploads.
        """
        check_limit(limit, LARGEST_PAGE)
        uploads = self._index.before(read_cursor(cursor), client, limit + 1)
        is_last = len(uploads) <= limit
        return UploadPage(
            tuple(uploads[:limit]), None if is_last else write_cursor(uploads[limit - 1].number)
        )

    def delete(self, digest: Digest, client: str | None) -> None:
        """Delete a client's uploads of certain bytes; the file goes with the last of anybody's.

        Raises:
            NotFound: See `find`.
        """
        self.find(digest, client)
        self._delete(self._index.find(digest, client))

    def resolve(self, document: Any, client: str | None) -> Any:
        """A copy of a JSON document, such as a workflow, with paths in place of references.

        What it refers to counts as used.

        Args:
            client: Whose uploads it may refer to; None for everybody's.
        Raises:
            InvalidWorkflow: It refers to an upload that there isn't, or names one by its path, as
                only this method does; lists all.
        """
        used: dict[str, Upload] = {}

        def find(digest: str) -> str | None:
            uploads = self._index.find(digest, client)
            if not uploads:
                return None
            used[digest] = uploads[0]
            return str(self.path(uploads[0]))

        copy = resolve_references(document, find, str(self._files.root))
        if used:
            for upload in used.values():
                self._download(upload)
            self._index.touch(list(used.values()), self._clock())
        return copy

    @property
    def is_shared(self) -> bool:
        """Whether several servers have the same uploads, each in a folder of its own."""
        return self._shared is not None

    def resolve_shared(
        self, text: str, parameters: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        """A job's workflow, as JSON, and parameters as this server's workers take them: with paths
        in place of the references by which servers tell each other of shared uploads.

        They were found to be the client's when the job was submitted.

        Raises:
            FilesUnreachable: What it needs can't be brought here now.
        """
        if self._shared is None or not (_REFERENCE in text or _REFERENCE in json.dumps(parameters)):
            return text, parameters
        document, local_parameters = with_upload_paths(
            [json.loads(text), parameters], self._path_here
        )
        return json.dumps(document, separators=(",", ":")), local_parameters

    def _path_here(self, digest: Digest) -> Path:
        for upload in self._index.find(digest, None):
            self._download(upload)
            return self.path(upload)
        return self._files.root / f"{digest}.deleted"  # which a node tells of by its input

    def _download(self, upload: Upload) -> None:
        if self._shared is not None and self._files.status(upload.file) is None:
            self._shared.download(
                _shared_name(upload.file), upload.digest, self._files, upload.file
            )

    def mask_paths(self, document: Any) -> Any:
        """A copy of a JSON document with references in place of paths; the contrary of `resolve`.

        Where files lie on this machine is nobody's business.
        """
        return with_upload_references(document, self._files.root, self._name)

    def _name(self, digest: Digest) -> str:
        uploads = self._index.find(digest, None)
        return uploads[0].name if uploads else ""

    def prune(self) -> int:
        """Delete what nobody used for long and no job needs; how many. Takes a while."""
        if self._shared is not None:
            self._sweep()
            try:
                self._repair_shared(self._shared)
            except FilesUnreachable as error:
                _LOG.warning("shared uploads are not cleaned up now: %s", error)
        if self.rules.seconds is None:
            return 0
        before = self._clock() - self.rules.seconds
        old = self._index.unused(before)
        needed = needed_digests(self._queue) if old else set()
        unneeded = [upload for upload in old if upload.digest not in needed]
        for start in range(0, len(unneeded), _AT_ONCE):
            self._delete(unneeded[start : start + _AT_ONCE], before)
        return len(unneeded)

    def _repair_shared(self, shared: SharedFiles) -> None:
        """Share anew what was lost there, and remove what couldn't be when it was deleted."""
        there, listed = shared.names(_SHARED), self._index.digests()
        for file in self._files.names():
            name = _shared_name(file)
            if file.partition(".")[0] in listed and name not in there:
                shared.put(name, self._files.root / file)
        for name, digest in self._index.take_removals(_SHARED):
            self._remove_shared(name, digest, shared)

    def _delete(self, uploads: Collection[Upload], used_before: float | None = None) -> None:
        with self._changing:
            gone = self._index.remove(list(uploads), used_before)
            for upload in gone:
                self._files.remove(upload.file)
        if self._shared is not None:
            for upload in gone:
                self._unshare(upload, self._shared)

    def _unshare(self, upload: Upload, shared: SharedFiles) -> None:
        name = _shared_name(upload.file)
        self._remove_shared(name, upload.digest, shared)
        # Another server may have taken it in meanwhile, and found it there.
        if self._index.is_held(upload.digest) and self._files.status(upload.file) is not None:
            shared.put(name, self.path(upload))

    def _remove_shared(self, name: str, digest: Digest, shared: SharedFiles) -> None:
        try:
            shared.remove(name)
        except FilesUnreachable:
            self._index.add_removal(name, digest)


def _listed(index: Path) -> frozenset[Digest]:
    """What an index lists, if it is there."""
    if not index.exists():
        return frozenset()
    listed = UploadIndex(Database(index, uploads_format()))
    try:
        return frozenset(listed.digests())
    finally:
        listed.close()


def _shared_name(file: str) -> str:
    return f"{_SHARED}/{file[:2]}/{file}"


def _named(name: str, media_type: str) -> str:
    """A safe name with the suffix of what the file is."""
    stem = re.split(r"[/\\]", name)[-1].rpartition(".")[0] or name
    return f"{safe_name(stem, longest=_LONGEST_STEM)}{SUFFIXES[media_type]}"
