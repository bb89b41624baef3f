"""Whatever is sent to OpenAI's images API: no fault of the server, and errors in its form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.hosting import PATIENCE, Hosted, hosted, prepared_home

FIELDS = (
    *("prompt", "model", "n", "size", "seed", "background", "output_format", "stream"),
    *("output_compression", "response_format", "partial_images", "quality", "image", "images"),
    *("mask", "steps", "cfg", "negative_prompt", "width", "height", "image[]", "svg[model]"),
)
TEXTS = st.text(max_size=12) | st.sampled_from(
    (
        *("nodegraph", "a lemon", "8x8", "64x0", "auto", "transparent", "png", "jpeg", "url"),
        *("b64_json", "true", "1", "-1", "data:image/png;base64,AAAA", "data:", "upload:x/y"),
        *("../../etc/passwd", "f" * 64, "*", "a/b", "\0", "\ud7ff"),
    )
)
PLAIN = st.none() | st.booleans() | st.integers(-2, 1 << 65) | st.floats() | TEXTS
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("image_url", "file_id", "x")), inner, max_size=2)
    ),
    max_leaves=5,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), VALUES, max_size=6)
KINDS = st.sampled_from(
    ("application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "")
)
QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def quick(known_packs: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """A server that waits for no job, as it has no workers."""
    home = prepared_home(tmp_path_factory.mktemp("fuzzed") / "home", known_packs)
    with hosted(home, longest_wait=0.01) as server:
        yield server


def check(answer: httpx.Response) -> None:
    if answer.headers["content-type"].startswith("text/event-stream"):
        assert answer.text.startswith("event: error\ndata: ")
        document = json.loads(answer.text.partition("data: ")[2])
    else:
        assert answer.status_code < 500 or answer.status_code == 504, answer.text
        document = answer.json()
        if answer.status_code == 200:
            return
    assert set(document) == {"error"}
    fault = document["error"]
    assert set(fault) == {"message", "type", "param", "code"}
    assert fault["message"]
    assert fault["type"] in ("invalid_request_error", "rate_limit_error", "server_error")


def send(server: Hosted, method: str, path: str, **sent: Any) -> None:
    try:
        request = httpx.Request(method, f"{server.url}{path}", **sent)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return  # no client can send it
    if not request.url.path.startswith("/v1/"):
        return  # `..` has led elsewhere
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        check(client.send(request))


@QUIET
@given(
    path=st.sampled_from(("/v1/images/generations", "/v1/images/edits")),
    body=BODIES,
    has_prompt=st.booleans(),
    key=st.none() | st.text("abc", max_size=3),
)
def test_wild_fields_of_a_json_body(
    quick: Hosted, path: str, body: dict[str, Any], has_prompt: bool, key: str | None
) -> None:
    body |= {"prompt": "a lemon"} if has_prompt else {}
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    send(quick, "POST", path, content=json.dumps(body).encode(), headers=headers)


@QUIET
@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), TEXTS, max_size=5),
    files=st.dictionaries(
        st.sampled_from(("image", "image[]", "mask", "markup", "x")),
        st.binary(max_size=40) | st.just(b"\x89PNG\r\n\x1a\n" + b"\0" * 20),
        max_size=3,
    ),
)
def test_wild_fields_and_files_of_a_form(
    quick: Hosted, fields: dict[str, str], files: dict[str, bytes]
) -> None:
    parts = [(name, (f"{name}.png", data)) for name, data in files.items()] or [("x", ("x", b""))]
    send(quick, "POST", "/v1/images/edits", data=fields, files=parts)


@QUIET
@given(
    path=st.sampled_from(("generations", "edits", "variations", "")),
    body=st.binary(max_size=60),
    kind=KINDS,
)
def test_bodies_that_are_none(quick: Hosted, path: str, body: bytes, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    send(quick, "POST", f"/v1/images/{path}", content=body, headers=headers)


@QUIET
@given(
    method=st.sampled_from(("GET", "POST", "PUT", "DELETE", "PATCH")),
    name=TEXTS | st.text(max_size=30),
    query=st.text(max_size=10),
)
def test_wild_names_queries_and_methods(quick: Hosted, method: str, name: str, query: str) -> None:
    send(quick, method, f"/v1/models/{name}", params={"x": query})


def test_bodies_that_are_too_large_are_refused(hosting: Callable[..., Any]) -> None:
    with hosting(limits={"body": 1_000, "upload": 2_000}) as server:
        long = json.dumps({"prompt": "x" * 2_000}).encode()
        headers = {"Content-Type": "application/json"}
        for path in ("generations", "edits"):
            send(server, "POST", f"/v1/images/{path}", content=long, headers=headers)
        send(server, "POST", "/v1/images/edits", files=[("image", ("a.png", b"x" * 4_000))])
