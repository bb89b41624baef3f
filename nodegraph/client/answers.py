"""Read answers of the server: typed values, pages, node types and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from nodegraph.client.endpoint import TOKEN_VARIABLE
from nodegraph.client.errors import (
    Conflict,
    Forbidden,
    JobFailed,
    JobNotFound,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthenticated,
    UnexpectedAnswer,
)
from nodegraph.client.requests import Reply
from nodegraph.core.catalog import NO_USAGE, Usage
from nodegraph.core.spec import HookName, InputSpec, NodeSpec, OutputSpec
from nodegraph.core.types import TypeInfo, TypeTable
from nodegraph.errors import (
    InvalidFile,
    InvalidValue,
    InvalidWorkflow,
    ModelNotFound,
    NodegraphError,
    PackError,
    Problem,
    UnsafeFile,
)


@dataclass(frozen=True)
class NodeTypes:
    """Node types of a server with their inputs and outputs; a `nodegraph.core.catalog.Catalog`.

    It has no hooks: they are code, which stays on the server.

    Attributes:
        specs: Declarations by node type.
        types: Port types.
        packs: Versions of node packs by name.
        problems: Problems of packs.
        usage: What advice on a workflow is ranked by; nothing of a server of an earlier version.
    """

    specs: Mapping[str, NodeSpec]
    types: TypeTable
    packs: Mapping[str, str]
    problems: tuple[str, ...]
    usage: Usage = NO_USAGE

    def spec(self, node_type: str) -> NodeSpec | None:
        """Return the declaration of a node type; None if there is no such type."""
        return self.specs.get(node_type)

    def node_types(self) -> Sequence[str]:
        """Return the names of all node types, sorted."""
        return sorted(self.specs)

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        """Return None: hooks stay on the server."""
        return None

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return an empty dictionary: migrations stay on the server."""
        return {}


