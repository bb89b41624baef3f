"""What workflows call an upload: ``upload:<digest>/<name>``, instead of a path of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nodegraph.core.uploads import digest_of
from nodegraph.errors import InvalidWorkflow, Problem

Find = Callable[[str], str | None]
"""The path of the file of a digest; None if there is none that the client may use."""


def resolved(document: Any, find: Find) -> Any:
    """A copy of a JSON document, such as a workflow, with paths in place of references.

    Raises:
        InvalidWorkflow: No such upload; lists all, with node and port where they have one.
    """
    reader = _Reader(find)
    found = reader.read(document, ())
    if reader.problems:
        raise InvalidWorkflow(reader.problems)
    return found


class _Reader:
    def __init__(self, find: Find) -> None:
        self.problems: list[Problem] = []
        self._find = find

    def read(self, value: Any, place: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self.read(item, (*place, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.read(item, place) for item in value]
        digest = digest_of(value) if isinstance(value, str) else None
        if digest is None:
            return value
        path = self._find(digest)
        if path is None:
            self.problems.append(_unknown(value, place))
        return path


def _unknown(reference: str, place: Sequence[str]) -> Problem:
    node = port = None
    if len(place) > 3 and place[0] == "nodes" and place[2] == "inputs":
        node, port = place[1], place[3]
    return Problem(
        "unknown-upload",
        "there is no such upload",
        node,
        port=port,
        given=reference[:120],
        hint="Upload the file again; it may have been deleted as nobody used it for long.",
    )
