"""What workflows call an upload, and which uploads jobs that wait or run will still read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from nodegraph.core.file_access import PathOutside, upload_digest
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.jobs.queue import JobFilter, JobNotFound
from nodegraph.jobs.queue.reader import QueueView

Find = Callable[[str], str | None]
"""The path of the file of a digest; None if there is none that the client may use."""
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_AT_ONCE = 500


def resolve_references(document: Any, find: Find, folder: str) -> Any:
    """A copy of a JSON document, such as a workflow, with paths in place of references.

    Args:
        folder: Where those paths lead to. Texts that begin with it are refused: from here on, such
            a path says that whoever sent the document may read the file.
    Raises:
        InvalidWorkflow: No such upload; lists all, with node and port where they have one.
    """
    reader = _Reader(find, folder)
    copy = reader.read(document, ())
    if reader.problems:
        raise InvalidWorkflow(reader.problems)
    return copy


class _Reader:
    def __init__(self, find: Find, folder: str) -> None:
        self.problems: list[Problem] = []
        self._find = find
        self._folder = folder

    def read(self, value: Any, location: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self.read(item, (*location, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.read(item, location) for item in value]
        if not isinstance(value, str):
            return value
        if value.startswith(self._folder):
            self.problems.append(_by_path(value, *_port(location)))
            return value
        digest = upload_digest(value)
        if digest is None:
            return value
        path = self._find(digest)
        if path is None:
            self.problems.append(_unknown(value, *_port(location)))
        return path


def _port(location: Sequence[str]) -> tuple[str | None, str | None]:
    """Node and input, where a place in a workflow is one."""
    if len(location) > 3 and location[0] == "nodes" and location[2] == "inputs":
        return location[1], location[3]
    return None, None


def _by_path(path: str, node: str | None, port: str | None) -> Problem:
    return Problem(
        PathOutside.code,
        "this file may not be read here",
        node,
        port=port,
        given=ascii(path[:200]),
        expected="an upload by its reference, `upload:…`",
    )


def _unknown(reference: str, node: str | None, port: str | None) -> Problem:
    return Problem(
        "unknown-upload",
        "there is no such upload",
        node,
        port=port,
        given=reference[:120],
        hint="Upload the file again; it may have been deleted because it was not used for a long "
        "time.",
    )


def needed_digests(queue: QueueView) -> set[str]:
    """All that look like digests in the workflows and parameters of jobs that aren't over."""
    digests: set[str] = set()
    texts: set[str] = set()
    cursor: str | None = None
    which = JobFilter(states=("queued", "running"))
    while True:
        page = queue.page(which, order="oldest", limit=_AT_ONCE, cursor=cursor)
        for each in page.jobs:
            with suppress(JobNotFound):
                job = queue.get(each.id)
                texts.add(job.workflow)
                digests.update(_DIGEST.findall(json.dumps(dict(job.parameters))))
        cursor = page.next
        if cursor is None:
            break
    for digest in texts:
        with suppress(KeyError):
            digests.update(_DIGEST.findall(queue.workflow(digest)))
    return digests