def read_node_types(answer: Reply) -> NodeTypes:
    """Read the list of all node types from an answer.

    Raises:
        UnexpectedAnswer: The answer is not such a list.
    """
    document = mapping(answer)
    try:
        specs = [_spec(each) for each in document["items"]]
        return NodeTypes(
            {spec.type: spec for spec in specs},
            TypeTable(_type(each) for each in document["port_types"]),
            {str(name): str(version) for name, version in document["packs"].items()},
            tuple(map(str, document["problems"])),
            _usage(document["usage"]) if "usage" in document else NO_USAGE,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unexpected_answer(answer) from error


def read_node_type(answer: Reply) -> NodeSpec:
    """Read a single node type from an answer.

    Raises:
        UnexpectedAnswer: The answer is not a node type.
    """
    try:
        return _spec(mapping(answer))
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected_answer(answer) from error


def _spec(entry: Mapping[str, Any]) -> NodeSpec:
    known = _known(NodeSpec, entry)
    known["inputs"] = [_known(InputSpec, each) for each in known.get("inputs", ())]
    known["outputs"] = [_known(OutputSpec, each) for each in known.get("outputs", ())]
    spec: NodeSpec = convert(NodeSpec, known)
    return spec


def _known(model: type[Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    # A server of a later version may tell more.
    names = {item.name for item in fields(model)}
    return {name: value for name, value in entry.items() if name in names}


def _usage(entry: Mapping[str, Any]) -> Usage:
    return Usage(dict(entry["types"]), dict(entry["links"]))


def _type(entry: Mapping[str, Any]) -> TypeInfo:
    return TypeInfo(entry["name"], entry["color"], tuple(entry["parents"]), entry["description"])


T = TypeVar("T")
_PICTURE = "image/webp"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list.

    Attributes:
        next: Cursor of the next page; None on the last page.
    """

    items: tuple[T, ...]
    next: str | None = None


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def convert(kind: Any, values: Any) -> Any:
    """Convert plain values to an instance of a dataclass.

    Raises:
        ValueError: A required value is missing or invalid.
    """
    return _adapter(kind).validate_python(values)


def _document(answer: Reply) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise unexpected_answer(answer) from error


def parse_answer(kind: type[T], answer: Reply) -> T:
    """Return the object in an answer.

    Raises:
        UnexpectedAnswer: The answer has another form; all functions below raise this, too.
    """
    try:
        value: T = convert(kind, _document(answer))
        return value
    except ValidationError as error:
        raise unexpected_answer(answer) from error


def page(kind: type[T], answer: Reply) -> Page[T]:
    """Return the page of a list in an answer."""
    return parse_answer(Page[kind], answer)  # type: ignore[valid-type]  # known only here


def mapping(answer: Reply) -> Mapping[str, Any]:
    """Return the JSON object in an answer."""
    document = _document(answer)
    if not isinstance(document, dict):
        raise unexpected_answer(answer)
    return document


def count(name: str, answer: Reply) -> int:
    """Return the count that an answer contains under a name."""
    number = mapping(answer).get(name)
    if not isinstance(number, int):
        raise unexpected_answer(answer)
    return number


def raw(answer: Reply, media_type: str) -> bytes:
    """Return the bytes of an answer whose type begins like this."""
    if not answer.headers.get("content-type", "").startswith(media_type):
        raise unexpected_answer(answer)
    return answer.body


def picture(answer: Reply) -> bytes:
    """Return the small image in an answer."""
    if answer.headers.get("content-type") != _PICTURE:
        raise unexpected_answer(answer)
    return answer.body


MEDIA_TYPE = "application/problem+json"
_REQUEST_IDS = ("x-request-id", "x-correlation-id")
_FIELDS = tuple(each.name for each in fields(Problem))
_SHOWN = 200
# Only errors that a client can fix: a file that the server cannot write is not one of them.
_OWN: Mapping[str, type[NodegraphError]] = {
    kind.code: kind for kind in (InvalidFile, InvalidValue, ModelNotFound, PackError, UnsafeFile)
}
_BY_CODE: Mapping[str, type[ServerError]] = {"job-not-found": JobNotFound}
_BY_STATUS: Mapping[int, type[ServerError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: TooManyRequests,
}


def error_from_reply(answer: Reply) -> NodegraphError:
    """Return the error in an answer that is not successful."""
    if 300 <= answer.status < 400:
        return _redirected(answer)
    document = _problem_document(answer)
    if document is None:
        return _foreign(answer)
    return error_from_document(
        document,
        status=answer.status,
        request_id=next(
            (answer.headers[name][:_SHOWN] for name in _REQUEST_IDS if name in answer.headers), None
        ),
        retry_after=answer.retry_after,
        had_token=answer.had_token,
    )


def error_from_document(
    document: Mapping[str, Any],
    *,
    status: int,
    request_id: str | None = None,
    retry_after: float | None = None,
    had_token: bool = True,
) -> NodegraphError:
    """Return the error of a problem document.

    Args:
        document: Problem document (RFC 9457), with the engine's own problems.
        had_token: Whether a token was sent, for the hint.
    """
    code = str(document.get("type", "")).rpartition("/")[2] or "server-error"
    problems = problems_in(document.get("problems"))
    if not problems:
        problems = (Problem(code, str(document.get("detail") or document.get("title") or code)),)
    if 400 <= status < 500:
        if code == InvalidWorkflow.code:
            return InvalidWorkflow(problems)
        if code == "app-failed":
            return JobFailed(problems[0].given or "", problems)
        if code in _OWN and len(problems) == 1:
            return _own(_OWN[code], problems[0])
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, ServerError)
    hint = _hint(kind, problems[0], request_id if status >= 500 else None, had_token)
    first = replace(problems[0], hint=hint)
    return kind(
        (first, *problems[1:]), status=status, request_id=request_id, retry_after=retry_after
    )


def problems_in(items: Any) -> tuple[Problem, ...]:
    """Return the problems in a list of JSON objects; other items are ignored."""
    listed = items if isinstance(items, Sequence) and not isinstance(items, str) else ()
    return tuple(Problem.from_dict(each) for each in listed if isinstance(each, Mapping))


def _own(kind: type[NodegraphError], problem: Problem) -> NodegraphError:
    details = {name: getattr(problem, name) for name in _FIELDS if name not in ("code", "message")}
    return kind(problem.message, **details)


def _hint(
    kind: type[ServerError], problem: Problem, request_id: str | None, had_token: bool
) -> str | None:
    if kind is Unauthenticated and not had_token:
        return f"Set {TOKEN_VARIABLE} to a token; `nodegraph token add` makes one on the server."
    if kind is Unauthenticated:
        prefix = f"{problem.hint} " if problem.hint else ""
        return f"{prefix}Check that {TOKEN_VARIABLE} holds a token of this server."
    if request_id:
        prefix = f"{problem.hint} " if problem.hint else ""
        return f"{prefix}The server's log may have more about request {request_id}."
    return problem.hint


def _problem_document(answer: Reply) -> Mapping[str, Any] | None:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        return None
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _redirected(answer: Reply) -> NodegraphError:
    return UnexpectedAnswer(
        "the server redirects to another address, and the token is not sent there",
        given=f"status {answer.status}, to {answer.headers.get('location', '')[:_SHOWN]!a}",
        hint="If that is the correct address of the server, use it instead.",
    )


def _foreign(answer: Reply) -> NodegraphError:
    """Return the error of an answer that is not from a nodegraph server, usually from a proxy."""
    if answer.status < 400:
        return unexpected_answer(answer)
    message = f"the server answers with status {answer.status}"
    problem = Problem(ServerError.code, message, hint=_FOREIGN_HINTS.get(answer.status))
    kind = _BY_STATUS.get(answer.status, ServerError)
    return kind((problem,), status=answer.status, retry_after=answer.retry_after)


_FOREIGN_HINTS: Mapping[int, str] = {
    404: "Is this the address of a nodegraph server?",
    413: "A proxy in front of the server limits the size of requests.",
    502: "A proxy answers, but the server behind it does not.",
    504: "A proxy answers, but the server behind it does not.",
}


def unexpected_answer(answer: Reply) -> UnexpectedAnswer:
    """Return the error of an answer in an unexpected form."""
    return UnexpectedAnswer(
        f"the answer to {answer.request.method} {answer.request.path} is not understood",
        given=f"status {answer.status}, {answer.headers.get('content-type', 'no type')[:_SHOWN]}",
        hint="It may not be a nodegraph server, or it has another version.",
    )
