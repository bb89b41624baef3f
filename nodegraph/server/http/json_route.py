"""Routes whose bodies are JSON, read strictly and once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from nodegraph.core.json_text import read_json
from nodegraph.errors import InvalidFile
from nodegraph.server.http.errors import Refused, UnsupportedType

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
            "the body is to be JSON", given=content_type[:80] or "none", expected="application/json"
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
        raise InvalidJson("the body holds half a surrogate pair, which is no character") from None
    except UnicodeDecodeError as error:
        raise InvalidJson(f"the body is no UTF-8 text (byte {error.start})") from None
    except InvalidFile as error:
        problem = error.problem
        raise InvalidJson(problem.message, hint=problem.hint) from None
