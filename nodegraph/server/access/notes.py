"""What the gate finds out about a request, for those behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.types import Scope

from nodegraph.errors import NodegraphError
from nodegraph.server.access.caller import Caller

KEY = "nodegraph"
"""In a request's scope."""
HEAD_ONLY = "nodegraph.head_only"
"""Likewise: set where nobody will read the body, as the client asked for the head alone."""


@dataclass(slots=True)
class Notes:
    """Of one request.

    Attributes:
        caller: Who asks; None for nobody known.
        refusal: Why it was refused, if it was.
    """

    caller: Caller | None = None
    refusal: NodegraphError | None = None


def notes_of(scope: Scope) -> Notes:
    """The notes of a request; empty ones if it came by no gate."""
    return cast(Notes, scope.setdefault(KEY, Notes()))
