"""An open file as an answer: whole, in part, or not at all where the client has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nodegraph.server.access.notes import HEAD_ONLY
from nodegraph.server.http.etags import etag, is_known
from nodegraph.server.http.ranges import Part, read_range

_STEP = 1 << 20
"""Bytes read and sent at a time."""
FOREVER = "private, max-age=31536000, immutable"
"""Of what is named by its digest, for who may see it."""


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
    said = {"ETag": tag, "Cache-Control": cached, "Accept-Ranges": "bytes", **headers}
    try:
        is_read = request.method == "GET"
        if is_read and is_known(request.headers.get("if-none-match"), opened.digest):
            opened.file.close()
            return Response(status_code=304, headers={"ETag": tag, "Cache-Control": cached})
        is_head = request.scope.get(HEAD_ONLY, False)
        is_whole = is_head or not is_read or request.headers.get("if-range") not in (None, tag)
        wanted = None if is_whole else read_range(request.headers.get("range"), opened.size)
    except BaseException:
        opened.file.close()
        raise
    if wanted is None:
        return FilePart(opened.file, Part(0, opened.size), 200, said)
    place = f"bytes {wanted.start}-{wanted.stop - 1}/{opened.size}"
    return FilePart(opened.file, wanted, 206, {**said, "Content-Range": place})


class FilePart(Response):
    """Bytes of an open file, which is closed in the end."""

    def __init__(self, file: BinaryIO, part: Part, status: int, headers: Mapping[str, str]) -> None:
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
            rest = 0 if scope.get(HEAD_ONLY) else self._part.size
            if rest:
                await run_sync(self._file.seek, self._part.start)
            while rest:
                chunk = await run_sync(self._file.read, min(rest, _STEP))
                if not chunk:
                    # The client must not take half a file for a whole one.
                    raise OSError("a file was cut short while it was sent")
                rest -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": rest > 0})
            if not self._part.size or scope.get(HEAD_ONLY):
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._file.close()
