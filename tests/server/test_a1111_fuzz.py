"""Wild requests to each route of AUTOMATIC1111's API: no fault of the server, errors in form."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nodegraph.interop.image_metadata.webui_fields import (
    DetectFields,
    ExtraImages,
    Img2ImgFields,
    Txt2ImgFields,
)
from nodegraph.server.protocols import a1111, a1111_lists
from tests.properties import examples
from tests.server.fuzz_sending import cries
from tests.server.hosting import ONCE, PATIENCE, Process, prepared_home, workflow
from tests.server.resources import picture

pytestmark = pytest.mark.slow
CASES = 25
ROUTES = [
    (method, route.path)
    for module in (a1111, a1111_lists)
    for route in module.router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods)
]
IMAGE = base64.b64encode(picture(9, 7)).decode()
NAMES = sorted(
    {
        *Txt2ImgFields.model_fields,
        *Img2ImgFields.model_fields,
        *ExtraImages.model_fields,
        *DetectFields.model_fields,
        *("image", "imageList", "sd_model_checkpoint", "sd_vae", "controlnet_images"),
    }
)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [IMAGE, "tiny", "controlnet", "canny", "Euler a", "upscaler", "data:,base64,"]
    )
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), VALUES, max_size=6)
# What else is right, so that much of it gets through to where it is taken apart. Nothing is run:
# the server has no worker, and each request ends with its job, which the queue refuses to hold.
NEARLY = FIELDS.map(
    lambda fields: {"steps": 1, "width": 64, "height": 64, "init_images": [IMAGE]} | fields
)
BODIES = (
    FIELDS.map(json.dumps)
    | NEARLY.map(json.dumps)
    | VALUES.map(json.dumps)
    | st.binary(max_size=40)
    | st.text(max_size=40)
)
KINDS = st.sampled_from(["application/json", "application/json; charset=x", "text/plain", ""])
HEADERS = st.dictionaries(
    st.sampled_from(["Authorization", "Accept", "Cookie", "Origin", "Prefer"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
    max_size=2,
)
QUERIES = st.dictionaries(
    st.sampled_from(["skip_current_image", "alias_names", "x"]), st.text(max_size=8), max_size=2
)
FORMS = ("/sdapi/", "/controlnet/", "/internal/")


@pytest.fixture(scope="module")
def serving(known_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    home = prepared_home(tmp_path_factory.mktemp("webui-fuzz") / "home", known_packs)
    # Each job would wait for a worker that there is not, and its request with it.
    full = {"NODEGRAPH_SERVER_MOST_WAITING": "1"}
    with Process(home, "--workers", "0", environment=full) as found:
        found.ready()
        fill_the_queue(found)
        yield found


def fill_the_queue(serving: Process) -> None:
    body = {"workflow": workflow(), "held": True}
    answer = httpx.post(f"{serving.url}/api/v1/jobs", json=body, trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 202


@pytest.fixture(scope="module")
def client(serving: Process) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=serving.url, timeout=PATIENCE, trust_env=False, limits=ONCE
    ) as found:
        yield found


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whatever_comes_is_answered_in_form(
    serving: Process, client: httpx.Client, method: str, path: str
) -> None:
    codes: set[int] = set()

    @settings(
        max_examples=examples(CASES),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(BODIES, KINDS, HEADERS, QUERIES, st.text(max_size=6))
    def ask(
        body: Any, kind: str, headers: dict[str, str], query: dict[str, str], ending: str
    ) -> None:
        content = body.encode("utf-8", "replace") if isinstance(body, str) else body
        sent = {**headers, **({"Content-Type": kind} if kind else {})}
        options: Any = {} if method == "GET" else {"content": content}
        wild = f"{path}{'/' + ending if len(ending) > 4 else ''}"
        try:
            answer = client.request(method, wild, params=query, headers=sent, **options)
        except (httpx.InvalidURL, UnicodeEncodeError):
            return
        codes.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400 and path.startswith(FORMS):
            assert set(answer.json()) == {"error", "detail", "body", "errors"}

    ask()
    assert codes
    assert cries(serving) == []


def test_much_of_it_gets_through_to_the_queue(client: httpx.Client) -> None:
    answer = client.post("/sdapi/v1/txt2img", json={"steps": 1, "width": 64, "height": 64})
    assert answer.status_code == 429
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
