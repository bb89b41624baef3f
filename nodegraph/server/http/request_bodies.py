"""Request bodies: strict JSON, and multipart forms read as a stream."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from nodegraph.core.json_text import read_json
from nodegraph.errors import InvalidFile
from nodegraph.server.http.errors import Refused, TooLarge, UnsupportedType

FORM = "multipart/form-data"
_MOST_PARTS = 1000


class BadForm(Refused):
    """A form that can't be read."""

    code = "bad-form"


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part of a form begins; its bytes follow.

    Attributes:
        name: Of the field.
        filename: As the client gives it, any text; None if the part is no file.
        media_type: Likewise; empty if it gives none.
    """

    name: str
    filename: str | None
    media_type: str


@dataclass(frozen=True, slots=True)
class PartEnds:
    """All bytes of a part have come."""


FormEvent: TypeAlias = PartBegins | bytes | PartEnds


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form of several parts."""
    return content_type.partition(";")[0].strip().lower() == FORM


async def form_events(
    chunks: AsyncIterator[bytes], content_type: str, *, parts: int = _MOST_PARTS
) -> AsyncIterator[FormEvent]:
    """What a form consists of, in order.

    Args:
        content_type: The header, which tells what parts the parts.
        parts: That there may be.
    Raises:
        BadForm: It can't be read, or ends too early.
        TooLarge: It has more parts.
    """
    reader = _Reader(content_type, parts)
    async for chunk in chunks:
        for event in reader.feed(chunk):
            yield event
    reader.finish()


class _Reader:
    """Turns what the parser calls back with into events."""

    def __init__(self, content_type: str, parts: int) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadForm(
                "the form does not declare the boundary between its parts", given=content_type
            )
        self._events: list[FormEvent] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._parts_left = parts
        self._is_over = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._over,
                },
            )
        except FormParserError as error:
            raise BadForm(f"the form cannot be read: {error}") from error

    def feed(self, chunk: bytes) -> list[FormEvent]:
        """What a piece of the body brings."""
        if chunk:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise BadForm(f"the form cannot be read: {error}") from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Check that nothing is missing."""
        if not self._is_over:
            raise BadForm("the form ends before the end of its last part")

    def _begin(self) -> None:
        self._parts_left -= 1
        if self._parts_left < 0:
            raise TooLarge("the form has too many parts")
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise BadForm("a part of the form has no name")
        filename = options.get(b"filename")
        self._events.append(
            PartBegins(
                _text(options[b"name"]),
                None if filename is None else _text(filename),
                _text(self._headers.get(b"content-type", b"")),
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(bytes(data[start:end]))

    def _end(self) -> None:
        self._events.append(PartEnds())

    def _over(self) -> None:
        self._is_over = True


def _text(written: bytes) -> str:
    return written.decode(errors="replace")


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DIRECT = "nodegraph_direct"
_LARGE = 64 << 10
"""Bytes that take more than a millisecond to read."""
Direct = Callable[[Request, Any], Awaitable[Response | None]]
E = TypeVar("E", bound=Callable[..., Any])


class InvalidJson(Refused):
    """A body that is no JSON, or not the same JSON for everybody: a key twice, NaN."""

    code = "invalid-json"


class JsonRoute(APIRoute):
    """A route whose body, if it has one, must be called JSON and be it.

    That it must be called so keeps pages elsewhere out: a form can't, and a script has to ask
    first. A router has it as its `route_class`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        direct: Direct | None = getattr(self.endpoint, _DIRECT, None)

        async def read(request: Request) -> Response:
            data = await request.body()
            if not data:
                return await handle(request)
            _check_type(request)
            document = await _read_aside(data) if len(data) > _LARGE else read_document(data)
            answer = None if direct is None else await direct(request, document)
            return await handle(_Read(request, document)) if answer is None else answer

        return read


def fast_path(direct: Direct) -> Callable[[E], E]:
    """Have an endpoint's requests answered by a shorter way, as far as that goes.

    Args:
        direct: Is handed the request and its document. What it doesn't answer goes the framework's
            way, which takes a tenth of a millisecond more and says of all that is wrong what it is.
    """

    def marked(endpoint: E) -> E:
        setattr(endpoint, _DIRECT, direct)
        return endpoint

    return marked


class _Read(Request):
    """A request whose body was read."""

    def __init__(self, request: Request, document: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._document = document

    async def body(self) -> bytes:
        return b"{}"  # FastAPI asks for more than that only if there is something

    async def json(self) -> Any:
        return self._document


async def _read_aside(data: bytes) -> Any:
    """As `read_document`, while others have their turn."""
    return await asyncio.to_thread(read_document, data)


def _check_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedType(
            "the body must be JSON", given=content_type[:80] or "none", expected="application/json"
        )


def read_document(data: bytes) -> Any:
    """The value of a JSON body.

    Raises:
        InvalidJson: It is none, or not the same for everybody.
    """
    try:
        document = read_json(data.decode())
        if _SURROGATE.search(data):
            # Half a pair is no character: whoever wrote it out again would fail.
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except UnicodeEncodeError:
        raise InvalidJson(
            "the body contains half of a surrogate pair, which is not a character"
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidJson(f"the body is not UTF-8 text (byte {error.start})") from None
    except InvalidFile as error:
        problem = error.problem
        raise InvalidJson(problem.message, hint=problem.hint) from None
