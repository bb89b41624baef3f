"""Wild prompts, queries, forms and messages to ComfyUI's routes of runs: never a fault of ours."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.comfyui_prompts import (
    ENVIRONMENT,
    Comfy,
    comfy_server,
    comfyui_routes,
    node,
    plain_prompt,
    write_trial_pack,
)
from tests.server.hosting import PATIENCE, Process, prepared_home

IDS = st.sampled_from(["1", "2", "3", "4", "", "12:7", "\u202e", "x" * 300])
TYPES = st.sampled_from(
    ["Count", "Pair", "Show", "Fail", "Twice", "SaveImage", "LoadImage", "KSampler", "NoSuch", ""]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["a.png", "../x.png", "a.png [output]", "upload:" + "0" * 64 + "/a.png"]),
)
LINKS = st.tuples(IDS, st.integers(-2, 5)).map(list)
JSON = st.recursive(
    SCALARS | LINKS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
PORTS = st.sampled_from(
    ["number", "a", "b", "images", "image", "filename_prefix", "model", "seed", "steps", "x"]
)
NODES = st.fixed_dictionaries(
    {"class_type": TYPES | JSON, "inputs": st.dictionaries(PORTS, LINKS | JSON, max_size=4) | JSON},
    optional={"_meta": JSON},
)
PROMPTS = st.one_of(
    st.dictionaries(IDS, NODES, max_size=5),
    st.dictionaries(IDS, NODES | JSON, max_size=3),
    JSON,
    st.just(plain_prompt()),
)
WISHES = st.fixed_dictionaries(
    {"prompt": PROMPTS},
    optional={
        "client_id": JSON,
        "prompt_id": JSON,
        "number": JSON,
        "front": JSON,
        "extra_data": st.dictionaries(
            st.sampled_from(["extra_pnginfo", "preview_method", "client_id", "x"]), JSON
        )
        | JSON,
        "partial_execution_targets": st.lists(IDS, max_size=3) | JSON,
    },
)
FIELDS = st.dictionaries(
    st.sampled_from(["clear", "delete", "prompt_id", "unload_models", "job_ids"]), JSON, max_size=3
)
BODIES = st.one_of(
    WISHES.map(json.dumps).map(str.encode),
    FIELDS.map(json.dumps).map(str.encode),
    st.binary(max_size=60),
    st.sampled_from([b"", b"{", b"[" * 5000, b'{"prompt":NaN}', b'{"a":1,"a":2}', b'"\\ud800"']),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["..", "a/../b", "x" * 300, "\0", "-1", "1e9", "output", "webp;999", "a", "5"]),
)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            *("filename", "type", "subfolder", "preview", "channel", "max_items", "offset"),
            *("status", "sort_by", "sort_order", "limit", "ids", "workflow_id", "clientId"),
        ]
    ),
    TEXTS,
    max_size=4,
)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Comfy-User", "Range", "Comfy-Usage-Source", "Accept"]),
    st.one_of(
        st.text(string.ascii_letters + string.digits + string.punctuation, max_size=30),
        st.sampled_from(["multipart/form-data; boundary=x", "application/json", "bytes=5-1"]),
    ),
    max_size=2,
)


ROUTES = comfyui_routes("prompts", "files", "socket")


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    method, path = draw(st.sampled_from([*ROUTES, *[("POST", "/comfyui/prompt")] * 10]))
    method = draw(st.sampled_from([method] * 5 + ["GET", "POST", "DELETE"]))
    while "{" in path:
        before, _, behind = path.partition("{")
        text = quote(draw(TEXTS).encode("utf-8", "replace"), safe="")
        path = f"{before}{text}{behind.partition('}')[2]}"
    pairs = draw(QUERIES).items()
    query = "&".join(f"{key}={quote(value.encode('utf-8', 'replace'))}" for key, value in pairs)
    body = draw(BODIES) if method == "POST" else b""
    return method, f"{path}?{query}", body, draw(HEADERS)


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Comfy]:
    home = prepared_home(tmp_path_factory.mktemp("fuzz") / "home", known_packs)
    write_trial_pack(home)
    with Process(home, environment=ENVIRONMENT) as process, comfy_server(process) as found:
        yield found


@settings(
    max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(requests())
def test_wild_requests_are_answered_in_form(
    comfy: Comfy, parts: tuple[str, str, bytes, dict[str, str]]
) -> None:
    method, path, body, headers = parts
    connection = HTTPConnection(comfy.process.host, timeout=PATIENCE)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert answer.status < 500, (path, body, content)
    if answer.status >= 400 and answer.status != 416:
        document: Any = json.loads(content)
        assert set(document) <= {"error", "node_errors", "invalid_ids"}
        assert document["error"]
        if "node_errors" in document:
            assert set(document["error"]) == {"type", "message", "details", "extra_info"}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(st.text(max_size=30) | st.binary(max_size=30) | JSON.map(json.dumps), max_size=4))
def test_wild_messages_do_no_harm(comfy: Comfy, sent: list[str | bytes]) -> None:
    with comfy.listening("wild") as listener:
        for each in sent:
            listener.socket.send(each)
        number = 1 + len(repr(sent))
        prompt = {"1": node("Count", number=number), "2": node("Show", number=["1", 0])}
        listener.until_end(comfy.submit(prompt, client_id="wild"))


def test_a_server_that_was_asked_wildly_goes_on(comfy: Comfy) -> None:
    prompt = {"1": node("Count", number=7), "2": node("Show", number=["1", 0])}
    assert comfy.ended(comfy.submit(prompt))["status"]["completed"] is True
    assert " ERROR " not in comfy.process.log
    assert "Traceback" not in comfy.process.log
