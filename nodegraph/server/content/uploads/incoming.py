"""A file on its way in: written under a temporary name and hashed as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import TypeVar

from anyio.to_thread import run_sync
from blake3 import blake3

from nodegraph.server.content.files.confined import Confined, NewFile
from nodegraph.server.http.errors import TooLarge

T = TypeVar("T")
_STEP = 1 << 20
"""Bytes that are gathered before a thread writes and hashes them."""


class Incoming:
    """A file that is being received; gone at the end, unless it was kept.

    Args:
        folder: Where it is written.
        limit: Bytes.
    Raises:
        OutputError: It can't be written.
    """

    def __init__(self, folder: Confined, limit: int) -> None:
        self._limit = limit
        self._hasher = blake3()
        with ExitStack() as opened:
            self.file: NewFile = opened.enter_context(folder.new())
            self._opened = opened.pop_all()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            TooLarge: They are too many.
            OSError: They can't be written.
        """
        if self.file.size + len(data) > self._limit:
            raise TooLarge("the file is too large", expected=f"at most {self._limit} bytes")
        self.file.write(data)
        self._hasher.update(data)

    @property
    def digest(self) -> str:
        """blake3 of what was written."""
        return self._hasher.hexdigest()

    def close(self, error: BaseException | None = None) -> None:
        """Let go of the file.

        Raises:
            OutputError: It could not be written, as `error` says.
        """
        kind = None if error is None else type(error)
        self._opened.__exit__(kind, error, None if error is None else error.__traceback__)


async def receive(
    folder: Confined,
    chunks: AsyncIterator[bytes],
    limit: int,
    finish: Callable[[Incoming], T],
) -> T:
    """Receive a file without keeping the event loop from others.

    Args:
        chunks: Its bytes; if that raises, as where the client is gone, nothing stays.
        limit: Bytes.
        finish: Is called in a thread when all have come.
    Raises:
        TooLarge: They are too many.
        OutputError: They can't be written.
    """
    incoming = await run_sync(Incoming, folder, limit)
    try:
        waiting = bytearray()
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= _STEP:
                await run_sync(incoming.write, bytes(waiting))
                waiting.clear()
        await run_sync(incoming.write, bytes(waiting))
        result = await run_sync(finish, incoming)
    except BaseException as error:
        # Not in a thread: nothing can be waited for where the request was cancelled.
        incoming.close(error)
        raise
    incoming.close()
    return result
