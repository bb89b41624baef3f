"""Downloads of models to the server: in threads, a few at a time, continued after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

from nodegraph.errors import NodegraphError
from nodegraph.models.remote.download_plans import (
    ACTIVE,
    FOLDER,
    DownloadPlan,
    DownloadStatus,
    Wanted,
)
from nodegraph.session.settings import Settings

if TYPE_CHECKING:
    from nodegraph.models.remote.downloads import Downloads
    from nodegraph.models.remote.hubs import ModelHubs

_LOG = logging.getLogger(__name__)
_AT_ONCE = 2
"""Downloads that bring bytes at the same time; more would only share the line."""
_THREADS = 32
"""Downloads that run or wait for a source that does not answer."""
_TURN_SECONDS = 0.2

Notify = Callable[[DownloadStatus], None]


class ModelDownloads:
    """The downloads into the models folder under home.

    Args:
        settings: Say which hosts may be reached.
        notify: Receives the state of a download that has changed, on the event loop.
    """

    def __init__(self, settings: Settings, notify: Notify) -> None:
        self._settings = settings
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="download")
        self._turns = Semaphore(_AT_ONCE)
        self._stop = Event()

    # The HTTP library is imported with the first download: most servers start without any.

    @cached_property
    def hubs(self) -> ModelHubs:
        """The sources. The setting `download_hosts` must be right."""
        from nodegraph.models.remote.guarded_http import HostRules
        from nodegraph.models.remote.hubs import ModelHubs

        return ModelHubs(HostRules.parse(self._settings.download_hosts))

    @cached_property
    def _downloads(self) -> Downloads:
        from nodegraph.models.remote.downloads import Downloads

        return Downloads(self._settings.own_models, self.hubs)

    def resolve(self, source: str, wanted: Wanted, sha256: str | None = None) -> DownloadPlan:
        """What a download would bring. Contacts the source.

        Args:
            sha256: Digest that its one file must have; None for any.
        Raises:
            NodegraphError: The source or the choice is wrong, or the source cannot be reached.
        """
        from nodegraph.models.remote.declared_models import with_digest

        plan = self.hubs.resolve(source, wanted)
        return with_digest(plan, sha256 or "", plan.name)

    def start(self, source: str, wanted: Wanted, sha256: str | None = None) -> DownloadStatus:
        """Start a download, or continue the one of the same model.

        Raises:
            NodegraphError: See `resolve`; or the disk has no room, or there is such a model.
        """
        status = self._downloads.add(self.resolve(source, wanted, sha256))
        self._begin(status)
        return status

    def read_all(self) -> list[DownloadStatus]:
        """All downloads, the newest first, also those of the command line."""
        return self._downloads.read_all() if self._has_any else []

    @property
    def _has_any(self) -> bool:
        return (self._settings.own_models / FOLDER).is_dir()

    def pause(self, id_: str) -> DownloadStatus:
        """Pause a download.

        Raises:
            InvalidValue: There is none of this id.
        """
        return self._changed(self._downloads.pause(id_))

    def resume(self, id_: str) -> DownloadStatus:
        """Continue a paused or failed download.

        Raises:
            InvalidValue: There is none of this id.
            OutputError: The disk has no room.
        """
        status = self._downloads.resume(id_)
        self._begin(status)
        return self._changed(status)

    def cancel(self, id_: str) -> None:
        """Stop a download, and remove its parts.

        Raises:
            InvalidValue: There is none of this id.
        """
        self._downloads.cancel(id_)

    def resume_pending(self) -> None:
        """Continue what an earlier server did not finish."""
        for status in self._downloads.pending() if self._has_any else ():
            self._begin(status)

    def close(self) -> None:
        """Stop all downloads; the next server continues them."""
        self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _begin(self, status: DownloadStatus) -> None:
        if status.state in ACTIVE and not self._stop.is_set():
            self._threads.submit(self._run, status.id)

    def _run(self, id_: str) -> None:
        from nodegraph.models.remote.downloads import AlreadyRunning, Stopped

        turn = _Turn(self._turns, self._stop)

        def follow(status: DownloadStatus) -> None:
            if status.state == "waiting":
                turn.end()  # others need not wait for a source that does not answer
            else:
                turn.begin()
            self._report(status)

        try:
            turn.begin()
            if not self._stop.is_set():
                self._downloads.run(id_, follow, self._stop)
        except AlreadyRunning:
            return  # of an earlier request, or of the command line
        except Stopped:
            pass
        except NodegraphError as error:
            _LOG.warning("a download has failed: %s", error)
        except Exception:  # noqa: BLE001 - nobody waits for the thread's result
            _LOG.exception("a download has failed")
        finally:
            turn.end()
        for status in self._downloads.read_all():
            if status.id == id_:
                self._report(status)

    def _changed(self, status: DownloadStatus) -> DownloadStatus:
        self._report(status)
        return status

    def _report(self, status: DownloadStatus) -> None:
        if not self._stop.is_set():
            self._loop.call_soon_threadsafe(self._notify, status)


class _Turn:
    """The right of a download to bring bytes, of which there are few. For one thread."""

    def __init__(self, turns: Semaphore, stop: Event) -> None:
        self._turns = turns
        self._stop = stop
        self._has = False

    def begin(self) -> None:
        """Wait for it, unless the download has it already or the server stops."""
        while not (self._has or self._stop.is_set()):
            self._has = self._turns.acquire(timeout=_TURN_SECONDS)

    def end(self) -> None:
        """Leave it to another download."""
        if self._has:
            self._turns.release()
        self._has = False


def download_progress(status: DownloadStatus) -> dict[str, Any]:
    """The fields of a notice about a download, which all clients may see."""
    return {
        "id": status.id,
        "name": status.plan.name,
        "state": status.state,
        "bytes": status.plan.bytes,
        "done": status.done,
        "speed": status.speed,
        "seconds_left": status.seconds_left,
    }
