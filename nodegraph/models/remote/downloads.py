"""Downloads of models: durable jobs that survive a killed process and a lost connection.

Each download has a journal and a folder of parts below ``.downloads`` in its models folder, which
lists of models leave out. The model becomes visible in one step, when all files are whole and
match the digests that the source states. The journal is written before bytes that depend on it, so
a later process continues at the end of each part. A lock of the operating system shows whether a
process works on a download; the system frees it when the process dies.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from time import monotonic, sleep, time
from typing import Any

import httpx
from blake3 import blake3

from nodegraph.core.files import make_folder, make_private_folder, write_file
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidValue, NodegraphError, OutputError
from nodegraph.models.model_library import FACTS, facts_document, facts_file, read_facts
from nodegraph.models.remote.download_plans import (
    ACTIVE,
    FOLDER,
    DownloadError,
    DownloadPlan,
    DownloadStatus,
    PlannedFile,
    check_weights,
    is_well_formed,
)
from nodegraph.models.remote.file_cache import trying_lock
from nodegraph.models.remote.guarded_http import open_client
from nodegraph.models.remote.hubs import ModelHubs
from nodegraph.models.remote.manifests import check_name
from nodegraph.models.remote.transfers import (
    FileTransfer,
    RetryPolicy,
    disk_error,
    full_disk,
    is_of_source,
    move_into_folder,
    public_source,
    sync_folder,
    take_cached,
)

_LOG = logging.getLogger(__name__)
_SPARE = 64 << 20
"""Bytes that stay free on the disk."""
_SAVE_SECONDS = 1.0
_SPEED_SECONDS = 10.0
_KEPT = 50
_FACTS = ("source", "title", "page", "license", "base_model", "trigger_words")
_TRIES, _TRY_SECONDS = 10, 0.02
_LONG_ATTEMPTS = 150
"""Attempts of a download that waits for the connection: about a day."""


class Stopped(NodegraphError):
    """A download was paused or cancelled while it ran."""

    code = "download-stopped"


class AlreadyRunning(NodegraphError):
    """Another thread or process works on a download."""

    code = "download-running"


OnProgress = Callable[[DownloadStatus], None]


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk that a folder is on."""
    return shutil.disk_usage(folder).free


