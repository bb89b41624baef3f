"""Errors between a client and a server.

What is wrong with a workflow, a value or a file is told by the classes of `nodegraph.errors`, as it
would be without a server.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.errors import InvalidFile, NodegraphError, Problem

TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
"""Statuses of what may well go better a little later."""


class NotReachable(NodegraphError):
    """No connection could be made; nothing was sent."""

    code = "server-not-reachable"


class ConnectionLost(NodegraphError):
    """The connection broke; whether the server did what it was asked isn't known."""

    code = "connection-lost"


class UnexpectedAnswer(NodegraphError):
    """What answers is no nodegraph server, or one of another version."""

    code = "unexpected-answer"


class TookTooLong(NodegraphError, TimeoutError):
    """What was waited for hasn't happened in time."""

    code = "took-too-long"


class WrongDigest(InvalidFile):
    """A file that was downloaded isn't what the job wrote."""

    code = "wrong-digest"


class JobFailed(NodegraphError):
    """A job failed or was cancelled; carries all that is wrong.

    Attributes:
        job: Its id.
    """

    code = "job-failed"

    def __init__(self, job: str, problems: Sequence[Problem], message: str = "it failed") -> None:
        all_problems = tuple(problems) or (Problem(self.code, message, given=job),)
        super().__init__(all_problems[0].message)
        self.job = job
        self.problem = all_problems[0]
        self.args = ("\n".join(map(str, all_problems)),)
        self._problems = all_problems

    @property
    def problems(self) -> Sequence[Problem]:
        return self._problems


class ServerError(NodegraphError):
    """The server refuses; its kinds below are those that programs tell apart.

    Attributes:
        status: HTTP status.
        request_id: What the server, or a proxy before it, calls the request in its logs, if it
            says so.
        retry_after: Seconds after which it may be asked again, if it says so.
    """

    code = "server-error"

    def __init__(
        self,
        problems: Sequence[Problem],
        *,
        status: int,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(problems[0].message)
        self.problem = problems[0]
        self.args = ("\n".join(map(str, problems)),)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self._problems = tuple(problems)

    @property
    def problems(self) -> Sequence[Problem]:
        return self._problems

    @property
    def is_passing(self) -> bool:
        """Whether it may well go better a little later."""
        return self.status in TRANSIENT_STATUSES


class Unauthenticated(ServerError):
    """A token is needed, or the one that was sent isn't good."""


class Forbidden(ServerError):
    """The token doesn't allow it."""


class NotFound(ServerError):
    """There is nothing of that name."""


class JobNotFound(NotFound):
    """No job of that id that the token's owner may see."""


class Conflict(ServerError):
    """The state of what is there doesn't allow it, or it was changed meanwhile."""


class TooManyRequests(ServerError):
    """The server, or its queue, takes no more for now."""
