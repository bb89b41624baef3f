"""Limits on a request's body: its bytes, and the levels and values of JSON.

A parser may need a stack frame per level, and sixty bytes for a value of two characters. So levels
and values are counted first, by the brackets and commas outside strings. Invalid JSON is left to
the parser.
"""

from __future__ import annotations

import asyncio
import re

from starlette.types import Message, Receive

from nodegraph.core.text_format import format_excess
from nodegraph.server.access.head import LOGIN, Head
from nodegraph.server.http.errors import Refused, TooLarge
from nodegraph.server.http.request_bodies import is_form
from nodegraph.server.settings import BodyLimits

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_INSIDE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
_NO_MARKS = bytes(set(range(256)) - set(b"[]{},"))


class JsonGauge:
    """Is fed a JSON text piece by piece.

    Args:
        depth: Levels that there may be.
        values: Values that there may be.
    """

    def __init__(self, depth: int, values: int) -> None:
        self._most_levels = depth
        self._most_values = values
        self._depth = 0
        self._values = 0
        self._in_string = False
        self._is_escaped = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            TooLarge: There are more levels or values than may be.
        """
        if not piece:
            return
        marks = self._outside(piece).translate(None, _NO_MARKS)
        opened = marks.count(b"[") + marks.count(b"{")
        self._values += opened + marks.count(b",")
        if self._values > self._most_values:
            raise TooLarge(
                "the JSON contains too many values", expected=f"at most {self._most_values}"
            )
        if self._depth + opened > self._most_levels:
            self._walk(marks)
        else:
            # Even if all of them open before the first one closes, that is no level too many.
            closed = len(marks) - opened - marks.count(b",")
            self._depth = max(0, self._depth + opened - closed)

    def _walk(self, marks: bytes) -> None:
        depth = self._depth
        for mark in marks:
            if mark in _OPENING:
                depth += 1
                if depth > self._most_levels:
                    raise TooLarge(
                        "the JSON is nested too deeply",
                        expected=f"at most {self._most_levels} levels",
                    )
            elif mark in _CLOSING:
                depth = max(0, depth - 1)
        self._depth = depth

    def _outside(self, piece: bytes) -> bytes:
        """What of a piece is outside of strings."""
        start = 0
        if self._in_string:
            start = self._end_of_string(piece, 1 if self._is_escaped else 0)
            if self._in_string:
                return b""
        bare = _STRING.sub(b"", piece[start:] if start else piece)
        quote = bare.find(b'"')
        if quote < 0:
            return bare
        self._in_string = True
        self._end_of_string(bare, quote + 1)
        return bare[:quote]

    def _end_of_string(self, piece: bytes, start: int) -> int:
        """Where the string ends that goes on at `start`; notes if it doesn't within the piece."""
        match = _INSIDE.match(piece, start)
        end = match.end() if match else start
        self._is_escaped = piece[end : end + 1] == b"\\"
        self._in_string = piece[end : end + 1] != b'"'
        return end + 1


UPLOADS = "/api/v1/uploads"
_PICTURE = "/api/v1/models/picture"
_PICTURE_BYTES = 32 << 20
TAG_LISTS = "/api/v1/tag-lists"
_TAG_LIST_BYTES = 64 << 20
APPS = "/api/v1/apps"
_WITH_IMAGES = ("/sdapi/", "/controlnet/")
"""Beginnings of paths of protocols whose JSON has images in base64."""
_WITH_IMAGES_BYTES = 64 << 20
IMAGE_EDITS = "/v1/images/edits"
COMFYUI_UPLOADS = frozenset({"/comfyui/upload/image", "/comfyui/upload/mask"})
_USER_FILES = "/comfyui/userdata/"
_USER_FILE_BYTES = 32 << 20
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_LOGIN_BYTES = 4 << 10
"""Whoever logs in is nobody known as yet."""
_IN_FILES = "Upload images, masks and long lists as files, and refer to the files."
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
            raise BadLength("the request's length is not a number", given=length[:20])
        if len(length) > 18 or int(length) > self._most:
            raise self._too_large(int(length) if len(length) <= 18 else None)

    def _too_large(self, size: int | None) -> TooLarge:
        amount, most = format_excess(size or 0, self._most)
        return TooLarge(
            "the request's body is too large",
            given="more" if size is None else amount,
            expected=f"at most {most}",
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
                raise self._too_large(None)
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
    if head.path.startswith(_WITH_IMAGES):
        return max(limits.body, min(limits.upload, _WITH_IMAGES_BYTES))
    if head.path == _PICTURE:
        return min(limits.upload, max(limits.body, _PICTURE_BYTES))
    if head.path.startswith(_USER_FILES):
        return max(limits.body, min(limits.upload, _USER_FILE_BYTES))
    if head.path.startswith(f"{TAG_LISTS}/"):
        return max(limits.body, min(limits.upload, _TAG_LIST_BYTES))
    if head.path in COMFYUI_UPLOADS:
        return limits.upload + limits.body
    takes_files = head.path == IMAGE_EDITS or head.path.startswith(f"{APPS}/")
    if takes_files and is_form(head.header(b"content-type") or ""):
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
