"""Having pictures decoded in a process of its own, which may die or hang and is replaced then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from threading import Timer
from typing import IO, Any

from nodegraph.errors import InvalidFile, Problem
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.sending import OpenFile

MEMORY = 2 << 30
"""Bytes of address space: three copies of the largest picture, and what Python takes."""
SECONDS = 60.0
"""For a picture."""
_STEP = 1 << 20
_MOST = 256 << 20
"""Bytes of a file that are looked at."""


class PictureDecoder:
    """Makes thumbnails, one at a time; for one thread at a time.

    Args:
        memory: Bytes that decoding may take.
        seconds: The same of time.
    """

    def __init__(self, *, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        self._memory = memory
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def thumbnail(self, picture: OpenFile, side: int, *, pixels: int) -> bytes:
        """See `make_thumbnail`.

        Raises:
            InvalidFile: It is no picture, or damaged, or its decoding ended with the process.
            TooLarge: It has more pixels, or takes more memory.
        """
        process = self._started()
        # Whatever holds it up, a write included, ends with the process.
        timer = Timer(self._seconds, process.kill)
        timer.start()
        try:
            head, made = _asked(process, picture, side, pixels)
        except (OSError, ValueError) as error:
            self.close()
            raise InvalidFile(
                "this is no intact picture", hint="Decoding it took too long, or too much."
            ) from error
        finally:
            timer.cancel()
        if head["ends"]:
            self.close()
        if "problem" in head:
            raise _error(head["problem"])
        return made

    def close(self) -> None:
        """End the process; the next picture starts another one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    _there(pipe).close()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            module = "nodegraph.server.content.files.picture_process"
            self._process = subprocess.Popen(  # noqa: S603 - nothing in it is a client's
                [sys.executable, "-m", module, str(self._memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


def _asked(
    process: subprocess.Popen[bytes], picture: OpenFile, side: int, pixels: int
) -> tuple[Mapping[str, Any], bytes]:
    asks, tells = _there(process.stdin), _there(process.stdout)
    # Of a video, the beginning has the first frame, in our own and in others that are streamed.
    left = min(picture.size, _MOST)
    question = {"bytes": left, "side": side, "pixels": pixels}
    asks.write(json.dumps(question).encode() + b"\n")
    picture.file.seek(0)
    while left:
        piece = picture.file.read(min(left, _STEP))
        if not piece:
            raise ValueError("the file has become shorter")
        asks.write(piece)
        left -= len(piece)
    asks.flush()
    head: Mapping[str, Any] = json.loads(tells.readline())
    made = tells.read(head["bytes"])
    if len(made) < head["bytes"]:
        raise ValueError("the process has ended")
    return head, made


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _error(told: Mapping[str, Any]) -> InvalidFile | TooLarge:
    problem = Problem.from_dict(told)
    kind = TooLarge if problem.code == TooLarge.code else InvalidFile
    return kind(problem.message, given=problem.given, expected=problem.expected, hint=problem.hint)
