"""What a client wants back (RFC 9110, section 12.5.1), and how long it waits for it (RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Form = Literal["json", "html", "image"]
LONGEST_WAIT = 120.0
"""Seconds."""
_TYPES: Sequence[tuple[Form, str]] = (("json", "application/json"), ("html", "text/html"))
_RANGE = re.compile(r"\s*([a-z*]+)/([a-z0-9.+*-]+)\s*(?:;(.*))?")
_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*")
_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,9})\"?\s*")


def wanted_form(header: str | None) -> Form:
    """JSON, a page or a picture, whichever a client likes most; JSON if it doesn't say.

    A client that names types of pictures among others, as browsers do, wants none here.
    """
    ranges = _ranges(header or "*/*")
    liked = {form: _quality(media_type, ranges) for form, media_type in _TYPES}
    pictures = (quality for name, quality in ranges if name.startswith("image/"))
    liked["image"] = max(pictures, default=0.0)
    best = max(liked.values())
    return next((form for form in ("json", "html", "image") if liked[form] == best), "json")


def takes(header: str | None, media_type: str) -> bool:
    """Whether a client takes a type."""
    return _quality(media_type, _ranges(header or "*/*")) > 0


def wanted_wait(headers: Sequence[str]) -> float | None:
    """Seconds that a client asks to be waited for, as far as it may; None if it doesn't ask."""
    for preference in ",".join(headers).lower().split(","):
        found = _WAIT.fullmatch(preference.partition(";")[0])
        if found:
            return min(float(found[1]), LONGEST_WAIT)
    return None


def _ranges(header: str) -> list[tuple[str, float]]:
    found = []
    for part in header.lower().split(","):
        match = _RANGE.fullmatch(part)
        if match:
            found.append((f"{match[1]}/{match[2]}", _read_quality(match[3] or "")))
    return found


def _read_quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        if match := _QUALITY.fullmatch(parameter):
            return min(float(match[1]), 1.0)
    return 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """How much a type is liked: what is said of it in particular counts before what is general."""
    group = media_type.partition("/")[0]
    for name in (media_type, f"{group}/*", "*/*"):
        liked = [quality for given, quality in ranges if given == name]
        if liked:
            return max(liked)
    return 0.0
