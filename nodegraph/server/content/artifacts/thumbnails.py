"""Small pictures of files, made once and kept in a folder of bounded size; and their texts."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock

from nodegraph.core.digests import Digest
from nodegraph.errors import InvalidFile, OutputError, Problem
from nodegraph.server.content.files.confined import Confined
from nodegraph.server.content.files.decoder import FileDecoder
from nodegraph.server.http.errors import NotFound, TooLarge
from nodegraph.server.http.sending import OpenFile

SMALLEST, LARGEST = 64, 512
"""Pixels of a side."""
MEDIA_TYPE = "image/webp"
_STEP = 64
"""Sides are multiples of it, so that nobody fills the folder with sizes that hardly differ."""
_LARGEST_FILE = 4 << 20
_AT_A_TIME = 2
"""Files that are opened, each in a process, as each may take hundreds of MB for a while."""
_MOST_WITHOUT = 1_000
"""Files that are known to show nothing, till the server starts anew."""
_LOG = logging.getLogger(__name__)


class Thumbnails:
    """Thumbnails by the digest of the file.

    Args:
        folder: Where they lie; made if it isn't there. All in it may be deleted at any time.
        held: Bytes that they may take; those that nobody asked for the longest go first.
        pixels: Of the largest picture that is opened.
    """

    def __init__(self, folder: Path, *, held: int = 256 << 20, pixels: int = 64_000_000) -> None:
        self._folder = Confined(folder)
        self._most = held
        self._pixels = pixels
        self._pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="nodegraph-thumbnails")
        self._decoders = [FileDecoder() for _ in range(_AT_A_TIME)]
        self._free = list(self._decoders)
        self._making: dict[str, Future[bytes]] = {}
        self._lock = Lock()
        self._held: int | None = None
        self._without: dict[Digest, Problem] = {}

    def close(self) -> None:
        """Let go of threads and processes; what isn't begun isn't made."""
        self._pool.shutdown(cancel_futures=True)
        for decoder in self._decoders:
            decoder.close()

    async def get(self, digest: Digest, size: int, opened: Callable[[], OpenFile]) -> bytes:
        """A file's thumbnail, as WebP: a picture of it, where it is none itself.

        Args:
            size: Pixels of the square that it fits into, made a multiple of 64.
            opened: Opens the file.
        Raises:
            NotFound: It is nothing that can be shown.
            FileGone: See `Artifacts.open`.
        """
        name = f"{digest}-{-(-size // _STEP) * _STEP}.webp"
        kept = await asyncio.to_thread(self._kept, name)
        if kept is not None:
            return kept
        if digest in self._without:
            raise _nothing(digest, self._without[digest])
        with self._lock:
            making = self._making.get(name)
            if making is None:
                making = self._pool.submit(self._make, digest, name, size, opened)
                self._making[name] = making
                making.add_done_callback(lambda _: self._making.pop(name, None))
        # Others may wait for the same one.
        return await asyncio.shield(asyncio.wrap_future(making))

    async def texts(self, suffix: str, opened: Callable[[], OpenFile]) -> dict[str, str]:
        """The texts that a file carries, by name; see `nodegraph.results.texts`.

        Args:
            suffix: Of its name.
            opened: Opens it.
        Raises:
            InvalidFile, TooLarge: It is damaged, or claims more than there is room for.
            FileGone: See `Artifacts.open`.
        """
        return await asyncio.wrap_future(self._pool.submit(self._texts, suffix, opened))

    def _texts(self, suffix: str, opened: Callable[[], OpenFile]) -> dict[str, str]:
        source = opened()
        decoder = self._free.pop()
        try:
            return decoder.texts(source, suffix)
        finally:
            self._free.append(decoder)
            source.file.close()

    def forget(self, digest: Digest) -> None:
        """Delete a picture's thumbnails."""
        for name in self._folder.names():
            if name.startswith(f"{digest}-"):
                with suppress(OSError):
                    self._folder.remove(name)

    def _kept(self, name: str) -> bytes | None:
        try:
            found = self._folder.read(name, limit=_LARGEST_FILE)
            # When it was last asked for; on some file systems nobody else notes that.
            os.utime(self._folder.root / name)
        except OSError:
            return None
        return found

    def _make(self, digest: Digest, name: str, size: int, opened: Callable[[], OpenFile]) -> bytes:
        side = -(-size // _STEP) * _STEP
        source = opened()
        decoder = self._free.pop()
        try:
            made = decoder.thumbnail(source, side, pixels=self._pixels)
        except (InvalidFile, TooLarge) as error:
            self._remember(digest, error.problem)
            raise _nothing(digest, error.problem) from error
        finally:
            self._free.append(decoder)
            source.file.close()
        self._keep(name, made)
        return made

    def _remember(self, digest: Digest, problem: Problem) -> None:
        """Have a file not be tried again and again: to find out may take a minute each time."""
        with self._lock:
            self._without[digest] = problem
            while len(self._without) > _MOST_WITHOUT:
                del self._without[next(iter(self._without))]

    def _keep(self, name: str, made: bytes) -> None:
        try:
            with self._folder.new() as file:
                file.write(made)
                file.keep(name, synced=False)
        except OutputError as error:
            _LOG.warning("a thumbnail isn't kept: %s", error)
            return
        with self._lock:
            if self._held is None:
                self._held = sum(size for _, size, _ in self._files())
            else:
                self._held += len(made)
            if self._held > self._most:
                self._held = self._shrink()

    def _shrink(self) -> int:
        """Delete the oldest fifth; how many bytes stay."""
        files = sorted(self._files())
        held = sum(size for _, size, _ in files)
        for _, size, name in files:
            if held <= self._most * 4 // 5:
                break
            with suppress(OSError):
                self._folder.remove(name)
                held -= size
        return held

    def _files(self) -> list[tuple[int, int, str]]:
        """Time, size and name of each."""
        found = []
        for name in self._folder.names():
            status = self._folder.status(name)
            if status is not None:
                found.append((status.st_mtime_ns, status.st_size, name))
        return found


def _nothing(digest: Digest, problem: Problem) -> NotFound:
    return NotFound(
        f"there is no thumbnail of this: {problem.message}",
        given=digest,
        expected=problem.expected,
    )
