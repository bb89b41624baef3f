"""Errors between the server and its workers, and their form in messages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from nodegraph.errors import NodeFailed, NodegraphError, Problem

_LOG = logging.getLogger(__name__)


def error_from_problems(problems: Iterable[Problem]) -> dict[str, Any]:
    """Problems as one error: the first one, and all of them in ``problems``."""
    listed = [problem.as_dict() for problem in problems]
    return {**listed[0], "problems": listed}


def error_to_dict(error: BaseException) -> dict[str, Any]:
    """What an exception tells, as `error_from_problems` does."""
    if isinstance(error, NodegraphError):
        return error_from_problems(error.problems)
    _LOG.error("an unexpected error", exc_info=error)
    message = f"{type(error).__name__}: {error}"
    hint = "This is a fault of nodegraph or of a pack's hook. The log shows where."
    return error_from_problems([Problem("internal", message, hint=hint)])


def node_errors_to_dict(errors: Sequence[NodeFailed]) -> dict[str, Any]:
    """What failed nodes tell; of the first one also its inputs, and where in its pack it failed."""
    first = errors[0]
    more = {"inputs": first.inputs, "trace": first.trace}
    combined = error_from_problems(problem for error in errors for problem in error.problems)
    return {**combined, **{name: value for name, value in more.items() if value}}


class ProtocolFault(NodegraphError):
    """Bytes or messages that aren't as agreed: too large, damaged, of an unknown kind."""

    code = "worker-protocol"


class WorkerNotIdle(NodegraphError):
    """A worker that can take no job now."""

    code = "worker-not-idle"


class NoAnswer(NodegraphError):
    """A question that wasn't answered in time, or whose planner can't be kept alive."""

    code = "no-answer"


class NoAnswerYet(NoAnswer):
    """A question that nobody has come to the end of so far: who asks again may be answered."""


class QuestionFailed(NodegraphError):
    """A question whose answer is an error, such as a plan of a workflow that can't be read.

    Attributes:
        error: As the planner told it: `Problem.as_dict` of the first, and all in ``problems``.
    """

    code = "question-failed"

    def __init__(self, error: dict[str, object]) -> None:
        problems = error.get("problems")
        listed = problems if isinstance(problems, list) else []
        self._problems = tuple(
            Problem.from_dict(_texts(item), code=self.code) for item in listed or [error]
        )
        super().__init__("\n".join(str(problem) for problem in self._problems))
        self.problem = self._problems[0]
        self.error = error

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems


class FilesUnavailable(NodegraphError):
    """What a job needs can't be brought here now; it is neither the job's fault nor the queue's."""

    code = "files-away"


def _texts(problem: object) -> dict[str, str]:
    """What is text in what should be a problem."""
    fields = problem if isinstance(problem, dict) else {}
    return {name: value for name, value in fields.items() if isinstance(value, str)}
