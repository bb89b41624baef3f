"""The process that opens strangers' files: its memory is bounded, and goes when it does.

It is asked over its standard input and answers over its standard output, see
`nodegraph.server.content.files.decoder`: a line of JSON, and the bytes whose number it tells.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.media.images.pillow_files import DAMAGED
from nodegraph.server.content.files.pictures import (
    begins_like_picture,
    convert_picture,
    encode_png,
    encode_thumbnail,
    is_transparent,
    make_thumbnail,
    replace_alpha,
    video_frame,
)
from nodegraph.server.http.errors import TooLarge

_LARGE = 128 << 20
"""Bytes of memory that it still has after an image, above which it ends to give them back."""
_LIBRARIES = 256 << 20
"""What those packages take besides that read what is no image."""
_MOST_PARTS, _MOST_TRIANGLES, _MOST_POINTS = 500, 1_000_000, 4_000_000
"""Of a mesh that is drawn: reading a part takes some milliseconds, a million triangles seconds."""
_IDLE_SECONDS = 60.0
"""After which it ends, once it has such packages in memory."""


def main() -> None:
    """Answer until nobody asks any more."""
    _bound(int(sys.argv[1]))
    folder, most = Path(sys.argv[2]), _LARGE
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    writer.write(b"ready\n")
    writer.flush()
    while (most == _LARGE or _is_asked()) and (line := reader.readline()):
        question = json.loads(line)
        data = reader.read(question["bytes"])
        if question["asks"] in ("texts", "credentials") or not begins_like_picture(data):
            most = _LARGE + _LIBRARIES
        answer, made = _answer(data, question, folder)
        del data
        is_large = _memory() > most
        head = {**answer, "bytes": len(made), "ends": is_large}
        writer.write(json.dumps(head).encode() + b"\n" + made)
        writer.flush()
        if is_large:
            return


def _is_asked() -> bool:
    """Whether somebody asks before it has been idle for long; nothing is read ahead by then."""
    if sys.platform == "win32":
        return True  # pipes can't be waited for there
    return bool(select.select([sys.stdin], [], [], _IDLE_SECONDS)[0])


def _answer(data: bytes, question: dict[str, Any], folder: Path) -> tuple[dict[str, Any], bytes]:
    try:
        if question["asks"] == "texts":
            return {}, _texts(data, folder / f"file{question['suffix']}")
        if question["asks"] == "credentials":
            path = folder / f"file{question['suffix']}"
            return {}, _credentials(data, path, question["trusted"])
        if question["asks"] == "picture":
            return {}, _converted(data, question)
        if question["asks"] == "transparency":
            return {}, b"yes" * is_transparent(BytesIO(data), pixels=question["pixels"])
        if question["asks"] == "frame":
            at = {name: question[name] for name in ("index", "time", "pixels")}
            return {}, encode_png(video_frame(BytesIO(data), **at))
        if begins_like_picture(data):
            return {}, make_thumbnail(
                BytesIO(data),
                question["side"],
                pixels=question["pixels"],
                is_lossless=question["lossless"],
            )
        return {}, _drawn(data, question["side"], folder / "file")
    except NodegraphError as error:
        return {"problem": _without(error, folder)}, b""
    except MemoryError:
        return _problem("too-large", "opening this file takes too much memory"), b""
    except DAMAGED:
        return _problem("invalid-file", "this file is damaged"), b""


def _converted(data: bytes, question: dict[str, Any]) -> bytes:
    pixels = question["pixels"]
    if "first" in question:
        size = question["first"]
        return replace_alpha(BytesIO(data[:size]), BytesIO(data[size:]), pixels=pixels)
    names = ("format", "quality", "side", "channel", "keeps_alpha", "pixels")
    options = {name: question[name] for name in names if name in question}
    return convert_picture(BytesIO(data), **options)


def _texts(data: bytes, path: Path) -> bytes:
    """The texts that a file carries, as JSON; none of what is no result."""
    from nodegraph.session.results.files import result_texts

    with _written(data, path):
        return json.dumps(dict(result_texts(path) or {})).encode()


def _credentials(data: bytes, path: Path, trusted: list[str]) -> bytes:
    """The credentials of a file and its watermark, as JSON. This process is bounded already."""
    from nodegraph.provenance.verification import carried_manifest, verify_file
    from nodegraph.provenance.watermarked_files import read_file_watermark

    texts = json.loads(_texts_or_none(data, path))
    with _written(data, path):
        credentials = verify_file(path, trusted, manifest=carried_manifest(texts))
        reading = read_file_watermark(path)
    mark = None if reading is None else reading.payload
    return json.dumps({**credentials.as_dict(), "watermark": mark}).encode()


def _texts_or_none(data: bytes, path: Path) -> bytes:
    try:
        return _texts(data, path)
    except NodegraphError:
        return b"{}"  # a damaged file may be signed all the same


def _drawn(data: bytes, side: int, path: Path) -> bytes:
    from nodegraph.media.shapes.shape_files import shape_counts
    from nodegraph.session.results.files import draw_result

    with _written(data, path):
        counts = shape_counts(path)
        for count, most, what in (
            (counts.parts, _MOST_PARTS, "parts"),
            (counts.triangles, _MOST_TRIANGLES, "triangles"),
            (counts.points, _MOST_POINTS, "points"),
        ):
            if count > most:
                raise TooLarge(
                    f"too many {what} to show: {count:,}",
                    given=f"{count:,}",
                    expected=f"at most {most:,}",
                )
        return encode_thumbnail(draw_result(path, side), side)


@contextmanager
def _written(data: bytes, path: Path) -> Iterator[None]:
    """A file with some bytes, inside the `with`: what reads them wants one."""
    path.write_bytes(data)
    try:
        yield
    finally:
        path.unlink()


def _without(error: NodegraphError, folder: Path) -> dict[str, Any]:
    """What is wrong, without the place on this machine."""
    problem: dict[str, Any] = json.loads(
        json.dumps(error.problem.as_dict()).replace(json.dumps(f"{folder}{os.sep}")[1:-1], "")
    )
    return problem


def _problem(code: str, message: str) -> dict[str, Any]:
    return {"problem": {"code": code, "message": message}}


def _bound(size: int) -> None:
    if sys.platform == "win32":
        return  # no process can bound itself there
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _memory() -> int:
    """Bytes that it has now; where that isn't told more than any, so that each image ends it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _LARGE + _LIBRARIES + 1
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
