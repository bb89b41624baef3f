"""Errors between a client and a server.

Problems of a workflow, a value or a file are raised as the classes of `nodegraph.errors`, as
without a server.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.errors import InvalidFile, NodegraphError, Problem

TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
"""HTTP statuses of errors that may be temporary."""


class NotReachable(NodegraphError):
    """The client cannot connect to the server; nothing was sent."""

    code = "server-not-reachable"


class ConnectionLost(NodegraphError):
    """The connection broke; it is not known whether the server processed the request."""

    code = "connection-lost"


class UnexpectedAnswer(NodegraphError):
    """The answer is not from a nodegraph server, or from one of another version."""

    code = "unexpected-answer"


class TookTooLong(NodegraphError, TimeoutError):
    """A wait exceeded its timeout."""

    code = "took-too-long"


class WrongDigest(InvalidFile):
    """A downloaded file differs from what the job wrote."""

    code = "wrong-digest"


class JobFailed(NodegraphError):
    """A job failed or was cancelled; lists all its problems.

    Attributes:
        job: Id of the job.
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
    """The server refused a request. The subclasses are for cases that programs handle.

    Attributes:
        status: HTTP status.
        request_id: Id of the request in the logs of the server or of a proxy, if there is one.
        retry_after: Seconds after which to try again, if the server gave them.
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
        """Whether the error may be temporary."""
        return self.status in TRANSIENT_STATUSES


class Unauthenticated(ServerError):
    """A token is needed, or the sent token is not valid."""


class Forbidden(ServerError):
    """The token does not allow the request."""


class NotFound(ServerError):
    """There is no item of this name."""


class JobNotFound(NotFound):
    """There is no job of this id that the token's owner may see."""


class Conflict(ServerError):
    """The current state does not allow the request, or the item was changed meanwhile."""


class TooManyRequests(ServerError):
    """The server or its queue accepts no more requests for now."""
