"""What goes wrong between the server and its workers."""

from __future__ import annotations

from nodegraph.errors import NodegraphError, Problem


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
