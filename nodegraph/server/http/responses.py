"""HTTP responses: JSON, files, byte ranges and ETags."""

from __future__ import annotations

import binascii
import gzip
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, TypeAlias

import brotli
from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from nodegraph.errors import InvalidValue
from nodegraph.server.access.caller import HEAD_ONLY
from nodegraph.server.http.errors import PreconditionFailed, Refused

_TAGS = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(,|$)|\s*(,|$)')


def etag(digest: str) -> str:
    """The strong tag of what a digest names."""
    return f'"{digest}"'


def is_not_modified(header: str | None, digest: str) -> bool:
    """Whether an ``If-None-Match`` says that the client has this already."""
    if header is None:
        return False
    return header.strip() == "*" or any(tag == digest for _, tag in _read(header))


def check_match(header: str | None, digest: str | None) -> None:
    """Refuse a change of something else than the client knows, by its ``If-Match``.

    Args:
        digest: Of what is there; None if nothing is.
    Raises:
        PreconditionFailed: It is something else.
    """
    if header is None:
        return
    if header.strip() == "*":
        is_met = digest is not None
    else:
        is_met = any(tag == digest and not is_weak for is_weak, tag in _read(header))
    if not is_met:
        raise PreconditionFailed(
            "this has changed since you read it" if digest else "this no longer exists",
            given=header[:200],
            expected=None if digest is None else etag(digest),
            hint="Read it again, and change the current version.",
        )


def check_none_match(header: str | None, digest: str | None) -> None:
    """Refuse a change where ``If-None-Match`` says that nothing, or something else, is there.

    Raises:
        PreconditionFailed: It is there.
    """
    if digest is not None and is_not_modified(header, digest):
        raise PreconditionFailed(
            "something of this name already exists",
            given=(header or "")[:200],
            hint="Choose another name, or send `If-Match` to change the existing one.",
        )


def _read(header: str) -> list[tuple[bool, str]]:
    """The tags of a list, each with whether it is weak; none if it is no list of tags."""
    tags, at = [], 0
    while at < len(header):
        match = _TAGS.match(header, at)
        if match is None:
            return []
        if match[2] is not None:
            tags.append((match[1] is not None, match[2]))
        at = match.end()
    return tags


_BYTE_RANGE = re.compile(r"(\d+)-(\d*)|-(\d+)", re.ASCII)
_ENDLESS = 1 << 62
_STEP = 1 << 20
"""Bytes read and sent at a time."""
FOREVER = "private, max-age=31536000, immutable"
"""Of what is named by its digest, for who may see it."""


