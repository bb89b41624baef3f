"""The caller of a request, its scopes, and what the gate records about the request."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from nodegraph.errors import NodegraphError

Scope = Literal["read", "run", "models", "admin"]
"""``read``: see node types, models, saved workflows and one's own jobs. ``run``: submit jobs and
steer one's own, save workflows, upload. ``models``: search other sites, download models, change,
move and remove them. ``admin``: see and steer everybody's, change settings."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
_IMPLIED: dict[Scope, frozenset[Scope]] = {
    "read": frozenset({"read"}),
    "run": frozenset({"read", "run"}),
    "models": frozenset({"read", "models"}),
    "admin": frozenset(SCOPES),
}
KEY = "nodegraph"
"""In a request's scope."""
HEAD_ONLY = "nodegraph.head_only"
"""Likewise: set where nobody will read the body, as the client asked for the head alone."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: Their jobs' client.
        scopes: What they may do, what that implies included.
        token: Id of the token that they came with; empty without one.
        session: Of a browser that logged in with that token; empty for others.
        webhook: Where events of their jobs are sent, unless a job says otherwise; empty for
            nowhere.
    """

    name: str
    scopes: frozenset[Scope]
    token: str = ""
    session: str = ""
    webhook: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether they have a scope."""
        return scope in self.scopes

    def sees(self, client: str) -> bool:
        """Whether they may know of a client's jobs: their own, or everybody's."""
        return client == self.name or "admin" in self.scopes

    @property
    def only_client(self) -> str | None:
        """The one client whose jobs they see; None if they see everybody's."""
        return None if "admin" in self.scopes else self.name


def implied(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """Scopes with what they imply: who may run may read, who may administer may do all."""
    empty: frozenset[Scope] = frozenset()
    return empty.union(*(_IMPLIED[scope] for scope in scopes))


LOCAL = Caller("local", frozenset(SCOPES))
"""Whoever comes over the loopback interface while there are no tokens."""


@dataclass(slots=True)
class RequestNotes:
    """Of one request.

    Attributes:
        caller: Who asks; None for nobody known.
        refusal: Why it was refused, if it was.
    """

    caller: Caller | None = None
    refusal: NodegraphError | None = None


def request_notes(scope: MutableMapping[str, Any]) -> RequestNotes:
    """The notes of a request; empty ones if it came by no gate."""
    return cast(RequestNotes, scope.setdefault(KEY, RequestNotes()))
