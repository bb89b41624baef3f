"""Downloading a file: into one beside it that may be gone on with, and then in its place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from nodegraph.client.errors import ConnectionLost, NotReachable, WrongDigest
from nodegraph.client.file_calls import AnyFile, path_of
from nodegraph.client.problems import error_of, not_ours
from nodegraph.client.requests import Answer, Request
from nodegraph.client.retries import Retries, Trouble
from nodegraph.client.sending import exchanged
from nodegraph.client.steps import Exchange, Pause, Steps
from nodegraph.errors import OutputError

_STEP = 1 << 20
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)")
_NO_SUCH_RANGE = 416

Progress = Callable[[int], None]
"""Is told how many bytes of a file there are."""


class Part:
    """What there is of a file that is being downloaded; a `Sink`.

    It stays if the download breaks off, and the next one goes on with it.

    Args:
        target: Where the file goes when it is whole.
        told: Is told how much there is.
    Raises:
        OutputError: It can't be written.
    """

    def __init__(self, file: AnyFile, target: Path, told: Progress | None = None) -> None:
        self._file = file
        self._target = target
        self._told = told
        self._path = target.with_name(f".{target.name}.{file.digest[:16]}.part")
        self._hash = blake3()
        self.size = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not through a link that somebody has put there.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            flags |= getattr(os, "O_BINARY", 0)
            self._open = os.fdopen(os.open(self._path, flags, 0o666), "r+b")
        except OSError as error:
            raise _unwritable(target, error) from error
        self.was_begun = self._read()

    def _read(self) -> bool:
        """Take in what is there; whether anything is."""
        while data := self._open.read(_STEP):
            self._hash.update(data)
            self.size += len(data)
        return self.size > 0

    @property
    def is_whole(self) -> bool:
        """Whether it has as many bytes as the file."""
        return self.size == self._file.size

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest of the file."""
        # As they are: a part of what a proxy has compressed is of no use.
        headers = {"Accept-Encoding": "identity"}
        if self.size:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": f'"{self._file.digest}"'}
        return headers

    def begin(self, answer: Answer) -> bool:
        """Whether the answer brings the rest, or the whole file."""
        if answer.status == 200:
            self.restart()
            return True
        if answer.status != 206:
            return False
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if found is None or int(found[1]) != self.size:
            raise not_ours(answer)
        return True

    def restart(self) -> None:
        """Forget what there is."""
        self._open.seek(0)
        self._open.truncate()
        self._hash = blake3()
        self.size = 0
        self.was_begun = False

    def write(self, data: bytes) -> None:
        """Take in some bytes.

        Raises:
            OutputError: They can't be written.
            WrongDigest: They are more than the file has.
        """
        if self.size + len(data) > self._file.size:
            self.restart()
            raise self._wrong("there is more of it than the job wrote")
        try:
            self._open.write(data)
        except OSError as error:
            raise _unwritable(self._target, error) from error
        self._hash.update(data)
        self.size += len(data)
        if self._told is not None:
            self._told(self.size)

    def keep(self) -> None:
        """Put it in its place.

        Raises:
            WrongDigest: It isn't what the job wrote; it is forgotten.
            OutputError: It can't be put there.
        """
        if self._hash.hexdigest() != self._file.digest:
            self.restart()
            raise self._wrong("it isn't what the job wrote")
        try:
            self._open.flush()
            os.fsync(self._open.fileno())
            self._open.close()
            self._path.replace(self._target)
        except OSError as error:
            raise _unwritable(self._target, error) from error

    def close(self) -> None:
        """Let go of it; an empty one is removed."""
        try:
            self._open.close()
        finally:
            if not self.size:
                self._path.unlink(missing_ok=True)

    def _wrong(self, why: str) -> WrongDigest:
        return WrongDigest(
            f"{self._file.name} was not taken: {why}",
            expected=f"{self._file.size} bytes, blake3 {self._file.digest}",
            hint="Try again; if it stays so, the server or something before it is damaged.",
        )


def _unwritable(target: Path, error: OSError) -> OutputError:
    return OutputError(f"can't write {target}: {error.strerror or error}")


def downloaded(
    file: AnyFile, target: Path, retries: Retries, told: Progress | None = None
) -> Steps[None]:
    """Download a file, going on where an earlier attempt stopped.

    Raises:
        WrongDigest, OutputError: See `Part`.
        NodegraphError: The server doesn't give it.
    """
    part = Part(file, target, told)
    try:
        if not (part.is_whole and part.was_begun):
            yield from _fetched(file, part, retries)
        was_begun = part.was_begun
        try:
            part.keep()
        except WrongDigest:
            if not was_begun:
                raise
            # What there was before may have been at fault.
            yield from _fetched(file, part, retries)
            part.keep()
    finally:
        part.close()


def _fetched(file: AnyFile, part: Part, retries: Retries) -> Steps[None]:
    """Fill a part up."""
    trouble = Trouble(retries, retries.seconds)
    while True:
        before = part.size
        wanted: float | None = None
        fault: Any = None
        try:
            request = Request("GET", path_of(file), (), part.headers)
            answer = yield from exchanged(Exchange(request, part))
        except (NotReachable, ConnectionLost) as error:
            fault = error
        else:
            if answer.status in (200, 206):
                if part.is_whole:
                    return
                fault = ConnectionLost(f"{file.name} came only in part")
            elif answer.status == _NO_SUCH_RANGE and before:
                part.restart()
                continue
            else:
                fault, wanted = error_of(answer), answer.retry_after
                if not getattr(fault, "is_passing", False):
                    raise fault
        if part.size > before:
            trouble.is_over()
        wait = trouble.delay(wanted)
        if wait is None:
            raise fault
        yield Pause(wait)