class AsciiJsonResponse(JSONResponse):
    """A JSON answer in plain ASCII.

    Half a character, which JSON can hold and a workflow's title may have, has no UTF-8.
    """

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode()


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer in plain ASCII, see `AsciiJsonResponse`."""
    return AsciiJsonResponse(value, status, headers)


Coding: TypeAlias = Literal["br", "gzip"]
CODINGS: tuple[Coding, ...] = ("br", "gzip")
"""Content codings that bodies are sent in, the better one first (RFC 9110, 8.4.1; RFC 7932)."""


def content_coding(header: str | None) -> Coding | None:
    """Return the best coding that an ``Accept-Encoding`` names; None for none."""
    taken = set()
    for part in (header or "").lower().split(","):
        name, _, weight = part.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            taken.add(name.strip())
    return next((coding for coding in CODINGS if coding in taken), None)


def encoded(body: bytes, coding: Coding, level: int = 6) -> bytes:
    """Return a body in a coding. The same body gives the same bytes on every server.

    Args:
        level: 1 (fast) to 9. Brotli's higher levels take seconds for a few per cent.
    """
    if coding == "gzip":
        return gzip.compress(body, level, mtime=0)
    return bytes(brotli.compress(body, quality=level))


def coded_tag(digest: str, coding: Coding | None) -> str:
    """Return the name of the content in a coding, for its ETag."""
    return digest if coding is None else f"{digest}-{coding}"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `start`, `stop` not included."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class NoSuchRange(Refused):
    """No byte of the file is in the range."""

    code = "range-not-satisfiable"
    status = 416

    def __init__(self, requested: str, size: int) -> None:
        super().__init__(
            "the file ends before this range begins",
            given=requested[:100],
            expected=f"0-{size - 1}",
        )
        self.size = size

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Content-Range": f"bytes */{self.size}"}


def read_range(header: str | None, size: int) -> ByteRange | None:
    """The part that a ``Range`` header asks for; None for the whole file.

    What can't be read, other units and several ranges at once stand for the whole, as the standard
    allows.

    Args:
        size: Bytes of the file.
    Raises:
        NoSuchRange: It lies behind the file's end.
    """
    unit, equals, ranges = (header or "").partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    match = _BYTE_RANGE.fullmatch(ranges.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        part = ByteRange(max(size - _number(suffix), 0), size)
    else:
        start, end = _number(first), _number(last) if last else _ENDLESS
        if end < start:
            return None
        part = ByteRange(start, min(end + 1, size))
    if part.start >= part.stop:
        raise NoSuchRange(ranges, size)
    return part


def _number(digits: str) -> int:
    """A number; one that no file reaches where Python won't read so many digits."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else _ENDLESS


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open to be sent.

    Attributes:
        size: Bytes.
        digest: Of them.
    """

    file: BinaryIO
    size: int
    digest: str


def file_response(
    request: Request, opened: OpenFile, headers: Mapping[str, str], *, cached: str = FOREVER
) -> Response:
    """The answer to a request for a file; it closes the file.

    Args:
        headers: Of the content: its type, how to show it.
        cached: How long the client may keep it.
    Raises:
        NoSuchRange: The client asks for what lies behind the file's end.
    """
    tag = etag(opened.digest)
    response_headers = {"ETag": tag, "Cache-Control": cached, "Accept-Ranges": "bytes", **headers}
    try:
        is_read = request.method == "GET"
        if is_read and is_not_modified(request.headers.get("if-none-match"), opened.digest):
            opened.file.close()
            return Response(status_code=304, headers={"ETag": tag, "Cache-Control": cached})
        is_head = request.scope.get(HEAD_ONLY, False)
        is_whole = is_head or not is_read or request.headers.get("if-range") not in (None, tag)
        wanted = None if is_whole else read_range(request.headers.get("range"), opened.size)
    except BaseException:
        opened.file.close()
        raise
    if wanted is None:
        return FilePart(opened.file, ByteRange(0, opened.size), 200, response_headers)
    content_range = f"bytes {wanted.start}-{wanted.stop - 1}/{opened.size}"
    return FilePart(opened.file, wanted, 206, {**response_headers, "Content-Range": content_range})


class FilePart(Response):
    """Bytes of an open file, which is closed in the end."""

    def __init__(
        self, file: BinaryIO, part: ByteRange, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(None, status, {**headers, "Content-Length": str(part.size)})
        self._file = file
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, no faster than the client takes it."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        try:
            await send(start)
            remaining = 0 if scope.get(HEAD_ONLY) else self._part.size
            if remaining:
                await run_sync(self._file.seek, self._part.start)
            while remaining:
                chunk = await run_sync(self._file.read, min(remaining, _STEP))
                if not chunk:
                    # The client must not take half a file for a whole one.
                    raise OSError("a file was cut short while it was sent")
                remaining -= len(chunk)
                await send(
                    {"type": "http.response.body", "body": chunk, "more_body": remaining > 0}
                )
            if not self._part.size or scope.get(HEAD_ONLY):
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._file.close()


def write_cursor(number: int) -> str:
    """What stands for a place in a list."""
    return urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> int | None:
    """The place in a list that a cursor stands for; None for the beginning.

    Raises:
        InvalidValue: It stands for none.
    """
    if cursor is None:
        return None
    try:
        number = int(urlsafe_b64decode((cursor + "=" * (-len(cursor) % 4)).encode()))
        is_ours = 0 < number < 1 << 62
    except (ValueError, binascii.Error):
        is_ours = False
    if not is_ours:
        raise InvalidValue(
            "this cursor belongs to another list",
            given=ascii(cursor[:80]),
            hint="Use `next` of the previous page, or omit the cursor.",
        )
    return number


def check_limit(limit: int, largest: int) -> None:
    """Refuse a page of no, or too many, items.

    Raises:
        InvalidValue: It is one.
    """
    if not 1 <= limit <= largest:
        raise InvalidValue(
            "a page cannot have that many items", given=str(limit), expected=f"1 to {largest}"
        )
