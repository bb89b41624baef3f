"""Thumbnails and embedded texts of files, made in turns among clients and cached on disk."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nodegraph.core.digests import Digest
from nodegraph.errors import InvalidFile, OutputError, Problem
from nodegraph.media.images.contact_sheets import SheetFormat
from nodegraph.server.content.files.decoder import SECONDS, FileDecoder, TakesTooLong
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.server.http.errors import NotFound, TooLarge
from nodegraph.server.http.responses import OpenFile

if TYPE_CHECKING:
    from nodegraph.server.content.files.pictures import Channel

T = TypeVar("T")


class FairTask(Generic[T]):
    """Some work that waits for its turn, or has had it.

    Attributes:
        future: What comes of it.
        clients: Who waits for it.
        is_begun: Whether it has had its turn.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self.future: Future[T] = Future()
        self.clients: set[str] = set()
        self.is_begun = False
        self._work = work

    def run(self) -> None:
        """Do it, unless nobody waits for it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - as executors do: whoever waits is told
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class FairThreadPool:
    """Threads that clients have in turns; safe to use from several threads.

    Of the clients with work that waits, the one goes first that had its last turn longest ago. As
    none has all the threads, one is free for whoever comes while another's work takes long.

    Args:
        threads: Threads.
        most: Of these, that one client has at a time.
        name: What the threads' names begin with.
    """

    def __init__(self, threads: int, most: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._most = most
        self._waiting: OrderedDict[str, deque[FairTask[object]]] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._lock = Lock()
        self._is_closed = False

    def submit(self, client: str, work: Callable[[], T]) -> FairTask[T]:
        """Have some work done for a client."""
        turn = FairTask(work)
        self.join(client, turn)
        return turn

    def join(self, client: str, turn: FairTask[T]) -> None:
        """Have a client wait, too, for what may wait for another's turn: the sooner one counts."""
        with self._lock:
            if self._is_closed:
                turn.future.cancel()
            elif not turn.is_begun and client not in turn.clients:
                turn.clients.add(client)
                self._waiting.setdefault(client, deque()).append(turn)  # type: ignore[arg-type]
                self._begin()

    def close(self) -> None:
        """Wait for what is under way; what isn't begun is cancelled."""
        with self._lock:
            self._is_closed = True
            waiting = [turn for turns in self._waiting.values() for turn in turns]
            self._waiting.clear()
        for turn in waiting:
            turn.future.cancel()
        self._pool.shutdown()

    def _begin(self) -> None:
        while self._free and (entry := self._next()) is not None:
            client, turn = entry
            turn.is_begun = True
            self._free -= 1
            self._busy[client] += 1
            self._pool.submit(self._do, client, turn)

    def _next(self) -> tuple[str, FairTask[object]] | None:
        for client, turns in tuple(self._waiting.items()):
            while turns and turns[0].is_begun:
                turns.popleft()
            if turns and self._busy[client] < self._most:
                turn = turns.popleft()
                self._waiting.move_to_end(client)
                if not turns:
                    del self._waiting[client]
                return client, turn
            if not turns:
                del self._waiting[client]
        return None

    def _do(self, client: str, turn: FairTask[object]) -> None:
        try:
            turn.run()
        finally:
            with self._lock:
                self._free += 1
                self._busy[client] -= 1
                if not self._busy[client]:
                    del self._busy[client]
                if not self._is_closed:
                    self._begin()


SMALLEST, LARGEST = 64, 512
"""Pixels of a side."""
MEDIA_TYPE = "image/webp"
_STEP = 64
"""Sides are multiples of it, so that nobody fills the folder with sizes that hardly differ."""
_LARGEST_FILE = 4 << 20
_AT_A_TIME = 3
"""Files that are opened, each in a process, as each may take hundreds of MB for a while."""
_OF_A_CLIENT = 2
"""Of these: one is left for others, so that nobody waits for another's large file."""
_MOST_WITHOUT = 1_000
"""Files that are known to show nothing: till the server starts anew, slow ones for a while."""
AGAIN_SECONDS = 300.0
"""After which a file that took too long is tried again: the machine may have less to do then."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small image.

    Attributes:
        data: As WebP.
        problem: Why it is a plain tile instead, if it is: the file is too large to be shown.
    """

    data: bytes
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class _Without:
    """Why a file shows nothing, and until when that counts."""

    problem: Problem
    until: float


