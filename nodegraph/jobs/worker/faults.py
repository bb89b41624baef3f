"""Why a job failed, or a question can't be answered, as plain values."""

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
    _LOG.error("a fault that nobody foresaw", exc_info=error)
    message = f"{type(error).__name__}: {error}"
    hint = "This is a fault of nodegraph or of a pack's hook; the log says where."
    return error_from_problems([Problem("internal", message, hint=hint)])


def node_errors_to_dict(errors: Sequence[NodeFailed]) -> dict[str, Any]:
    """What failed nodes tell; of the first one also its inputs, and where in its pack it failed."""
    first = errors[0]
    more = {"inputs": first.inputs, "trace": first.trace}
    combined = error_from_problems(problem for error in errors for problem in error.problems)
    return {**combined, **{name: value for name, value in more.items() if value}}