class Downloads:
    """The downloads into one models folder. Safe to use from several threads and processes.

    Args:
        folder: The models folder; made with the first download.
        hubs: Says which hosts may be reached and which token they get.
        retries: When failed requests are repeated; by default for about a day.
        room: Returns the free bytes of the disk of a folder.
    """

    def __init__(
        self,
        folder: Path,
        hubs: ModelHubs,
        retries: RetryPolicy | None = None,
        room: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.folder = folder
        self._hubs = hubs
        self._retries = retries or RetryPolicy(long_attempts=_LONG_ATTEMPTS)
        self._room = room
        self._area = folder / FOLDER

    def add(self, plan: DownloadPlan) -> DownloadStatus:
        """Queue a download; one of the same model that is there already is continued.

        Raises:
            InvalidValue: There is a model of that name, or another source's download of it.
            UnsafeFile: It has a pickle file, and these were not allowed.
            OutputError: The disk has no room, or the folder cannot be written.
        """
        check_name(plan.name)
        for file in plan.files:
            check_name(file.path)
        if not plan.is_folder:
            check_weights(plan.files[0].path, allow_pickle=plan.allow_pickle)
        id_ = _id_of(plan.name)
        try:
            make_private_folder(self._area)
        except OSError as error:
            raise OutputError(f"cannot create the folder {self._area}: {error.strerror}") from error
        with self._changing():
            known = self._read(id_)
            if known is not None and known.state == "finished":
                shutil.rmtree(self._parts(id_), ignore_errors=True)  # its process may have died
                known = None
            if known is not None and not _is_same(known.plan, plan):
                if known.plan.source != plan.source and known.state != "failed":
                    raise InvalidValue(
                        f"a download of another model to {plan.name} is {known.state}",
                        given=plan.source,
                        expected=known.plan.source,
                        hint="Choose another name with --name, or cancel that download.",
                    )
                if not self.is_worked_on(id_):
                    self._drop_others(known, plan)  # another variant, or the source has changed
                    known = None
            if known is not None and known.state in ACTIVE:
                self._clear_signs(id_)  # whoever adds it wants it to go on
                return self._live(known)
            if os.path.lexists(self.folder / plan.name):
                raise InvalidValue(
                    f"there is already a model {plan.name}",
                    hint=f"Check it with `nodegraph models verify {plan.name}`, or choose another "
                    "name with --name.",
                )
            self._check_room(plan, id_)
            status = known or DownloadStatus(id_, "queued", plan, created=time())
            status = replace(status, plan=plan, state="queued", error=None)
            self._clear_signs(id_)
            self._save(status)
        self._forget_old()
        return status

    def read_all(self) -> list[DownloadStatus]:
        """All downloads, the newest first."""
        listed = []
        for path in self._area.glob("*.json"):
            try:
                status = self._read(path.stem)
                if status is not None:
                    listed.append(self._live(status))
            except (OSError, ValueError) as error:  # the others are as good as before
                _LOG.warning("the download in %s is left out: %s", path, error)
        return sorted(listed, key=lambda each: each.created, reverse=True)

    def get(self, id_: str) -> DownloadStatus:
        """A download by its id or by the name of its model.

        Raises:
            InvalidValue: There is none.
        """
        for status in self.read_all():
            if id_ in (status.id, status.plan.name, status.plan.source):
                return status
        raise InvalidValue("there is no such download", given=ascii(id_[:80]))

    def pause(self, id_: str) -> DownloadStatus:
        """Stop a download; its parts stay, also if another process runs it."""
        status = self.get(id_)
        if status.state not in ACTIVE:
            return status
        self._sign(status.id, "pause").touch()
        with self._working(status.id) as is_mine:
            status = self._reread(status)
            if is_mine and status.state in ACTIVE:
                self._save(replace(status, state="paused", speed=0.0))
        return self.get(status.id)

    def resume(self, id_: str) -> DownloadStatus:
        """Queue a paused or failed download again; one that is about to pause goes on.

        Raises:
            OutputError: The disk has no room.
        """
        status = self.get(id_)
        return status if status.state == "finished" else self.add(status.plan)

    def cancel(self, id_: str) -> None:
        """Stop a download and remove its parts; of a finished one only the record.

        A download whose journal is damaged has an id and the name of its model, too.
        """
        ids = {id_, _id_of(id_)} & {path.stem for path in self._area.glob("*.json")}
        id_ = ids.pop() if ids else self.get(id_).id
        self._sign(id_, "cancel").touch()
        with self._working(id_) as is_mine:
            if is_mine:
                self._remove(id_)

    def run(
        self,
        id_: str,
        on_progress: OnProgress = lambda status: None,
        stop: Event | None = None,
        token: str | None = None,
    ) -> Path:
        """Carry out a download, from where it was; returns the path of the model.

        Args:
            on_progress: Is called about once a second, and at the end.
            stop: Pauses it when it is set, for example at the end of the process; it stays
                queued.
            token: Access token for its source; by default the one of the environment.
        Raises:
            AlreadyRunning: Another thread or process works on it.
            Stopped: It was paused or cancelled.
            NodegraphError: It failed; the journal keeps the reason.
        """
        with self._working(id_, tries=_TRIES) as is_mine:
            if not is_mine:
                raise AlreadyRunning("another process works on this download")
            status = self._read(id_)
            if status is None:
                raise Stopped("the download was cancelled")
            if status.state == "finished":
                return self.folder / status.plan.name
            work = _Work(self, replace(status, state="running", error=None), on_progress, stop)
            try:
                return work.run(token)
            except Stopped:
                self._end(work.ended("queued"))
                raise
            except NodegraphError as error:
                self._end(work.ended("failed", str(error)))
                raise
            except KeyboardInterrupt:
                self._end(work.ended("paused"))
                raise
            except OSError as error:
                failure = disk_error(status.plan, error)
                with suppress(OutputError):  # the disk may be full
                    self._end(work.ended("failed", str(failure)))
                raise failure from error
            except Exception as error:
                self._end(work.ended("failed", f"{type(error).__name__}: {error}"))
                raise

    def _end(self, status: DownloadStatus) -> None:
        """Keep how a run ended; one that was cancelled or paused meanwhile ends so."""
        with self._changing():  # nobody adds it again between the look and the change
            if self._sign(status.id, "cancel").exists():
                self._remove(status.id)
            elif status.state != "finished" and self._sign(status.id, "pause").exists():
                self._save(replace(status, state="paused", error=None))
            else:
                self._save(status)

    def pending(self) -> list[DownloadStatus]:
        """Downloads that should run, the oldest first, except those that a process works on."""
        unfinished = [status for status in self.read_all() if status.state in ACTIVE]
        return [status for status in reversed(unfinished) if not self.is_worked_on(status.id)]

    def is_worked_on(self, id_: str) -> bool:
        """Whether a thread or process works on a download now."""
        with self._working(id_) as is_mine:
            return not is_mine

    # Files below the area

    def _parts(self, id_: str) -> Path:
        return self._area / id_

    def _sign(self, id_: str, sign: str) -> Path:
        """A file that asks the process that works on a download to stop."""
        return self._area / f"{id_}.{sign}"

    @contextmanager
    def _working(self, id_: str, *, tries: int = 1) -> Iterator[bool]:
        for at in range(tries):
            with trying_lock(self._area / f"{id_}.lock") as is_mine:
                if is_mine or at == tries - 1:
                    yield is_mine
                    return
            sleep(_TRY_SECONDS)  # whoever only looks whether it is worked on holds it so briefly

    @contextmanager
    def _changing(self) -> Iterator[None]:
        from nodegraph.store.claims import exclusive_lock

        with exclusive_lock(self._area / "journal.lock", f"the downloads of {self.folder}"):
            yield

    def _read(self, id_: str) -> DownloadStatus | None:
        try:
            document = json.loads((self._area / f"{id_}.json").read_bytes())
            plan = DownloadPlan.from_document(document.pop("plan"))
            status = DownloadStatus(plan=plan, **document)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # none, damaged or of another version: neither shown nor continued
        return status if status.id == id_ and is_well_formed(status) else None

    def _clear_signs(self, id_: str) -> None:
        for sign in ("pause", "cancel"):
            self._sign(id_, sign).unlink(missing_ok=True)

    def _drop_others(self, known: DownloadStatus, plan: DownloadPlan) -> None:
        """Remove what has come of a download, except the files that another plan has, too."""
        for file in known.plan.files:
            if not (file.has_digest and _identity(file) in map(_identity, plan.files)):
                for path in (self._staged(known.id, file), self._part(known.id, file)):
                    path.unlink(missing_ok=True)
                    with suppress(OSError):  # others may be in it
                        path.parent.rmdir()

    def _reread(self, status: DownloadStatus) -> DownloadStatus:
        return self._read(status.id) or status

    def _live(self, status: DownloadStatus) -> DownloadStatus:
        """With the bytes that are there now, which the journal notes only once a second."""
        if status.state == "finished":
            return status
        if status.state in ("running", "waiting") and not self.is_worked_on(status.id):
            # Its process has died.
            status = replace(status, state="queued", speed=0.0, error=None)
        done = sum(map(self._done, ((status.id, file) for file in status.plan.files)))
        return replace(status, done=done)

    def _done(self, of: tuple[str, PlannedFile]) -> int:
        id_, file = of
        for path in (self._staged(id_, file), self._part(id_, file)):
            with suppress(OSError):
                return path.stat().st_size
        return 0

    def _part(self, id_: str, file: PlannedFile) -> Path:
        return self._parts(id_) / "parts" / f"{blake3(file.path.encode()).hexdigest()[:16]}.part"

    def _staged(self, id_: str, file: PlannedFile) -> Path:
        return self._parts(id_) / "model" / file.path

    def _save(self, status: DownloadStatus) -> None:
        document = {**asdict(status), "plan": status.plan.to_document()}
        data = json.dumps(document, indent=1).encode()
        write_file(self._area / f"{status.id}.json", data, private=True)

    def _remove(self, id_: str) -> None:
        shutil.rmtree(self._parts(id_), ignore_errors=True)
        (self._area / f"{id_}.json").unlink(missing_ok=True)
        self._clear_signs(id_)

    def _forget_old(self) -> None:
        """Remove records of old downloads that have ended well."""
        finished = [status for status in self.read_all() if status.state == "finished"]
        for status in finished[_KEPT:]:
            self._remove(status.id)

    def _check_room(self, plan: DownloadPlan, id_: str) -> None:
        """Refuse a download that the disk has no room for, with what others still need.

        Raises:
            OutputError: It has not enough.
        """
        needed = sum(file.bytes or 0 for file in plan.files if file.cached is None)
        needed -= sum(self._done((id_, file)) for file in plan.files)
        reserved = sum(
            max(0, (status.plan.bytes or 0) - status.done)
            for status in self.read_all()
            if status.state in ACTIVE and status.id != id_
        )
        free = self._room(self._area) - _SPARE - reserved
        if needed > free:
            others = f" (other downloads need {format_size(reserved)})" if reserved else ""
            raise OutputError(
                f"there is no room for {plan.name} on the disk of {self.folder}{others}",
                given=f"{format_size(max(0, free))} free",
                expected=format_size(needed),
                hint="Free disk space, or choose another models folder with --folder.",
            )


class _Work:
    """One run of a download."""

    def __init__(
        self,
        downloads: Downloads,
        status: DownloadStatus,
        on_progress: OnProgress,
        stop: Event | None,
    ) -> None:
        self._downloads = downloads
        self._status = downloads._live(status)
        self._on_progress = on_progress
        self._stop = stop or Event()
        self._samples: deque[tuple[float, int]] = deque()
        self._saved = 0.0

    def ended(self, state: str, error: str | None = None) -> DownloadStatus:
        """The status in the journal after the run."""
        return replace(self._status, state=state, error=error, speed=0.0)

    def run(self, token: str | None) -> Path:
        """Fetch all files, then show the model."""
        plan, downloads = self._status.plan, self._downloads
        downloads._save(self._status)
        self._on_progress(self._status)
        target = downloads.folder / plan.name
        if os.path.lexists(target) and read_facts(target).source == public_source(plan.source):
            return self._finish(target)  # the process died right after the last step
        self._check_license(token)
        digests = {}
        with open_client(downloads._hubs.rules) as client:
            for file in plan.files:
                digests[file.path] = self._fetch(client, file, token)
        return self._finish(self._publish(digests))

    def _finish(self, target: Path) -> Path:
        plan, downloads = self._status.plan, self._downloads
        self._status = replace(self.ended("finished"), done=plan.bytes or self._status.done)
        downloads._end(self._status)
        shutil.rmtree(downloads._parts(self._status.id), ignore_errors=True)
        self._on_progress(self._status)
        return target

    def _fetch(self, client: httpx.Client, file: PlannedFile, token: str | None) -> str:
        """Bring one file; its SHA-256."""
        downloads, id_ = self._downloads, self._status.id
        staged, part = downloads._staged(id_, file), downloads._part(id_, file)
        for folder in (staged.parent, part.parent):
            make_folder(folder)
        if staged.exists() and not staged.is_symlink() and staged.stat().st_nlink == 1:
            staged.replace(part)  # checked again: it may be of another version by now
        elif os.path.lexists(staged):
            with suppress(OSError):  # what it links to may be gone
                self.count(-staged.stat().st_size)
            staged.unlink()  # a link to the cache, which must not be written
        hubs, plan = downloads._hubs, self._status.plan
        digest = take_cached(file, staged, self, allow_pickle=plan.allow_pickle)
        if digest is not None:
            return digest
        transfer = FileTransfer(
            client,
            file,
            part,
            self,
            retries=downloads._retries,
            token=(token if is_of_source(plan, file) else None) or hubs.token_for(file.url),
            sign_in=hubs.sign_in(file.url),
            allow_pickle=plan.allow_pickle,
        )
        digest = transfer.run()
        part.replace(staged)
        return digest

    def _check_license(self, token: str | None) -> None:
        """Refuse a gated model without a token before anything is requested."""
        plan, hubs = self._status.plan, self._downloads._hubs
        url = plan.files[0].url
        if plan.is_gated and not plan.is_cached and not (token or hubs.token_for(url)):
            raise DownloadError(
                f"{plan.title} is gated: its authors ask for an accepted license",
                hint=f"Accept the license at {plan.page}. {hubs.sign_in(url)}",
            )

    def _publish(self, digests: Mapping[str, str]) -> Path:
        """Move the whole model to its name in one step."""
        plan, downloads, id_ = self._status.plan, self._downloads, self._status.id
        target = downloads.folder / plan.name
        make_folder(target.parent)
        staging = downloads._parts(id_) / "model"
        staged = staging if plan.is_folder else staging / plan.files[0].path
        if os.path.lexists(target):
            raise InvalidValue(
                f"there is a model {plan.name} by now", hint="Move it, and resume the download."
            )
        facts = {name: getattr(plan, name) for name in _FACTS}
        facts["source"] = public_source(plan.source)
        facts_path = staging / FACTS if plan.is_folder else facts_file(target)
        write_file(facts_path, facts_document({**facts, "sha256": dict(digests)}))
        for folder in {path.parent for path in staging.rglob("*")}:
            sync_folder(folder)
        try:
            move_into_folder(staged, target, lambda folder: downloads._room(folder) - _SPARE)
        except OSError:
            if not plan.is_folder:  # they would speak of whatever has that name
                facts_path.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
        return target

    def count(self, more: int) -> None:
        """Note bytes that have come, and report now and then."""
        now = monotonic()
        done = max(0, self._status.done + more)
        self._samples.append((now, done))
        while self._samples[0][0] < now - _SPEED_SECONDS:
            self._samples.popleft()
        (start, first), seconds = self._samples[0], now - self._samples[0][0]
        speed = max(0.0, (done - first) / seconds) if start < now else 0.0
        self._status = replace(self._status, done=done, speed=speed)
        if more > 0 and self._status.state == "waiting":
            self._change(state="running", error=None)
        if now - self._saved >= _SAVE_SECONDS:
            self._saved = now
            self._downloads._save(self._status)
            self._on_progress(self._status)

    def lose_connection(self, reason: str) -> None:
        """Show that it waits for the connection."""
        self._change(state="waiting", error=reason, speed=0.0)

    def _change(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        self._downloads._save(self._status)
        self._on_progress(self._status)

    def noted(self, path: str) -> tuple[str, int]:
        """The validator of a part, and how many of its bytes are safely on the disk."""
        return self._status.etags.get(path, ""), self._status.synced.get(path, 0)

    def note(self, path: str, etag: str, synced: int) -> None:
        """Keep them in the journal; also refuse a file without an end to fill the disk.

        Raises:
            OutputError: The disk is nearly full.
        """
        if self._downloads._room(self._downloads._area) < _SPARE // 4:
            raise full_disk(self._status.plan)
        if self.noted(path) != (etag, synced):
            etags, sizes = {**self._status.etags, path: etag}, {**self._status.synced, path: synced}
            self._status = replace(self._status, etags=etags, synced=sizes)
            self._downloads._save(self._status)

    def check(self) -> None:
        """Raise `Stopped` if the download should not continue now."""
        id_ = self._status.id
        if self._stop.is_set():
            raise Stopped("the process ends")
        if any(self._downloads._sign(id_, sign).exists() for sign in ("cancel", "pause")):
            raise Stopped("the download was stopped")

    def wait(self, seconds: float) -> None:
        """Wait between two attempts."""
        end = monotonic() + seconds
        while True:
            self.check()
            left = end - monotonic()
            if left <= 0:
                return
            self._stop.wait(min(left, 0.2))


def _is_same(first: DownloadPlan, other: DownloadPlan) -> bool:
    """Whether two plans bring the same files, wherever they are now."""
    files = [set(map(_identity, plan.files)) for plan in (first, other)]
    return first.source == other.source and files[0] == files[1]


def _identity(file: PlannedFile) -> tuple[str, str | None, str | None]:
    return file.path, file.sha256, file.git_sha1


def _id_of(name: str) -> str:
    """Id of the download of a model of this name."""
    return blake3(name.casefold().encode()).hexdigest()[:16]
