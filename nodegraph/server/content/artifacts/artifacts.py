"""Artifacts of jobs: find, open, share and delete them on behalf of a caller."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import wraps
from itertools import repeat
from pathlib import Path
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

from nodegraph.core.digests import Digest
from nodegraph.errors import OutputError
from nodegraph.jobs.queue import JobNotFound
from nodegraph.jobs.queue.reader import QueueView
from nodegraph.server.content.artifacts.annotations import (
    AnnotationChange,
    Board,
    Key,
    ResultAnnotation,
    ResultLibrary,
)
from nodegraph.server.content.artifacts.artifact_files import (
    SHARED,
    Removal,
    SharedArtifacts,
    open_artifact,
    remove_artifact,
)
from nodegraph.server.content.artifacts.catalogue import (
    Catalogue,
    CatalogueFile,
    DamagedCatalogue,
    FileLocation,
)
from nodegraph.server.content.artifacts.search import (
    Artifact,
    ArtifactFilter,
    ArtifactPage,
    JobWords,
    Term,
    fold_case,
    job_words,
)
from nodegraph.server.content.artifacts.thumbnails import Thumbnails
from nodegraph.server.http.errors import FileGone, NotFound, Unprocessable
from nodegraph.server.http.responses import OpenFile, check_limit, read_cursor, write_cursor

P = ParamSpec("P")
T = TypeVar("T")
_LOG = logging.getLogger(__name__)
LARGEST_PAGE = 1000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_AT_ONCE = 200
"""Events whose files are entered in one transaction."""
_SKIPPED = 10_000
"""Events."""


def _rebuilding(
    method: Callable[Concatenate[Artifacts, P], T],
) -> Callable[Concatenate[Artifacts, P], T]:
    """Have a method begin again with a new catalogue where it finds the old one damaged."""

    @wraps(method)
    def call(self: Artifacts, /, *args: P.args, **options: P.kwargs) -> T:
        catalogue = self._catalogue
        try:
            return method(self, *args, **options)
        except DamagedCatalogue as damage:
            self._make_again(catalogue, damage)
        return method(self, *args, **options)

    return call


class Artifacts:
    """Files that jobs wrote; safe to use from several threads.

    The catalogue follows the queue: it is brought up to date when somebody asks for what isn't in
    it, so that it costs jobs nothing, and a crash nothing either. One that is found damaged is made
    again. What a deleted job gave is not handed out any more; its files stay where they are.

    Args:
        path: The catalogue's file; made if it isn't there.
        queue: Whose jobs.
        roots: Folders from which files are handed out, and from nowhere else: those that sinks
            write to.
        thumbnails: Small images of large ones.
        library: What people note about them.
        shared: What other servers of the queue share with this one; the catalogue is theirs, too,
            then, and none is kept in the file.
    Attributes:
        emptying: Held while results in the trash are deleted, and while some leave it.
    Raises:
        InvalidFile, OutputError: The catalogue can't be opened.
    """

    def __init__(
        self,
        path: Path,
        queue: QueueView,
        roots: Sequence[Path],
        thumbnails: Thumbnails,
        library: ResultLibrary,
        shared: SharedArtifacts | None = None,
    ) -> None:
        self._path = path
        self._own: CatalogueFile | None = None
        self._making = Lock()
        self._catalogue = self._opened() if shared is None else Catalogue(shared.tables)
        self._shared = shared
        self._not_here: set[int] = set()
        self._not_removed: set[tuple[Digest, str]] = set()
        self._queue = queue
        self._roots = tuple(roots)
        self.thumbnails = thumbnails
        self.library = library
        self.emptying = asyncio.Lock()
        self._entering = Lock()

    def _opened(self) -> Catalogue:
        """The catalogue in the file, which is made again if it is damaged."""
        try:
            return self._opened_once()
        except DamagedCatalogue as damage:
            self._remove(damage)
        return self._opened_once()

    def _opened_once(self) -> Catalogue:
        self._own = CatalogueFile(self._path)
        catalogue = Catalogue(self._own)
        catalogue.follow_home(str(self._path.parent.absolute()))
        return catalogue

    def _make_again(self, catalogue: Catalogue, damage: DamagedCatalogue) -> None:
        """Make the catalogue anew, unless another thread has done so since."""
        with self._making:
            if catalogue is not self._catalogue or self._own is None:
                return
            self._remove(damage)
            self._catalogue = self._opened()

    def _remove(self, damage: DamagedCatalogue) -> None:
        _LOG.warning("%s; it is created again from the job queue", damage.problem.message)
        if self._own is not None:
            self._own.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(f"{self._path.name}{end}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the library, and the catalogue but for one that is shared."""
        self.thumbnails.close()
        self.library.close()
        if self._own is not None:
            self._own.close()

    @_rebuilding
    def find(self, digest: Digest, client: str | None) -> Artifact:
        """The latest artifact of certain bytes.

        Args:
            client: Whose; None for everybody's.
        Raises:
            NotFound: There is none, or none that the client may know of.
        """
        if _DIGEST.fullmatch(digest):
            artifact = self._latest(digest, client)
            if artifact is None:
                self.catch_up()
                artifact = self._latest(digest, client)
            if artifact is not None:
                return artifact
        raise NotFound(
            "there is no such artifact",
            given=digest[:80],
            hint="Digests are 64 hexadecimal digits; jobs list the digests of their files in their "
            "outputs.",
        )

    @_rebuilding
    def open(self, artifact: Artifact) -> OpenFile:
        """The file of an artifact, open.

        Raises:
            FileGone: It was changed or deleted.
            FileComing: Another server is about to share it.
            FilesUnreachable: Another server's can't be brought now.
        """
        places = self._catalogue.locations(artifact.digest)
        try:
            return open_artifact(artifact.digest, places, self._roots, self._catalogue.mark)
        except FileGone:
            shared_file = None if self._shared is None else self._shared.open(artifact.digest)
            if shared_file is None:
                raise
            return shared_file

    @_rebuilding
    def share(self) -> None:
        """Enter what jobs gave since, and share what other servers lack and this one has.

        Raises:
            NodegraphError: That isn't possible now.
        """
        if self._shared is None:
            return
        self.catch_up()
        self._share_files(self._shared)
        self._remove_files(self._shared)

    def _share_files(self, shared: SharedArtifacts) -> None:
        before: int | None = None
        # Of others' files, and of those that were deleted by hand, there may be any number.
        while waiting := shared.unshared(before):
            new = [each for each in waiting if each[1].number not in self._not_here]
            if not new:
                return  # behind these all was looked for
            for digest, location in new:
                if not self._is_shared(digest, location):
                    self._not_here.add(location.number)
            before = waiting[-1][1].number

    def _remove_files(self, shared: SharedArtifacts) -> None:
        last: Removal | None = None
        fault: OutputError | None = None
        while waiting := shared.removals(last):
            for each in waiting:
                try:
                    self._remove_file(each, shared)
                except OutputError as error:
                    fault = error  # which keeps no others
            last = waiting[-1]
        if fault is not None:
            raise fault

    def _remove_file(self, which: Removal, shared: SharedArtifacts) -> None:
        key = which.digest, which.path
        if which.is_needed or which.path == SHARED:
            shared.confirm_removal(*key)
            if not which.is_needed:
                shared.remove(which.digest)
        elif key not in self._not_removed:
            location = FileLocation(0, which.path, None)
            is_removed = remove_artifact(
                which.digest, location, self._roots, written_before=which.requested_at
            )
            if is_removed or which.is_given_up:
                shared.confirm_removal(*key)
            else:
                self._not_removed.add(key)

    def retry_missing(self) -> None:
        """Have `share` look for files that weren't here."""
        self._not_here.clear()
        self._not_removed.clear()

    def _is_shared(self, digest: Digest, location: FileLocation) -> bool:
        assert self._shared is not None
        try:
            opened = open_artifact(digest, [location], self._roots, self._catalogue.mark)
        except FileGone:
            return False
        with opened.file:
            self._shared.share(digest, Path(location.path))
        return True

    @_rebuilding
    def find_all(self, digest: Digest, client: str | None, job: str | None) -> list[Artifact]:
        """All artifacts of certain bytes that a client may know of; see `find`.

        Args:
            job: Only its own; None for those of all.
        Raises:
            NotFound: There is none.
        """
        latest = self.find(digest, client)
        self.catch_up()
        artifacts = self._catalogue.find_for_job(latest.digest, client, job)
        if not artifacts:
            raise NotFound(
                "this job has no such artifact",
                given=ascii((job or "")[:80]),
                hint="Omit the job to search all jobs.",
            )
        return artifacts

    @_rebuilding
    def delete(self, artifacts: Sequence[Artifact]) -> None:
        """Forget artifacts that their jobs don't list any more, and delete their files.

        A file stays if another job names it, or if something else lies there by now.
        """
        digests = dict.fromkeys(each.digest for each in artifacts)
        places = {
            p.path: (digest, p) for digest in digests for p in self._catalogue.locations(digest)
        }
        removed = self._catalogue.remove(artifacts)
        left = self._catalogue.keys(list(digests), None)
        newest: dict[Key, float] = {}
        for each in artifacts:
            key = each.client, each.digest
            newest[key] = max(each.at, newest.get(key, each.at))
        # Nobody can see any more what was noted about bytes that no job lists.
        self.library.change(
            newest.keys() - left.keys(),
            lambda noted: ResultAnnotation(
                noted.client, noted.digest, deleted=newest[noted.client, noted.digest]
            ),
        )
        for path in removed:
            is_left = path in places and not remove_artifact(*places[path], self._roots)
            if is_left and self._shared is not None:
                self._shared.request_removal(places[path][0], path)
        gone: set[Digest] = set()
        for digest in digests:
            if not self._catalogue.locations(digest):
                gone.add(digest)
                if self._shared is not None:
                    self._shared.remove(digest)
        self.thumbnails.forget(gone)

    @_rebuilding
    def page(
        self, which: ArtifactFilter, *, limit: int = 50, cursor: str | None = None
    ) -> ArtifactPage:
        """A page of artifacts, the newest first; see `find`.

        Args:
            cursor: `ArtifactPage.next` of the page before; None for the first.
        Raises:
            InvalidValue: The cursor is of another list, or the limit no number of artifacts.
        """
        check_limit(limit, LARGEST_PAGE)
        before = read_cursor(cursor)
        self.catch_up()
        terms = self._with_board_ids(which.terms, which.client)
        if terms is None:
            return ArtifactPage((), None)
        which = replace(which, terms=terms)
        artifacts: list[Artifact] = []
        while len(artifacts) <= limit:
            wanted = limit + 1 - len(artifacts)
            more = self._catalogue.list_before(before, which, wanted)
            alive = map(self._with_maker, self._of_existing_jobs(more), repeat(which.client))
            artifacts += map(self._with_job_count, alive, repeat(which.client))
            if len(more) < wanted:
                break
            before = more[-1].number
        is_last = len(artifacts) <= limit
        return ArtifactPage(
            tuple(artifacts[:limit]), None if is_last else write_cursor(artifacts[limit - 1].number)
        )

    @_rebuilding
    def catch_up(self) -> None:
        """Enter what jobs gave since, and copy what was noted."""
        self._copy_library()
        with self._entering:
            queue = self._queue.identity
            last = known = self._catalogue.last(queue)
            newest = self._queue.newest_event()
            if newest < last:
                last = 0  # the queue was restored from a backup
            is_complete = newest == last
            while not is_complete:
                page = self._queue.outputs_after(last, limit=_AT_ONCE)
                # Events that nothing came of are skipped quickly, so that isn't written each time.
                if page.entries or page.last - last > _SKIPPED:
                    words = {job: self._words(job) for job in {each.id for each in page.entries}}
                    if not self._catalogue.enter(
                        page.entries, words, queue, page.last, after=known
                    ):
                        last = known = self._catalogue.last(queue)
                        continue
                    known = page.last
                last, is_complete = page.last, page.is_complete

    def _words(self, id: str) -> JobWords:
        try:
            job = self._queue.get(id)
            return job_words(job, self._queue.workflow(job.workflow))
        except (JobNotFound, KeyError):
            return JobWords("", "", {})  # it was deleted since, and what it gave goes, too

    def _copy_library(self) -> None:
        is_complete = False
        while not is_complete:
            known = self._catalogue.library()
            changes = self.library.changes_after(known[1], known[0])
            is_complete = changes.is_complete
            is_new = changes.is_reset or changes.last != known[1]
            if is_new and not self._catalogue.copy_library(self.library.identity, changes, known):
                is_complete = False

    def _with_board_ids(self, terms: Sequence[Term], client: str | None) -> list[Term] | None:
        """Terms with boards by their ids instead of names; None if a board is none."""
        chosen: list[Term] = []
        for kind, value in terms:
            if kind != "board_name":
                chosen.append((kind, value))
                continue
            boards = self.library.boards(client)
            named = [each.id for each in boards if fold_case([each.name]) == value]
            if not named:
                return None
            chosen.append(("board", " ".join(named)))
        return chosen

    # The library.

    @_rebuilding
    def visible_keys(self, digests: Sequence[Digest], client: str | None) -> dict[Key, float]:
        """Client and digest of artifacts that a client may see, with the time of the newest.

        Raises:
            NotFound: One of the digests is of none.
        """
        digests = list(dict.fromkeys(digests))
        # A job may have made known bytes again, or another client's.
        self.catch_up()
        keys = self._catalogue.keys(digests, client)
        known = {digest for _, digest in keys}
        for digest in digests:
            if digest not in known:
                self.find(digest, client)
        return keys

    def annotate(
        self, digests: Sequence[Digest], client: str | None, change: AnnotationChange
    ) -> int:
        """Change what is noted about artifacts, all or none; how many differ now.

        Raises:
            NotFound: One of them isn't there, or the board.
            Unprocessable: The board is another client's than one of them.
        """
        keys: Iterable[Key] = self.visible_keys(digests, client)
        board = change.texts.get("board")
        if board is not None:
            owner = self.library.board(board, client).client
            keys = [key for key in keys if key[0] == owner]
            if missing := set(digests) - {digest for _, digest in keys}:
                raise Unprocessable(
                    "a result of another client cannot be put on this board",
                    given=min(missing),
                    expected=f"results of {owner}",
                    hint="Use a board of the result's own client. Nothing was changed.",
                )
        return self.library.change(keys, change.apply)

    def trash(self, digests: Sequence[Digest], client: str | None) -> int:
        """Put artifacts into the trash; how many weren't there before.

        Raises:
            NotFound: One of them isn't there.
        """
        newest, now = self.visible_keys(digests, client), self.library.now()

        def trashed(each: ResultAnnotation) -> ResultAnnotation:
            at = newest[each.client, each.digest]
            # Whatever the clock says: what is there now goes into the trash.
            is_in = each.trashed is not None and each.trashed >= at
            return each if is_in else replace(each, trashed=max(now, at))

        return self.library.change(newest, trashed)

    def restore(self, digests: Sequence[Digest], client: str | None) -> int:
        """Take artifacts out of the trash; how many were there.

        Raises:
            NotFound: One of them isn't there, as its jobs were deleted.
        """
        keys = self.visible_keys(digests, client)
        return self.library.change(keys, lambda each: replace(each, trashed=None))

    @_rebuilding
    def in_trash(
        self, annotations: Sequence[ResultAnnotation]
    ) -> list[tuple[ResultAnnotation, list[Artifact]]]:
        """The annotations that are still in the trash as they were, each with its artifacts."""
        self.catch_up()
        current = self.library.get((each.client, each.digest) for each in annotations)
        listed = []
        for each in annotations:
            if current[each.client, each.digest].trashed == each.trashed:
                files = self._catalogue.find_for_job(each.digest, each.client, None)
                listed.append((each, [file for file in files if file.trashed is not None]))
        return listed

    def leave_trash(self, annotations: Sequence[ResultAnnotation]) -> None:
        """Note that nothing is left of results in the trash; newer ones of their bytes stay."""
        trashed = {(each.client, each.digest): each.trashed for each in annotations}
        left = self._catalogue.keys(list({each.digest for each in annotations}), None)

        def emptied(each: ResultAnnotation) -> ResultAnnotation:
            key = each.client, each.digest
            if each.trashed != trashed[key]:
                return each  # it was restored, or put there again, meanwhile
            gone = replace(each, trashed=None) if key in left else ResultAnnotation(*key)
            return replace(gone, deleted=each.trashed)

        self.library.change(trashed, emptied)
        self.library.purge()

    @_rebuilding
    def annotated_jobs(self) -> set[str]:
        """Ids of jobs with results about which somebody noted something."""
        self.catch_up()
        return self._catalogue.annotated_jobs()

    @_rebuilding
    def tag_counts(self, client: str | None) -> list[tuple[str, int]]:
        """See `Catalogue.tag_counts`."""
        self.catch_up()
        return self._catalogue.tag_counts(client)

    @_rebuilding
    def boards(self, client: str | None) -> list[tuple[Board, int, Digest | None]]:
        """Boards by name, each with the number of results on it and the newest of them."""
        self.catch_up()
        counts = self._catalogue.board_counts(client)
        boards = self.library.boards(client)
        return [(board, *counts.get(board.id, (0, None))) for board in boards]

    @_rebuilding
    def tidy(self) -> int:
        """Forget what deleted jobs gave; how many jobs that were. Takes a while."""
        last, forgotten = "", 0
        while jobs := self._catalogue.jobs(last):
            gone = [job for job in jobs if not self._job_exists(job)]
            self._forget(gone)
            forgotten += len(gone)
            last = jobs[-1]
        return forgotten

    def _latest(self, digest: Digest, client: str | None) -> Artifact | None:
        while entries := self._catalogue.entries(digest, client):
            if alive := self._of_existing_jobs(entries):
                return alive[0]
        return None

    def _of_existing_jobs(self, artifacts: Sequence[Artifact]) -> list[Artifact]:
        """Those whose jobs weren't deleted; the others are forgotten."""
        there = {
            job: self._job_exists(job) for job in dict.fromkeys(item.job for item in artifacts)
        }
        if not all(there.values()):
            self._forget([job for job, is_there in there.items() if not is_there])
        return [item for item in artifacts if there[item.job]]

    def _forget(self, jobs: Sequence[str]) -> None:
        if self._shared is None:
            self._catalogue.forget(jobs)
            return
        digests = self._catalogue.digests(jobs)
        self._catalogue.forget(jobs)
        # Files stay where they were written; what was shared of them takes space for nobody.
        for digest in digests:
            if not self._catalogue.locations(digest):
                self._shared.remove(digest)

    def _with_maker(self, item: Artifact, client: str | None) -> Artifact:
        """With the job that made it, if that is still there."""
        while item.made_by is not None and not self._job_exists(item.made_by):
            self._forget([item.made_by])
            again = self._catalogue.find_for_job(item.digest, client, item.job)
            makers = [each.made_by for each in again if each.number == item.number]
            item = replace(item, made_by=makers[0] if makers else None)
        return item

    def _with_job_count(self, item: Artifact, client: str | None) -> Artifact:
        """With the number of jobs that are still there."""
        if item.jobs == 1:
            return item
        alive = self._of_existing_jobs(self._catalogue.find_for_job(item.digest, client, None))
        return replace(item, jobs=len({each.job for each in alive}))

    def _job_exists(self, job: str) -> bool:
        try:
            self._queue.get(job)
        except JobNotFound:
            return False
        return True
