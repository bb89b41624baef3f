"""Refusing a request, and a log line for each that was."""

from __future__ import annotations

import logging

from starlette.types import Receive, Scope, Send

from nodegraph.errors import NodegraphError
from nodegraph.server.access.caller import Caller
from nodegraph.server.access.head import Head
from nodegraph.server.http.errors import Refused
from nodegraph.server.http.limits.body import drain
from nodegraph.server.http.problems import problem_response
from nodegraph.server.root_path import public_path

LOG = logging.getLogger("nodegraph.server.refused")
STATUSES = frozenset({400, 401, 403, 405, 408, 413, 414, 415, 421, 429})
"""Of answers that count as a refusal, rather than as an answer to a mistaken request."""
_LONGEST = 200


async def answer_refusal(
    error: Refused, scope: Scope, send: Send, unread: Receive | None = None
) -> None:
    """Send a refusal.

    Args:
        unread: Gives what is left of the request's body; None if nothing is.
    """
    response = problem_response(error, instance=public_path(scope["path"]))
    headers = list(response.raw_headers)
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    elif unread is not None:
        headers.append((b"connection", b"close"))
    status = response.status_code
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    if unread is not None:
        await send({"type": f"{kind}.body", "body": response.body, "more_body": True})
        await drain(unread)
    await send({"type": f"{kind}.body", "body": b"" if unread is not None else response.body})


def log_refusal(
    head: Head, status: int, error: NodegraphError | None, caller: Caller | None
) -> None:
    """Note that a request was refused, where it came from and why."""
    fields = {
        "status": str(status),
        "code": "" if error is None else error.problem.code,
        "method": "WEBSOCKET" if head.is_websocket else head.method,
        "path": head.path,
        "address": head.remote,
        "host": _shown(head, b"host"),
        "origin": _shown(head, b"origin"),
        "client": "" if caller is None else caller.name,
    }
    shown = {name: _cut(value) for name, value in fields.items() if value}
    # What an attacker wrote stays within its quotes, and in one line.
    text = " ".join(f"{name}={value!a}" for name, value in shown.items())
    why = "no reason given" if error is None else ascii(_cut(error.problem.message))[1:-1]
    LOG.warning("refused: %s (%s)", why, text, extra={"fields": {"event": "refused", **shown}})


def _shown(head: Head, name: bytes) -> str:
    return ", ".join(value.decode("latin-1") for value in head.headers.get(name, ()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
