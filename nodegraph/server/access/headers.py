"""Headers of every answer: what a browser must not do with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

_LOG = logging.getLogger(__name__)

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Of pages: everything comes from here, and no script stands in a page."""
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Of everything else: if a browser shows it as a page after all, that can do nothing."""

RawHeaders = Sequence[tuple[bytes, bytes]]

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_OWN_PAGES = (b"cross-origin-resource-policy", b"same-origin")
_POLICY = b"content-security-policy"
_PAGE = PAGE_POLICY.encode()
_DATA = DATA_POLICY.encode()
_BREAKING = (b"\r", b"\n", b"\0")


def completed(headers: RawHeaders, origin: str | None = None) -> list[tuple[bytes, bytes]]:
    """Headers with those that are always there; what the application has set stays.

    Args:
        origin: The foreign page that may read the answer; None for none.
    """
    found = [item for item in headers if not _breaks(item[1])]
    if len(found) < len(headers):
        # Sent as it is, it would end the head and begin a body of an attacker's making.
        _LOG.error("left out a header that holds a line break")
    present = {name.lower(): value for name, value in found}
    found += [item for item in _ALWAYS if item[0] not in present]
    if _POLICY not in present:
        is_page = present.get(b"content-type", b"").startswith(b"text/html")
        found.append((_POLICY, _PAGE if is_page else _DATA))
    if origin is None:
        found.append(_OWN_PAGES)
    else:
        found += [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", b"etag, location, retry-after"),
            (b"vary", b"origin"),
        ]
    return found


def _breaks(value: bytes) -> bool:
    return any(mark in value for mark in _BREAKING)
