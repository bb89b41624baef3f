"""ETags: what a client has already, and what it thinks it changes (RFC 9110, section 13)."""

from __future__ import annotations

import re

from nodegraph.server.http.errors import PreconditionFailed

_TAGS = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(,|$)|\s*(,|$)')


def etag(digest: str) -> str:
    """The strong tag of what a digest names."""
    return f'"{digest}"'


def is_not_modified(header: str | None, digest: str) -> bool:
    """Whether an ``If-None-Match`` says that the client has this already."""
    if header is None:
        return False
    return header.strip() == "*" or any(tag == digest for _, tag in _read(header))


def check_match(header: str | None, digest: str | None) -> None:
    """Refuse a change of something else than the client knows, by its ``If-Match``.

    Args:
        digest: Of what is there; None if nothing is.
    Raises:
        PreconditionFailed: It is something else.
    """
    if header is None:
        return
    if header.strip() == "*":
        is_met = digest is not None
    else:
        is_met = any(tag == digest and not is_weak for is_weak, tag in _read(header))
    if not is_met:
        raise PreconditionFailed(
            "this was changed since you got it" if digest else "this isn't there any more",
            given=header[:200],
            expected=None if digest is None else etag(digest),
            hint="Get it again, and make your change to that.",
        )


def check_none_match(header: str | None, digest: str | None) -> None:
    """Refuse a change where ``If-None-Match`` says that nothing, or something else, is there.

    Raises:
        PreconditionFailed: It is there.
    """
    if digest is not None and is_not_modified(header, digest):
        raise PreconditionFailed(
            "there is something of this name already",
            given=(header or "")[:200],
            hint="Choose another name, or send `If-Match` to change what is there.",
        )


def _read(header: str) -> list[tuple[bool, str]]:
    """The tags of a list, each with whether it is weak; none if it is no list of tags."""
    tags, at = [], 0
    while at < len(header):
        match = _TAGS.match(header, at)
        if match is None:
            return []
        if match[2] is not None:
            tags.append((match[1] is not None, match[2]))
        at = match.end()
    return tags
