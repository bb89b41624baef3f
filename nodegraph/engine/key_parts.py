"""What a key was made of, kept beside a result to tell later what has changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodegraph.core.digests import Digest, Undigestable, digest_bytes, digest_value
from nodegraph.core.graph import GraphNode

LONGEST = 200
"""Characters of a literal, or of what a node reads outside, that are kept."""

Parts = Mapping[str, Any]
"""Plain values: ``version``, ``code``, ``profile``, ``fingerprint``, ``literals`` (texts by port)
and ``links`` (digest and ``node.port`` by port)."""


def key_parts(
    node: GraphNode,
    links: Mapping[str, Digest],
    *,
    code: Digest,
    profile: str = "",
    fingerprint: str = "",
    readings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a call's key is made of, in a form that people can read.

    Args:
        links: Digests of the linked inputs, the lazy ones that were asked for included.
        code, profile, fingerprint: As they entered the key.
        readings: What it has read outside, with a fingerprint of each.
    """
    sources = {port: f"{source.node}.{source.port}" for port, source in node.links.items()}
    return {
        "version": node.spec.version,
        "code": code,
        "profile": profile,
        "fingerprint": short(fingerprint),
        **({"readings": dict(readings)} if readings else {}),
        "literals": {port: literal_text(value) for port, value in node.literals.items()},
        "links": {port: [digest, sources.get(port, "")] for port, digest in links.items()},
    }


def literal_text(value: Any) -> str:
    """A literal as JSON; of a long one the beginning, and a digest that tells it from others."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_other)
    except (TypeError, ValueError, RecursionError):
        text = _other(value)
    return short(text)


def short(text: str) -> str:
    """A text; of a long one the beginning, and a digest that tells it from others."""
    # JSON can hold half a surrogate pair, which has no UTF-8.
    data = text.encode("utf-8", "backslashreplace")
    decoded = data.decode()
    if len(decoded) <= LONGEST:
        return decoded
    return f"{decoded[: LONGEST - 20]}… #{digest_bytes(data)[:12]}"


def _other(value: Any) -> str:
    try:
        return f"{type(value).__name__} #{digest_value(value)[:12]}"
    except (Undigestable, RecursionError):
        return type(value).__name__
