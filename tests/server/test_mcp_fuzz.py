"""Whatever is sent to MCP's endpoint: no fault of the server, and errors in the protocol's form."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.hosting import PATIENCE, Hosted
from tests.server.test_mcp import READS, RUNS

TEXTS = st.text(max_size=12) | st.sampled_from(
    ("tiny", "text_to_image", "KSampler", "../x", "\0", "nodegraph://results/x", "f" * 64)
)
PLAIN = st.none() | st.booleans() | st.integers(-2, 1 << 65) | st.floats() | TEXTS
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("saved", "template", "nodes", "format", "x")) | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(
        ("name", "text", "type", "search", "workflow", "parameters", "job", "limit", "seconds")
    ),
    VALUES,
    max_size=3,
)
METHODS = st.sampled_from(
    (
        *("tools/list", "tools/call", "resources/list", "resources/read", "initialize", "ping"),
        *("resources/templates/list", "prompts/list", "server/discover", "nothing"),
        "notifications/cancelled",
    )
)
VERSIONS = st.sampled_from((None, "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01"))
ACCEPT = {"Accept": "application/json, text/event-stream"}
QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = sorted(READS | RUNS - {"run_workflow"})
"""Without the one that waits for a job: this server has no workers."""


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        texts = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    else:
        texts = [answer.text] if answer.text else []
    for text in texts:
        document = json.loads(text)
        assert document["jsonrpc"] == "2.0"
        assert ("result" in document) != ("error" in document)


def send(server: Hosted, body: Any, version: str | None, **headers: str) -> httpx.Response:
    every = {"Content-Type": "application/json", **ACCEPT, **headers}
    if version is not None:
        every["MCP-Protocol-Version"] = version
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"{server.url}/mcp"
    return httpx.post(url, content=data, headers=every, timeout=PATIENCE, trust_env=False)


@QUIET
@given(method=METHODS, params=VALUES, id=PLAIN, version=VERSIONS)
def test_wild_messages(server: Hosted, method: str, params: Any, id: Any, version: Any) -> None:
    body = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
    check(send(server, body, version))


@QUIET
@given(body=st.binary(max_size=60) | st.text(max_size=20).map(str.encode), version=VERSIONS)
def test_bodies_that_are_none(server: Hosted, body: bytes, version: Any) -> None:
    check(send(server, body, version))


@QUIET
@given(name=st.sampled_from(NAMES), arguments=ARGUMENTS)
def test_wild_arguments_of_tools(server: Hosted, name: str, arguments: dict[str, Any]) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    # Nobody waits long.
    arguments = {each: value for each, value in arguments.items() if each != "seconds"}
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments, "_meta": meta},
    }
    headers = {"Mcp-Method": "tools/call", "Mcp-Name": name}
    answer = send(server, body, "2026-07-28", **headers)
    check(answer)
    assert "result" in answer.json(), answer.text


@QUIET
@given(
    method=st.sampled_from(("GET", "DELETE", "PUT", "PATCH")),
    session=st.text("abcdef0123456789", max_size=40),
    version=VERSIONS,
)
def test_wild_methods_and_sessions(server: Hosted, method: str, session: str, version: Any) -> None:
    headers = {**ACCEPT, "Mcp-Session-Id": session}
    if version is not None:
        headers["MCP-Protocol-Version"] = version
    url = f"{server.url}/mcp"
    check(httpx.request(method, url, headers=headers, timeout=PATIENCE, trust_env=False))
