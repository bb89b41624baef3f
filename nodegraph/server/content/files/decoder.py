"""Strangers' files, opened where neither time nor memory can run out for others.

A small file may be an image of any size, or claim anything. The process that opens it has an
address space of its own, which is bounded, and gives its memory back by ending.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import IO, Any

from nodegraph.errors import InvalidFile, Problem
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.responses import OpenFile

MEMORY = 2 << 30
"""Bytes of address space: three copies of the largest image, and what Python takes."""
SECONDS = 10.0
"""For a file: what is seen small needs no more, and others wait."""
_START_SECONDS = 60.0
"""Until a process is there, on a machine that is busy."""
_STEP = 1 << 20
_MOST = 256 << 20
"""Bytes of a file that are looked at."""
_SUFFIX = re.compile(r"\.[a-z0-9]{1,12}")


class TakesTooLong(TooLarge):
    """A file that took too long to open, which says as much of the machine as of the file."""


class FileDecoder:
    """Makes thumbnails and reads texts, one at a time; for one thread at a time.

    Args:
        memory: Bytes that decoding may take.
        seconds: The same of time.
    """

    def __init__(self, *, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        self._memory = memory
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""

    def thumbnail(
        self, picture: OpenFile, side: int, *, pixels: int, is_lossless: bool = False
    ) -> bytes:
        """A small image of a file, as WebP: see `make_thumbnail` and `draw_result`.

        Args:
            pixels: Of the largest image that is opened.
            is_lossless: Whether no more than its size is lost.
        Raises:
            InvalidFile: There is nothing to show, it is damaged, or its decoding ended with the
                process.
            TooLarge: It has more pixels, or takes more memory; `TakesTooLong`: or more time.
        """
        question = {"asks": "thumbnail", "side": side, "pixels": pixels, "lossless": is_lossless}
        return self._request(picture, question)

    def frame(
        self, video: OpenFile, *, index: int | None, time: float | None, pixels: int
    ) -> bytes:
        """A frame of a video, as PNG; see `video_frame`.

        Raises:
            InvalidFile, TooLarge: See `thumbnail`.
        """
        question = {"asks": "frame", "index": index, "time": time, "pixels": pixels}
        return self._request(video, question)

    def convert(self, picture: OpenFile, options: Mapping[str, Any]) -> bytes:
        """An image in another form: see `convert_picture`; with ``first``, `replace_alpha` of the
        two images that the file is made of, the first with so many bytes.

        Raises:
            InvalidFile, TooLarge: See `thumbnail`.
        """
        return self._request(picture, {"asks": "picture", **options})

    def is_transparent(self, picture: OpenFile, *, pixels: int) -> bool:
        """Whether some pixel of an image is not opaque.

        Raises:
            InvalidFile, TooLarge: See `thumbnail`.
        """
        return bool(self._request(picture, {"asks": "transparency", "pixels": pixels}))

    def texts(self, file: OpenFile, suffix: str) -> dict[str, str]:
        """The texts that a file carries, by name; see `result_texts`.

        Args:
            suffix: Of its name, by which some kinds are told.
        Raises:
            InvalidFile, TooLarge: See `thumbnail`.
        """
        known = suffix.lower() if _SUFFIX.fullmatch(suffix.lower()) else ""
        file_texts: dict[str, str] = json.loads(
            self._request(file, {"asks": "texts", "suffix": known})
        )
        return file_texts

    def credentials(self, file: OpenFile, suffix: str, trusted: Sequence[str]) -> dict[str, Any]:
        """The Content Credentials of a file, and its watermark: see `verify_file`.

        Args:
            suffix: See `texts`.
            trusted: Trusted certificates, in PEM.
        Raises:
            InvalidFile, TooLarge: See `thumbnail`.
        """
        if file.size > _MOST:
            raise TooLarge(
                "this file is too large for its signature to be checked here",
                given=f"{file.size:,} bytes",
                expected=f"at most {_MOST:,} bytes",
                hint="Download it, and use `nodegraph credentials verify`.",
            )
        known = suffix.lower() if _SUFFIX.fullmatch(suffix.lower()) else ""
        question = {"asks": "credentials", "suffix": known, "trusted": list(trusted)}
        document: dict[str, Any] = json.loads(self._request(file, question))
        return document

    def close(self) -> None:
        """End the process; the next file starts another one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    _there(pipe).close()
            process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def _request(self, file: OpenFile, question: Mapping[str, Any], *, again: bool = True) -> bytes:
        process = self._started()
        # Whatever holds it up, a write included, ends with the process.
        is_late = Event()
        try:
            with _killed_after(process, self._seconds, is_late):
                head, made = _answer(process, file, question)
        except (OSError, ValueError) as error:
            self.close()
            if is_late.is_set():
                raise TakesTooLong(
                    "decoding this file takes too long",
                    given=f"more than {self._seconds:g} s",
                    hint="Download the file, and open it in another program.",
                ) from error
            # It may have ended for want of work, or been ended by the machine: what ends another
            # one, too, is the file.
            if again:
                return self._request(file, question, again=False)
            raise InvalidFile(
                "this is not an intact image", hint="Decoding it took too much memory."
            ) from error
        if head["ends"]:
            self.close()
        if "problem" in head:
            raise _error(head["problem"])
        return made

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._folder = tempfile.mkdtemp(prefix="nodegraph-")
            module = "nodegraph.server.content.files.picture_process"
            self._process = subprocess.Popen(  # noqa: S603 - nothing in it is a client's
                [sys.executable, "-m", module, str(self._memory), self._folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            # What it takes to be there counts for no file.
            with _killed_after(self._process, _START_SECONDS, Event()), suppress(OSError):
                _there(self._process.stdout).readline()
        return self._process


@contextmanager
def _killed_after(
    process: subprocess.Popen[bytes], seconds: float, is_late: Event
) -> Iterator[None]:
    """End a process if the `with` takes longer, and note that."""

    def end() -> None:
        is_late.set()
        process.kill()

    timer = Timer(seconds, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _answer(
    process: subprocess.Popen[bytes], file: OpenFile, question: Mapping[str, Any]
) -> tuple[Mapping[str, Any], bytes]:
    asks, replies = _there(process.stdin), _there(process.stdout)
    # Of a video, the beginning has the first frame, in our own and in others that are streamed.
    left = min(file.size, _MOST)
    asks.write(json.dumps({**question, "bytes": left}).encode() + b"\n")
    file.file.seek(0)
    while left:
        piece = file.file.read(min(left, _STEP))
        if not piece:
            raise ValueError("the file has become shorter")
        asks.write(piece)
        left -= len(piece)
    asks.flush()
    head: Mapping[str, Any] = json.loads(replies.readline())
    made = replies.read(head["bytes"])
    if len(made) < head["bytes"]:
        raise ValueError("the process has ended")
    return head, made


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _error(details: Mapping[str, Any]) -> InvalidFile | TooLarge:
    problem = Problem.from_dict(details)
    kind = TooLarge if problem.code == TooLarge.code else InvalidFile
    return kind(problem.message, given=problem.given, expected=problem.expected, hint=problem.hint)
