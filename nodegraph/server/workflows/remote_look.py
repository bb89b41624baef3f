"""Looking at models of a remote place, so that lists can tell what they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.weights.attached_models import ListedModel, RemoteStore

OffLoop = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls what waits for the place without keeping the event loop from others."""

_LOG = logging.getLogger(__name__)
_REMOTE_SECONDS = 5.0
_AT_ONCE = 4
"""Models between two times that somebody is told."""


class RemoteModelWatch:
    """Asks a place which models there are, and has outlines laid of a few at a time. Used on one
    event loop.

    Args:
        place: Its own answers are kept for seconds, so being asked costs it little.
        on_change: Is called when lists would tell something else.
        is_wanted: Whether there is anybody to tell.
    """

    def __init__(
        self,
        model_store: RemoteStore,
        off_loop: OffLoop,
        on_change: Callable[[], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        self._place = model_store
        self._off_loop = off_loop
        self._tell = on_change
        self._is_wanted = is_wanted
        self._is_asked = True
        self._fault: str | None = None

    def request_update(self) -> None:
        """Somebody has listed models: look, whether or not anybody follows what happens."""
        self._is_asked = True

    async def run(self) -> None:
        """Look as long as there is something new, and now and then, until it is cancelled."""
        while True:
            if self._is_asked or self._is_wanted():
                self._is_asked = False
                while await self._off_loop(self._poll):
                    self._tell()
            await asyncio.sleep(_REMOTE_SECONDS)

    def _poll(self) -> bool:
        """Look at some; whether lists tell something else now."""
        before = self._listed_models()
        try:
            self._place.refresh(_AT_ONCE)
            self._fault = None
        except NodegraphError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                _LOG.warning("%s", error)
        return self._listed_models() != before

    def _listed_models(self) -> list[ListedModel]:
        return list(self._place.list_models())
