"""What tests of artifacts, uploads, saved workflows and apps share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from blake3 import blake3
from PIL import Image

from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue.job import JobSummary
from tests.jobs.queue.support import claim, submit


def picture(
    width: int = 8, height: int = 6, format: str = "PNG", color: Any = (200, 30, 40), **options: Any
) -> bytes:
    """The bytes of an image of one color."""
    mode = "RGB" if len(color) == 3 else "RGBA"
    made = BytesIO()
    Image.new(mode, (width, height), color).save(made, format, **options)
    return made.getvalue()


def opened(data: bytes) -> Image.Image:
    """The image in some bytes, read."""
    with Image.open(BytesIO(data)) as found:
        found.load()
    return found


def digest_of(data: bytes) -> str:
    return blake3(data).hexdigest()


def written(path: Path, data: bytes, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    """Write a file; how a job lists it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {
        "path": str(path),
        "node": "save",
        "kind": "image",
        "media_type": media_type,
        "size": len(data),
        "digest": digest_of(data),
        **more,
    }


RAN = {"nodes": {"ran": 1, "cached": 0}, "seconds": 1.5}
"""What a job says of its run."""


def finished(
    queue: JobQueue, files: Sequence[dict[str, Any]], client: str = "ann", **options: Any
) -> JobSummary:
    """A job that has finished and lists some files."""
    submit(queue, client, **options)
    job = claim(queue)
    queue.finish(job.id, job.attempt, {"files": list(files), **RAN}).result()
    return job


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Bytes as they come over a network."""
    for start in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[start : start + size]


async def as_iterator(items: Iterable[bytes]) -> AsyncIterator[bytes]:
    for item in items:
        yield item
