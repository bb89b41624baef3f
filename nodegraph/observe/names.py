"""Names of calls."""

from __future__ import annotations

import re

_PLACE_IN_LISTS = re.compile(r"(\[\d+\])+$")


def node_of(call: str) -> str:
    """The node that a call belongs to; mapped over a list, its calls are ``decode[2]``."""
    return _PLACE_IN_LISTS.sub("", call)
