"""What of a home folder goes into a backup, and what doesn't."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from nodegraph.jobs.queue.schema import queue_format
from nodegraph.server.access.tokens import NAME as TOKENS
from nodegraph.server.content.uploads.schema import uploads_format
from nodegraph.store.database import Format

QUEUE = "queue.sqlite"
UPLOADS = "uploads"
UPLOADS_INDEX = f"{UPLOADS}/uploads.sqlite"
UPLOADED = f"{UPLOADS}/files"
CONFIG = "config.toml"
OUTPUTS = "outputs"
MODELS = "models"

ALWAYS = (QUEUE, UPLOADS, "workflows", "packs", "inputs", CONFIG)
"""Names in the home folder that are in every backup."""
PARTS = (*ALWAYS, OUTPUTS, TOKENS, MODELS)
"""All that may be in one, in the order in which they are written: what refers to files comes before
them, so that what it refers to is there."""

DATABASES: Mapping[str, Callable[[], Format]] = {
    QUEUE: queue_format,
    UPLOADS_INDEX: uploads_format,
}
"""Copied as of one moment, however much is written meanwhile."""

DERIVED = tuple(
    f"{name}{suffix}"
    for name in (QUEUE, "artifacts.sqlite")
    for suffix in ("", "-wal", "-shm")
    if name != QUEUE or suffix
)
"""Goes when a queue is put back: journals of the one before, and what is made again from it."""

IGNORED = re.compile(r"cache|lost\+found|.*-lock|\.DS_Store|\.restore.*")
"""Names in a home folder that are empty as far as a restore goes."""

_PASSING = re.compile(r"\.[0-9a-f]{16}\.tmp|\..*\.[0-9a-f]{8}\.tmp|__pycache__|.*\.part")


def is_passing(name: str) -> bool:
    """Whether a file or folder is only there for a moment, or made again by itself."""
    return _PASSING.fullmatch(name) is not None