class Thumbnails:
    """Thumbnails by the digest of the file.

    Files are opened in turns among clients.

    Args:
        folder: Where they lie; made if it isn't there. All in it may be deleted at any time.
        held: Bytes that they may take; those that nobody asked for the longest go first.
        pixels: Of the largest image that is opened.
        seconds: That opening a file may take.
        clock: Seconds from any moment on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        held: int = 256 << 20,
        pixels: int = 64_000_000,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._folder = ConfinedFolder(folder)
        self._most = held
        self._pixels = pixels
        self._pool = FairThreadPool(_AT_A_TIME, _OF_A_CLIENT, "nodegraph-thumbnails")
        self._decoders = [FileDecoder(seconds=seconds) for _ in range(_AT_A_TIME)]
        self._free = list(self._decoders)
        self._making: dict[str, FairTask[bytes]] = {}
        self._lock = Lock()
        self._held: int | None = None
        self._without: dict[Digest, _Without] = {}

    def close(self) -> None:
        """Let go of threads and processes; what isn't begun isn't made."""
        self._pool.close()
        for decoder in self._decoders:
            decoder.close()

    async def get(
        self, digest: Digest, size: int, opened: Callable[[], OpenFile], client: str = ""
    ) -> Thumbnail:
        """A file's thumbnail, as WebP: an image of it, where it is none itself.

        Args:
            size: Pixels of the square that it fits into, made a multiple of 64.
            opened: Opens the file.
            client: Who asks, whose turns these are.
        Raises:
            NotFound: It is nothing that can be shown.
            FileGone: See `Artifacts.open`.
        """
        side = -(-size // _STEP) * _STEP
        name = f"{digest}-{side}.webp"
        kept = await asyncio.to_thread(self._read_cached, name)
        if kept is not None:
            return Thumbnail(kept)
        without = self._without.get(digest)
        if without is not None and self._clock() < without.until:
            return await self._placeholder(digest, side, without.problem)
        with self._lock:
            making = self._making.get(name)
            if making is None:
                making = FairTask(partial(self._make, digest, name, side, opened))
                self._making[name] = making
                making.future.add_done_callback(lambda _: self._making.pop(name, None))
        self._pool.join(client, making)
        try:
            # Others may wait for the same one.
            return Thumbnail(await asyncio.shield(asyncio.wrap_future(making.future)))
        except (InvalidFile, TooLarge) as error:
            return await self._placeholder(digest, side, error.problem)

    async def _placeholder(self, digest: Digest, side: int, problem: Problem) -> Thumbnail:
        """A plain tile for what is too large to be shown; what shows nothing is refused."""
        if problem.code != TooLarge.code:
            raise NotFound(
                f"there is no thumbnail for this file: {problem.message}",
                given=digest,
                expected=problem.expected,
            )
        # The server's start has no use for Pillow.
        from nodegraph.server.content.files.pictures import plain_tile

        return Thumbnail(await asyncio.to_thread(plain_tile, side, problem.message), problem)

    async def texts(
        self, suffix: str, opened: Callable[[], OpenFile], client: str = ""
    ) -> dict[str, str]:
        """The texts that a file carries, by name; see `nodegraph.session.results.files`.

        Args:
            suffix: Of its name.
            opened: Opens it.
            client: See `get`.
        Raises:
            InvalidFile, TooLarge: It is damaged, or claims more than there is room for.
            FileGone: See `Artifacts.open`.
        """
        return await self._decoded(
            client, opened, lambda decoder, file: decoder.texts(file, suffix)
        )

    async def credentials(
        self,
        suffix: str,
        trusted: Sequence[str],
        opened: Callable[[], OpenFile],
        client: str = "",
    ) -> dict[str, Any]:
        """The Content Credentials of a file, and its watermark; see `FileDecoder.credentials`.

        Args:
            suffix: Of its name.
            trusted: Trusted certificates, in PEM.
            opened, client: See `texts`.
        Raises:
            InvalidFile, TooLarge, FileGone: See `texts`.
        """
        return await self._decoded(
            client, opened, lambda decoder, file: decoder.credentials(file, suffix, trusted)
        )

    async def cell(self, side: int, opened: Callable[[], OpenFile], client: str = "") -> bytes:
        """An image within a square, as WebP that loses no more than its size; it isn't kept.

        Args:
            side: Of the square, in pixels.
            opened, client: See `texts`.
        Raises:
            InvalidFile, TooLarge, FileGone: See `texts`.
        """
        return await self._decoded(
            client,
            opened,
            lambda decoder, file: decoder.thumbnail(
                file, side, pixels=self._pixels, is_lossless=True
            ),
        )

    async def frame(
        self, index: int | None, time: float | None, opened: Callable[[], OpenFile], client: str
    ) -> bytes:
        """A frame of a video, as PNG.

        Args:
            index, time: See `video_frame`.
            opened, client: See `texts`.
        Raises:
            InvalidFile, TooLarge, FileGone: See `texts`.
        """
        return await self._decoded(
            client,
            opened,
            lambda decoder, file: decoder.frame(file, index=index, time=time, pixels=self._pixels),
        )

    async def converted(
        self,
        opened: Callable[[], OpenFile],
        client: str,
        *,
        format: SheetFormat,
        quality: int,
        side: int | None = None,
        channel: Channel = "rgba",
        keeps_alpha: bool = False,
    ) -> bytes:
        """An image in another format or with other channels; it isn't kept.

        Args:
            opened, client: See `texts`.
            format, quality, side, channel, keeps_alpha: See `convert_picture`.
        Raises:
            InvalidFile, TooLarge, FileGone: See `texts`.
        """
        options = {"format": format, "quality": quality, "side": side, "channel": channel}
        options |= {"keeps_alpha": keeps_alpha, "pixels": self._pixels}
        return await self._decoded(
            client, opened, lambda decoder, file: decoder.convert(file, options)
        )

    async def is_transparent(self, opened: Callable[[], OpenFile], client: str) -> bool:
        """Whether some pixel of an image is not opaque.

        Raises:
            InvalidFile, TooLarge, FileGone: See `texts`.
        """
        return await self._decoded(
            client, opened, lambda decoder, file: decoder.is_transparent(file, pixels=self._pixels)
        )

    async def with_alpha(self, opened: Callable[[], OpenFile], mask: bytes, client: str) -> bytes:
        """An image with the transparency of another, as PNG; see `replace_alpha`.

        Raises:
            InvalidFile, TooLarge, FileGone: See `texts`.
        """

        def both(decoder: FileDecoder, file: OpenFile) -> bytes:
            data = file.file.read()
            joined = OpenFile(BytesIO(data + mask), len(data) + len(mask), "")
            return decoder.convert(joined, {"first": len(data), "pixels": self._pixels})

        return await self._decoded(client, opened, both)

    async def _decoded(
        self,
        client: str,
        opened: Callable[[], OpenFile],
        decode: Callable[[FileDecoder, OpenFile], T],
    ) -> T:
        """What a decoder makes of a file, in a client's turn."""

        def work() -> T:
            source = opened()
            decoder = self._free.pop()
            try:
                return decode(decoder, source)
            finally:
                self._free.append(decoder)
                source.file.close()

        return await asyncio.wrap_future(self._pool.submit(client, work).future)

    def forget(self, digests: Set[Digest]) -> None:
        """Delete the thumbnails of some files."""
        for name in self._folder.names() if digests else ():
            if name.partition("-")[0] in digests:
                with suppress(OSError):
                    self._folder.remove(name)

    def _read_cached(self, name: str) -> bytes | None:
        try:
            picture = self._folder.read(name, limit=_LARGEST_FILE)
            # When it was last asked for; on some file systems nobody else notes that.
            os.utime(self._folder.root / name)
        except OSError:
            return None
        return picture

    def _make(self, digest: Digest, name: str, side: int, opened: Callable[[], OpenFile]) -> bytes:
        source = opened()
        decoder = self._free.pop()
        try:
            made = decoder.thumbnail(source, side, pixels=self._pixels)
        except (InvalidFile, TooLarge) as error:
            self._remember(digest, error)
            raise
        finally:
            self._free.append(decoder)
            source.file.close()
        self._write_cached(name, made)
        return made

    def _remember(self, digest: Digest, error: InvalidFile | TooLarge) -> None:
        """Have a file not be tried again and again: to find out may take seconds each time."""
        until = self._clock() + AGAIN_SECONDS if isinstance(error, TakesTooLong) else math.inf
        with self._lock:
            self._without[digest] = _Without(error.problem, until)
            while len(self._without) > _MOST_WITHOUT:
                del self._without[next(iter(self._without))]

    def _write_cached(self, name: str, made: bytes) -> None:
        try:
            with self._folder.new() as file:
                file.write(made)
                file.commit(name, synced=False)
        except OutputError as error:
            _LOG.warning("a thumbnail cannot be stored: %s", error)
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
        files = []
        for name in self._folder.names():
            status = self._folder.status(name)
            if status is not None:
                files.append((status.st_mtime_ns, status.st_size, name))
        return files
