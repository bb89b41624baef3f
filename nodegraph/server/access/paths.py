"""Paths and queries that no honest client sends, and that others have tripped over."""

from __future__ import annotations

import re

from nodegraph.server.access.head import Head
from nodegraph.server.http.errors import Refused

_LONGEST_PATH = 2_048
_LONGEST_QUERY = 8_192
# A slash or backslash that only appears by decoding, and control characters.
_ENCODED = re.compile(rb"%(?:2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
_PLAIN = re.compile(r"[\x00-\x1f\x7f\\]")
_DOTS = re.compile(r"(?:^|/)\.\.?(?:/|$)")


class BadPath(Refused):
    """A path that climbs, hides a separator, or holds what is no character."""

    code = "bad-path"


class LongPath(Refused):
    """A path or query longer than any that makes sense."""

    code = "too-long"
    status = 414


def check_path(head: Head) -> None:
    """See that a path means the same to everybody who reads it.

    Raises:
        Refused: It doesn't.
    """
    if len(head.raw_path) > _LONGEST_PATH or len(head.query) > _LONGEST_QUERY:
        raise LongPath(
            "the path or the query is too long",
            given=f"{len(head.raw_path)} and {len(head.query)} characters",
            expected=f"at most {_LONGEST_PATH} and {_LONGEST_QUERY}",
        )
    if b"%" in head.raw_path and _ENCODED.search(head.raw_path):
        raise BadPath("the path holds an encoded separator or control character")
    if _PLAIN.search(head.path) or ("/." in head.path and _DOTS.search(head.path)):
        raise BadPath("the path climbs, or holds a backslash or control character")
