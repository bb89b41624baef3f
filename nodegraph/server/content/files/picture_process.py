"""The process that decodes strangers' pictures: its memory is bounded, and goes when it does.

It is asked over its standard input and answers over its standard output, see
`nodegraph.server.content.files.decoder`: a line of JSON, and the bytes whose number it tells.
"""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from nodegraph.errors import NodegraphError
from nodegraph.server.content.files.pictures import make_thumbnail

_LARGE = 128 << 20
"""Bytes of memory that it still has after a picture, above which it ends to give them back."""


def main() -> None:
    """Answer until nobody asks any more."""
    _bound(int(sys.argv[1]))
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    while line := asked.readline():
        question = json.loads(line)
        picture = asked.read(question["bytes"])
        answer, made = _answer(BytesIO(picture), question["side"], question["pixels"])
        del picture
        is_large = _memory() > _LARGE
        head = {**answer, "bytes": len(made), "ends": is_large}
        told.write(json.dumps(head).encode() + b"\n" + made)
        told.flush()
        if is_large:
            return


def _answer(picture: BinaryIO, side: int, pixels: int) -> tuple[dict[str, Any], bytes]:
    try:
        return {}, make_thumbnail(picture, side, pixels=pixels)
    except NodegraphError as error:
        return {"problem": error.problem.as_dict()}, b""
    except MemoryError:
        problem = {"code": "too-large", "message": "decoding the picture takes too much memory"}
        return {"problem": problem}, b""


def _bound(size: int) -> None:
    if sys.platform == "win32":
        return  # no process can bound itself there
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _memory() -> int:
    """Bytes that it has now; where that isn't told more than any, so that each picture ends it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _LARGE + 1
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
