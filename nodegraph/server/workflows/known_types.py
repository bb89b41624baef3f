"""The node types as the server knows them now, looked up anew when packs may have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.jobs.supervisor.errors import NoAnswerYet
from nodegraph.packs.pack import pack_at
from nodegraph.server.http.errors import Unavailable
from nodegraph.server.workflows.catalog import DeclaredTypes, load_declared_types
from nodegraph.session.node_types import PackFolders, all_packs, specs_folder
from nodegraph.session.settings import Settings

TypesListener = Callable[[DeclaredTypes], None]
AskPlanner = Callable[[], Awaitable[Any]]
"""Has a process that may import packs read those that have changed."""

_LOG = logging.getLogger(__name__)
_BUILT_IN = ""
"""Name of the built-in pack."""
_SECONDS = 3.0
"""Between looks at the packs' files while somebody may want to know."""
_PATIENCE = 60.0
"""Seconds that a request waits for packs to be read for the first time."""
_PATIENCE_AGAIN = 10.0
"""Seconds that requests wait for packs that changed: one may hang where it is imported."""


class NodeTypeCache:
    """The node types of one installation. Used on one event loop.

    Args:
        settings: Where packs lie.
        packs: Paths of more of them.
        ask: None if there is nobody to ask.

    Attributes:
        now: Those that are known.
    """

    def __init__(self, settings: Settings, packs: Sequence[Path], ask: AskPlanner | None) -> None:
        self.now = DeclaredTypes()
        self._settings = settings
        self._packs = packs
        self._ask = ask
        self._listeners: list[TypesListener] = []
        self._one_at_a_time = asyncio.Lock()
        self._is_read = asyncio.Event()
        self._reading: asyncio.Task[bool] | None = None
        self._waited_until = 0.0
        self._is_due = False
        self._was_ready = False

    @property
    def is_ready(self) -> bool:
        """Whether what is asked for is answered at once: packs were read since the start.

        Those that change later are waited for by whoever asks, and change nothing of it.
        """
        if not self._was_ready:
            is_read = self._is_read.is_set() and not self._is_due
            self._was_ready = is_read and _BUILT_IN not in self.now.unread
        return self._was_ready

    def listen(self, listener: TypesListener) -> Callable[[], None]:
        """Have a function called, on the event loop, when they have changed.

        Returns:
            What ends it.
        """
        self._listeners = [*self._listeners, listener]

        def end() -> None:
            self._listeners = [each for each in self._listeners if each is not listener]

        return end

    async def current(self) -> DeclaredTypes:
        """Those that are known, once packs that have changed have been read.

        Raises:
            Unavailable: That takes too long.
        """
        if not self._is_read.is_set():
            try:
                await asyncio.wait_for(self._is_read.wait(), _PATIENCE)
            except asyncio.TimeoutError:
                raise Unavailable("the node packs are still being read") from None
        elif self._ask is not None and (self._is_due or not self.now.is_unchanged()):
            await self._read_anew()
        return self.now

    async def watch(self, is_wanted: Callable[[], bool]) -> None:
        """Look now and then whether packs have changed, until it is cancelled.

        Args:
            is_wanted: Whether there is anybody to tell.
        """
        while True:
            await asyncio.sleep(_SECONDS)
            if self._is_read.is_set() and is_wanted():
                await self.current()

    async def _read_anew(self) -> None:
        """Have packs read, and wait for it for a while; all who ask meanwhile wait for the same."""
        clock = asyncio.get_running_loop().time
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self.try_refresh())
            self._waited_until = clock() + _PATIENCE_AGAIN
        await asyncio.wait({self._reading}, timeout=max(0.0, self._waited_until - clock()))

    async def try_refresh(self) -> bool:
        """Have packs that changed read anew; False if they aren't, and the log says why."""
        self._is_due = False
        try:
            await self.refresh()
        except NoAnswerYet as error:
            # By then they may have been read all the same, or be asked for once more.
            self._is_due = True
            _LOG.warning("the node packs are still being read: %s", error)
        except NodegraphError as error:
            _LOG.error("the node packs couldn't be read: %s", error)
        else:
            return True
        return False

    async def load(self) -> None:
        """Take over what was last read of all packs."""
        latest = await asyncio.to_thread(self._last)
        if latest.is_current or self._ask is None:
            self._is_read.set()
        former, self.now = self.now, latest
        if latest.digest != former.digest:
            self._notify(latest)

    async def refresh(self) -> DeclaredTypes:
        """Have packs that changed read anew.

        Raises:
            NodegraphError: They can't be read now; those that are known stay.
        """
        async with self._one_at_a_time:
            try:
                if self._ask is not None:
                    await self._ask()
            finally:
                # If nobody could read them, what is known of them has to do.
                await self.load()
                self._is_read.set()
        return self.now

    def _notify(self, types: DeclaredTypes) -> None:
        for listener in self._listeners:
            try:
                listener(types)
            except Exception:  # noqa: BLE001 - the others are told all the same
                _LOG.exception("a listener to changed node types failed")

    def _last(self) -> DeclaredTypes:
        folders = PackFolders(self._settings)  # before they are looked into
        try:
            more = [pack_at(path) for path in self._packs]
            packs = all_packs(self._settings, more)
        except NodegraphError as error:
            return DeclaredTypes(problems=(str(error),), is_unchanged=folders.is_unchanged)
        return load_declared_types(packs, specs_folder(self._settings), folders.is_unchanged)
