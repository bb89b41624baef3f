"""Browsers that have never seen a server, made from few: a page's files are fetched only once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from playwright.sync_api import Browser, BrowserContext

from tests.editor.serving import Server
from tests.editor.watching import Watch

_OPTIONS: dict[str, Any] = {
    "viewport": {"width": 1440, "height": 900},
    "reduced_motion": "reduce",
}
_KEPT = "cookies,file_systems,indexeddb,local_storage,service_workers,cache_storage"
"""What pages leave in a browser, besides their own files and what is in memory."""


@dataclass
class Visit:
    """What stands for a browser of its own, for as long as a test takes.

    Attributes:
        context: Has neither pages nor anything that they left.
        watch: What may not happen in it.
        is_plain: Whether later tests may have it, too.
    """

    context: BrowserContext
    watch: Watch
    is_plain: bool
    is_free: bool = False

    def end(self) -> None:
        if not self.is_plain:
            self.context.close()
            return
        for page in self.context.pages:
            page.close()
        self.context.clear_permissions()
        self.is_free = True


class Visits:
    """Makes visits to servers.

    To open the page in a context that has its files takes two thirds of the work. So one that is
    over is used again, emptied, by whoever visits the same server and asks for nothing special.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._plain: dict[str, Visit] = {}

    def begin(self, server: Server, options: dict[str, Any]) -> Visit:
        """A visit to a server, in a context with these options."""
        known = self._plain.get(server.url)
        if options or (known is not None and not known.is_free):
            return self._new(server, options)
        if known is None:
            known = self._plain[server.url] = self._new(server, {})
            known.is_plain = True
            known.context.on("close", partial(self._closed, server.url))
        else:
            _forget(known.context, server.url)
        known.is_free = False
        return known

    def _closed(self, url: str, _: BrowserContext) -> None:
        self._plain.pop(url).is_plain = False

    def _new(self, server: Server, options: dict[str, Any]) -> Visit:
        context = self._browser.new_context(**{**_OPTIONS, "base_url": server.url, **options})
        # A page that is open while its server ends would complain.
        server.before_end(context.close)
        return Visit(context, Watch(context, server.host), is_plain=False)


def _forget(context: BrowserContext, origin: str) -> None:
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": _KEPT})
    page.close()
