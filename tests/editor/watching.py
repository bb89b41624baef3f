"""What must not happen while somebody works in the editor, whatever a test is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    WebSocket,
)

LOCAL = ("about", "blob", "data")
UNREACHED = (
    "net::ERR_",  # "Failed to load resource", and the socket's own words for it
    "WebSocket connection to",
    "status of 502",
    "status of 503",
)
"""What a browser says of a server that is away."""


class Watch:
    """Collects errors of pages and requests to other hosts.

    A browser reports what the page's policy forbids as an error on the console.

    Attributes:
        faults: What has happened and may not, in words.
    """

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.faults: list[str] = []
        self._host = host
        self._allowed: list[tuple[str, ...]] = []
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("page", self._page)

    @contextmanager
    def allowing(self, *words: str) -> Iterator[None]:
        """Let the console speak of something that a test brings about."""
        self._allowed.append(words)
        try:
            yield
        finally:
            self._allowed.remove(words)

    def check(self) -> None:
        """Fail if anything has happened."""
        faults, self.faults = self.faults, []
        assert not faults, "in the browser: " + "\n".join(faults)

    def _add(self, fault: str) -> None:
        if not any(word in fault for words in self._allowed for word in words):
            self.faults.append(fault)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "assert"):
            place = message.location
            self._add(f"console: {message.text} ({place['url']}:{place['lineNumber']})")

    def _error(self, error: WebError) -> None:
        self._add(f"exception: {error.error.stack or error.error.message}")

    def _request(self, request: Request) -> None:
        self._goes_to(request.url)

    def _page(self, page: Page) -> None:
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        self._goes_to(socket.url)

    def _goes_to(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in LOCAL and parts.netloc != self._host:
            self._add(f"asked another host: {url}")
