"""Browsers that have never seen a server, made from few: a page's files are fetched only once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

from tests.editor.serving import Server
from tests.editor.watching import Watch

BLANK = "/favicon.svg"
"""Shows nothing, and is of the server: its tab keeps the process that knows the page's code."""

_OPTIONS: dict[str, Any] = {
    "viewport": {"width": 1440, "height": 900},
    "reduced_motion": "reduce",
    # Kept files would hide what a page asks for; tests of the worker allow it.
    "service_workers": "block",
}
_KEPT = "cookies,file_systems,indexeddb,local_storage,service_workers,cache_storage"
"""What pages leave in a browser, besides their own files and what is in memory."""


@dataclass
class Visit:
    """What stands for a browser of its own, for as long as a test takes.

    Attributes:
        context: Has nothing that pages left.
        watch: What may not happen in it.
        is_plain: Whether later tests may have it, too.
        is_open: Whether its tab shows the editor, and may be used again.
    """

    context: BrowserContext
    watch: Watch
    is_plain: bool
    is_free: bool = False
    is_open: bool = False
    _tab: Page | None = field(default=None, init=False)
    _session: CDPSession | None = field(default=None, init=False)

    def tab(self) -> Page:
        """The tab that tests have one after the other; unless it is open, it shows nothing.

        To load the page in it takes half the work that it takes in a new one. Whoever changes the
        tab itself, such as its size or its clock, makes another one.
        """
        return self._own()[0]

    def forget(self) -> None:
        """Show nothing, and forget what pages left."""
        self.is_open = False
        tab, session = self._own()
        if not tab.url.endswith(BLANK):
            tab.mouse.move(0, 0)
            tab.goto(BLANK)
        origin = tab.url.removesuffix(BLANK)
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": _KEPT})
        tab.evaluate("sessionStorage.clear()")

    def end(self) -> None:
        if not self.is_plain:
            self.context.close()
            return
        for page in self.context.pages:
            if page is not self._tab:
                page.close()
        if self._tab is not None and not self.is_open:
            self.forget()
        self.context.clear_permissions()
        self.is_free = True

    def _own(self) -> tuple[Page, CDPSession]:
        if self._tab is None or self._session is None:
            self._tab = self.context.new_page()
            self._tab.goto(BLANK)
            self._session = self.context.new_cdp_session(self._tab)
        return self._tab, self._session


class Visits:
    """Makes visits to servers.

    To open the page in a context that has its files takes two thirds of the work. So one that is
    over is used again, emptied, by whoever visits the same server with the same options.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._plain: dict[str, Visit] = {}

    def begin(self, server: Server, options: dict[str, Any]) -> Visit:
        """A visit to a server, in a context with these options, that others may have had."""
        key = server.url + json.dumps(options, sort_keys=True)
        known = self._plain.get(key)
        if known is not None and not known.is_free:
            return self.begin_new(server, options)
        if known is None:
            known = self._plain[key] = self.begin_new(server, options)
            known.is_plain = True
            known.context.on("close", partial(self._closed, key))
        elif not known.is_open:
            known.forget()
        known.is_free = False
        return known

    def forget_all(self) -> None:
        """Show nothing in any tab that tests may have again."""
        for visit in self._plain.values():
            if visit.is_open:
                visit.forget()

    def _closed(self, key: str, _: BrowserContext) -> None:
        self._plain.pop(key).is_plain = False

    def begin_new(self, server: Server, options: dict[str, Any]) -> Visit:
        """A visit to a server, in a context that nobody else has."""
        context = self._browser.new_context(**{**_OPTIONS, "base_url": server.url, **options})
        # A page that is open while its server ends would complain.
        server.before_end(context.close)
        return Visit(context, Watch(context, server.host), is_plain=False)
