"""Error classes, with structured data for each problem.

Every error contains its node and port, the given and the expected value and a hint. A command line
can print it, and an editor can mark the port.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from traceback import TracebackException


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a workflow, a file or a value.

    Attributes:
        code: Stable name of the kind of problem, such as ``unknown-node-type``.
        message: What is wrong, in one sentence without the place.
        node: Name of the node in the workflow.
        node_type: Type of that node.
        port: Input or output port.
        given: Given value, as text.
        expected: Allowed values, as text.
        hint: Next step that fixes it.
    """

    code: str
    message: str
    node: str | None = None
    node_type: str | None = None
    port: str | None = None
    given: str | None = None
    expected: str | None = None
    hint: str | None = None

    @property
    def place(self) -> str:
        """Place of the problem: the node, its type and the input; empty if none is known."""
        parts = []
        if self.node:
            kind = f" ({self.node_type})" if self.node_type else ""
            parts.append(f"node `{self.node}`{kind}")
        if self.port:
            parts.append(f"input `{self.port}`")
        return ", ".join(parts)

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        details = [
            f"{label} {value}"
            for label, value in (("given:", self.given), ("expected:", self.expected))
            if value
        ]
        if details:
            text += f" ({'; '.join(details)})"
        if not self.hint:
            return text
        return f"{text} {self.hint}" if text.endswith((".", "?", "!")) else f"{text}. {self.hint}"

    @classmethod
    def from_dict(cls, document: Mapping[str, object], *, code: str = "error") -> Problem:
        """Return a problem from a dictionary, also one of a later version or another program.

        Args:
            code: Code to use if the dictionary has none.
        """
        known = {
            name: str(document[name]) for name in cls.__slots__ if document.get(name) is not None
        }
        return cls(**{"code": code, "message": "it failed", **known})

    def as_dict(self) -> dict[str, str]:
        """Return the fields that are set, for JSON output."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def about_node(self) -> dict[str, str]:
        """Return the fields that are set, without the node's name."""
        return {key: value for key, value in self.as_dict().items() if key != "node"}


class NodegraphError(Exception):
    """Base class of all errors that nodegraph raises.

    Args:
        message: What is wrong, in one sentence.
        node, node_type, port, given, expected, hint: See `Problem`.
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        node_type: str | None = None,
        port: str | None = None,
        given: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problem = Problem(self.code, message, node, node_type, port, given, expected, hint)
        super().__init__(str(self.problem))

    @property
    def problems(self) -> Sequence[Problem]:
        """All problems of this error, at least one."""
        return (self.problem,)

    def _render_traceback_(self) -> list[str]:
        """Return the traceback for notebooks: lines of the caller and of packs, not nodegraph's.

        IPython calls it by this name.
        """
        from traceback import TracebackException

        # Compact: otherwise an error that is a context above is left out as a cause below.
        trace = TracebackException.from_exception(self, compact=True)
        return "".join(_outer(trace).format()).splitlines()

    def __reduce__(self) -> tuple[Callable[..., NodegraphError], tuple[object, ...]]:
        # Python would recreate it from its text alone, which fails and makes other processes hang.
        return _as_it_was, (type(self), self.args, self.__dict__)


def _outer(trace: TracebackException) -> TracebackException:
    """Return a traceback without the frames of nodegraph and IPython.

    Causes that have only such frames are replaced by their own causes.
    """
    import os
    from traceback import StackSummary

    here, library = Path(__file__).parent, Path(os.__file__).parent
    folders = [here, here.parent / "nodes", here.parent / "nodegraph_nodes"]
    folders += [library / "asyncio", library / "concurrent", *_notebook_folders()]
    own = tuple(f"{folder}{os.sep}" for folder in folders)
    files = {str(library / name) for name in ("contextlib.py", "threading.py")}
    trace.stack = StackSummary.from_list(
        [f for f in trace.stack if not f.filename.startswith(own) and f.filename not in files]
    )
    for each in _grouped(trace):
        _outer(each)
    cause = trace.__cause__
    if cause is None and not trace.__suppress_context__:
        cause = trace.__context__
    if cause is not None:
        cause = _outer(cause)
        if not cause.stack and not any(each.stack for each in _grouped(cause)):
            cause = cause.__cause__
    trace.__cause__, trace.__context__ = cause, None
    return trace


def _grouped(trace: TracebackException) -> Sequence[TracebackException]:
    """Return the exceptions of an exception group, which Python has since 3.11."""
    return getattr(trace, "exceptions", None) or ()


def _notebook_folders() -> Iterator[Path]:
    """Yield the folders of IPython, if it is loaded: it calls the code of cells."""
    for name in ("IPython", "ipykernel"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            yield Path(file).parent


def _as_it_was(
    kind: type[NodegraphError], args: tuple[object, ...], state: dict[str, object]
) -> NodegraphError:
    """Return an error that was pickled or copied."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


@contextmanager
def at_port(port: str) -> Iterator[None]:
    """Add a port to errors inside the `with` that do not name one."""
    try:
        yield
    except NodegraphError as error:
        error.problem = replace(error.problem, port=error.problem.port or port)
        raise


class InvalidWorkflow(NodegraphError):
    """A workflow that cannot run; lists all problems, not only the first."""

    code = "invalid-workflow"

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("an invalid workflow needs at least one problem")
        super().__init__("\n".join(str(problem) for problem in problems))
        self._problems = tuple(problems)

    @property
    def problems(self) -> Sequence[Problem]:
        return self._problems


class InvalidFile(NodegraphError):
    """A file that is missing, unreadable, damaged or of the wrong kind."""

    code = "invalid-file"


class InvalidValue(NodegraphError):
    """A value that an input does not accept."""

    code = "invalid-value"


class ModelNotFound(NodegraphError):
    """A model that does not exist under the given name or path."""

    code = "model-not-found"


class UnsafeFile(InvalidFile):
    """A file refused because opening it could run code, such as a pickle checkpoint."""

    code = "unsafe-file"


class NumericalError(NodegraphError):
    """NaN or infinity where a finite tensor is needed."""

    code = "not-finite"


class PackError(NodegraphError):
    """A node pack that cannot be loaded or has an invalid declaration."""

    code = "invalid-pack"


class OutputError(NodegraphError):
    """A result that cannot be written: no permission, no space."""

    code = "output-failed"


def _error_text(error: BaseException) -> str:
    """Return an exception's type and text, even if its `__str__` raises."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a pack's own exception class may raise anything
        text = ""
    return f"{name}: {text}" if text else name


class NodeFailed(NodegraphError):
    """An exception in a node; the original exception is the cause.

    Attributes:
        inputs: Short descriptions of the node's inputs, such as ``float32 [1, 64, 64, 3]``.
        trace: Traceback through the pack's own code; empty for errors that nodegraph explains.
    """

    code = "node-failed"

    def __init__(
        self,
        error: BaseException,
        *,
        node: str,
        node_type: str,
        inputs: Mapping[str, str],
        trace: str = "",
    ) -> None:
        self.inputs = dict(inputs)
        self.trace = trace
        if isinstance(error, NodegraphError):
            original = error.problem
            location = {"node": original.node or node, "node_type": original.node_type or node_type}
            problem = replace(original, **location)
        else:
            message = _error_text(error)
            problem = Problem(self.code, message, node, node_type)
        super().__init__(problem.message)
        self.problem = problem
        self.args = (str(problem),)


class Cancelled(NodegraphError):
    """A cancelled run; raised inside a node at its next progress report."""

    code = "cancelled"

    def __init__(self, message: str = "the run was cancelled", **where: str | None) -> None:
        super().__init__(message, **where)
