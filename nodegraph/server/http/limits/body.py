"""How much may come in one request: bytes, and of JSON, levels and values."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive

from nodegraph.server.access.head import LOGIN, Head
from nodegraph.server.http.errors import Refused, TooLarge
from nodegraph.server.http.limits.json_gauge import JsonGauge
from nodegraph.server.http.multipart import is_form
from nodegraph.server.settings import BodyLimits

UPLOADS = "/api/v1/uploads"
APPS = "/api/v1/apps"
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_LOGIN_BYTES = 4 << 10
"""Whoever logs in is nobody known as yet."""
_IN_FILES = "Pictures, masks and long lists belong in files: upload them, and name these."
_FORGIVEN = 32 << 20
_FORGIVEN_SECONDS = 5.0


class BadLength(Refused):
    """A length that is none."""

    code = "bad-length"


class CountedBody:
    """A request's body on its way in, counted.

    Args:
        receive: What gives it.
        limits: What it may be.

    Attributes:
        refusal: Why no more of it is handed on; None as long as all is well.
        is_complete: Whether all of it has come.
    """

    def __init__(self, head: Head, receive: Receive, limits: BodyLimits) -> None:
        self.refusal: Refused | None = None
        self.is_complete = False
        self._receive = receive
        self._left = self._most = _limit(head, limits)
        self._hint = _IN_FILES if self._most == limits.body else None
        # Whatever any reader might take for JSON.
        is_json = "json" in (head.header(b"content-type") or "").lower()
        self._gauge = JsonGauge(limits.json_depth, limits.json_values) if is_json else None
        self._check_length(head.header(b"content-length"))

    def _check_length(self, length: str | None) -> None:
        if length is None:
            return
        if not (length.isascii() and length.isdigit()):
            raise BadLength("the request's length is no number", given=length[:20])
        if len(length) > 18 or int(length) > self._most:
            raise self._too_large(f"{length[:20]} bytes")

    def _too_large(self, size: str) -> TooLarge:
        return TooLarge(
            "the request's body is too large",
            given=size,
            expected=f"at most {self._most} bytes",
            hint=self._hint,
        )

    async def receive(self) -> Message:
        """The next message, for the application.

        Raises:
            Refused: The body is more than it may be. It is in `refusal` as well: the application
                may make something else of it.
        """
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        piece = message.get("body", b"")
        self.is_complete = not message.get("more_body", False)
        try:
            self._left -= len(piece)
            if self._left < 0:
                raise self._too_large("more")
            if self._gauge is not None:
                self._gauge.feed(piece)
        except Refused as error:
            self.refusal = error
            raise
        return message


def may_have_body(head: Head) -> bool:
    """Whether a request may bring anything worth counting."""
    return head.method not in _WITHOUT_BODY or head.has(b"content-length")


def _limit(head: Head, limits: BodyLimits) -> int:
    if head.method in _WITHOUT_BODY:
        return 0
    if head.path == LOGIN:
        return min(limits.body, _LOGIN_BYTES)
    if head.path == UPLOADS or head.path.startswith(f"{UPLOADS}/"):
        return limits.upload
    if head.path.startswith(f"{APPS}/") and is_form(head.header(b"content-type") or ""):
        # Its files are written as they come, and its texts counted, see `apps.form`.
        return limits.upload + limits.body
    return limits.body


async def drain(receive: Receive) -> None:
    """Read the rest of a refused body, as far as that is not too much to ask.

    Most clients read no answer before they have sent all, and take a connection that is closed
    before that for a fault of the network.
    """
    try:
        await asyncio.wait_for(_read(receive), _FORGIVEN_SECONDS)
    except asyncio.TimeoutError:
        return


async def _read(receive: Receive) -> None:
    left = _FORGIVEN
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return
