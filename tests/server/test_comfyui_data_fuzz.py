"""Wild requests to ComfyUI's routes of nodes, models, files and settings: never a fault of ours."""

from __future__ import annotations

import json
import logging
import string
from http.client import HTTPConnection
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.comfyui_prompts import comfyui_routes
from tests.server.hosting import PATIENCE, Hosted

TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("..", "../../etc/passwd", "a/b", "move", "a/move/b", "workflows", "user.css", ""),
            *("comfy.settings.json", "index.json", "CON", "%2e%2e", "\0", "\u202e", "tiny"),
            *("x" * 300, "a/" * 40, "checkpoints", "index.html", "KSampler", "a\\b", "~"),
        ]
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode("utf-8", "replace")),
    st.sampled_from([b"", b"{", b"[" * 5000, b'{"a":NaN}', b'{"a":1,"a":2}', b'"\\ud800"']),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Comfy-User", "If-None-Match", "Accept-Encoding", "Range", "Accept"]
    ),
    st.one_of(
        st.text(string.ascii_letters + string.digits + string.punctuation, max_size=30),
        st.sampled_from(["application/json", "gzip;q=0", "bytes=5-1", "*", 'W/"x"', "text/html"]),
    ),
    max_size=3,
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["dir", "path", "recurse", "full_info", "split", "overwrite", "filename", "x", ""]
    ),
    TEXTS | st.sampled_from(["true", "false", "1"]),
    max_size=4,
)


ROUTES = comfyui_routes("node_info", "front_end")


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    method, path = draw(st.sampled_from(ROUTES))
    method = draw(st.sampled_from([method] * 5 + ["GET", "POST", "DELETE", "PUT", "PATCH"]))
    while "{" in path:
        before, _, behind = path.partition("{")
        safe = draw(st.sampled_from(["", "/"]))
        text = quote(draw(TEXTS).encode("utf-8", "replace"), safe=safe)
        path = f"{before}{text}{behind.partition('}')[2]}"
    if draw(st.booleans()):
        path = path.replace("/comfyui/", "/comfyui/api/", 1)
    query = "&".join(
        f"{name}={quote(value.encode('utf-8', 'replace'), safe='')}"
        for name, value in draw(QUERIES).items()
    )
    body = draw(BODIES) if method != "GET" else b""
    return method, f"{path}?{query}" if query else path, body, draw(HEADERS)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(requests())
def test_no_request_is_a_fault_of_the_server(
    server: Hosted, request: tuple[str, str, bytes, dict[str, str]]
) -> None:
    method, path, body, headers = request
    connection = HTTPConnection(server.host, timeout=PATIENCE)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert answer.status < 500, (request, content)
    if answer.status >= 400:
        document = json.loads(content)
        assert document["error"], request


def test_the_tests_reach_every_route() -> None:
    assert len(ROUTES) > 25
    assert {method for method, _ in ROUTES} == {"GET", "POST", "DELETE", "PATCH", "PUT"}


def test_nothing_is_logged_as_an_error(server: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("%ff", "a%00b", "..%2f", "%F0%9F%90%88"):
        connection = HTTPConnection(server.host, timeout=PATIENCE)
        connection.request("GET", f"/comfyui/userdata/{path}")
        assert connection.getresponse().status in (400, 404)
        connection.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
