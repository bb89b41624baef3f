"""Stars in place of secrets, whoever logged them."""

from __future__ import annotations

import re
from typing import Any

STARS = "***"

_SECRETS = re.compile(
    r"""
    (?P<own>ng_[0-9a-f]{4,12}_)[0-9a-zA-Z_-]+       # a token of ours
    | (?P<session>nodegraph_session(?:_[0-9]{1,5})?=)[0-9a-zA-Z_-]+
    | (?P<bearer>\b(?:bearer|basic)\s+)[^\s'",;]+   # whatever stands for a user
    | (?P<known>\b(?:hf|sk|ghp|gho|glpat)[_-])[0-9A-Za-z_-]{16,}
    | (?P<user>\b[a-z][a-z0-9+.-]{1,15}://[^\s/@:]{0,80}:)[^\s/@]+(?=@)  # of a URL
    | (?P<named>["']?\b(?:authorization|password|passwd|secret|api[_-]?key|access[_-]?token
        |token)["']?\s*[=:]\s*["']?)(?!bearer|basic)[^\s"',;&]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NAMES = re.compile(r"authorization|password|passwd|secret|api_?key|token|cookie", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text with stars in place of what looks like a secret."""
    return _SECRETS.sub(lambda found: f"{found[found.lastgroup or 0]}{STARS}", text)


def redacted_field(name: str, value: Any) -> Any:
    """A field of a record: numbers as they are, everything else as text without secrets."""
    if _NAMES.fullmatch(name):
        return STARS
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redacted(str(value))
