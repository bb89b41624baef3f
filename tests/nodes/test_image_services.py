"""Images of hosted services: real requests to stand-ins on this machine."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nodegraph import Workflow
from nodegraph.core.context import ServiceAccess
from nodegraph.engine.options import CancelToken
from nodegraph.errors import InvalidValue
from nodegraph.models.remote.image_services import (
    SHIPPED,
    ImageService,
    fill_body,
    fill_url,
    find_service,
    find_values,
    parse_service,
)
from nodegraph.store.secrets import SecretStore
from tests.nodes.conftest import Bench, link
from tests.nodes.services import KEY, Service, png, running

BASES = {"openai": "/v1", "fal": "/fal", "replicate": "/replicate"}


@pytest.fixture
def service() -> Iterator[Service]:
    with running(requires_key=True) as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, service_hosts=("127.0.0.1",))
    path = made.session.environment.services.secrets
    assert path is not None
    SecretStore(path).set("mine", KEY, ["127.0.0.1"])
    yield made
    made.session.close()


def quick(name: str, **changes: Any) -> str:
    """A shipped description without pauses."""
    document = json.loads(SHIPPED.read_bytes())[name]
    if "poll" in document:
        document["poll"]["pauses"] = [0.001, 0.002]
    return json.dumps({**document, **changes})


def calling(running_service: Service, name: str, **inputs: Any) -> dict[str, Any]:
    known = {
        "prompt": "a red square",
        "model": "some/model",
        "secret": "mine",
        "description": quick(name),
        "address": running_service.url + BASES[name],
        "width": 64,
        "height": 48,
        "seed": 2**31 + 7,
    }
    return {
        "call": {"type": "CallImageAPI", "inputs": {**known, **inputs}},
        "cost": {"type": "ShowValue", "inputs": {"value": link("call.cost")}},
    }


@pytest.mark.parametrize(
    ("name", "cost"),
    [("openai", "1056 tokens"), ("fal", "3 units"), ("replicate", "2.5 seconds")],
)
def test_each_protocol_makes_an_image(local: Bench, service: Service, name: str, cost: str) -> None:
    nodes = calling(service, name)
    image = local.value(nodes, "call.image")
    assert image.shape == (1, 6, 8, 3)
    assert torch.equal(image[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
    assert local.value(nodes, "call.cost") == cost
    first = service.seen[0]
    scheme = "Key" if name == "fal" else "Bearer"
    assert first.headers["authorization"] == f"{scheme} {KEY}"
    body = first.json
    if name == "openai":
        assert body == {"model": "some/model", "prompt": "a red square", "n": 1, "size": "64x48"}
    elif name == "fal":
        assert body == {
            "prompt": "a red square",
            "seed": 7,
            "num_images": 1,
            "image_size": {"width": 64, "height": 48},
        }
        assert first.path == "/fal/some/model"
    else:
        assert body["input"]["width"] == 64
        assert first.path == "/replicate/models/some/model/predictions"
    files = [item for item in service.seen if item.path.endswith(".png")]
    assert all("authorization" not in item.headers for item in files)
    count = len(service.seen)
    assert local.run(nodes, "call").nodes["call"].status == "cached"
    assert len(service.seen) == count


def test_images_and_masks_are_edited(local: Bench, service: Service) -> None:
    nodes = calling(service, "openai", image=link("picture"), mask=link("mask.mask"), count=2)
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 2}}
    nodes["mask"] = {"type": "MaskFromChannel", "inputs": {"image": link("picture")}}
    nodes["call"]["inputs"]["mask"] = link("mask")
    local.value(nodes, "call.image")
    [sent] = service.seen
    assert sent.path == "/v1/images/edits"
    assert sent.headers["content-type"].startswith("multipart/form-data")
    assert sent.body.count(b'name="image[]"') == 2
    start = sent.body.index(b"\x89PNG", sent.body.index(b'name="mask"'))
    with Image.open(BytesIO(sent.body[start:])) as mask:
        assert mask.mode == "RGBA"
    fal = calling(service, "fal", image=link("picture"), strength=0.5)
    local.value({**nodes, **fal}, "call.image")
    body = service.seen[1].json
    assert body["image_url"].startswith("data:image/png;base64,")
    assert body["strength"] == 0.5
    assert "mask_url" not in body


def test_options_are_merged_where_the_description_says(local: Bench, service: Service) -> None:
    nodes = calling(service, "replicate", options='{"guidance": 3.5, "seed": null}')
    local.value(nodes, "call.image")
    sent = service.seen[0].json["input"]
    assert sent["guidance"] == 3.5
    assert "seed" not in sent


def test_failed_work_and_refusals_are_told(local: Bench, service: Service) -> None:
    service.failure = f"NSFW content detected, token {KEY}"
    problem = local.failure(calling(service, "replicate"), "call").problem
    assert "NSFW content detected" in problem.message
    assert KEY not in str(problem)
    service.refusals = [(422, {}, {"detail": [{"msg": "bad size"}]})]
    problem = local.failure(calling(service, "fal"), "call").problem
    assert "bad size" in problem.message
    service.image = b"no image"
    problem = local.failure(calling(service, "fal", prompt="other"), "call").problem
    assert "the image of the service" in problem.message


def test_busy_services_are_asked_again(local: Bench, service: Service) -> None:
    busy = (429, {"Retry-After": "0"}, {"detail": "too many"})
    service.refusals = [busy, busy]
    local.value(calling(service, "fal"), "call.image")
    assert service.paths[:3] == ["POST /fal/some/model"] * 3


def test_cancel_is_passed_on(local: Bench, service: Service) -> None:
    service.polls = 1_000_000
    token = CancelToken()
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": calling(service, "fal")})
    results: list[Any] = []
    run = Thread(
        target=lambda: results.append(local.session.run(workflow, targets=["call"], cancel=token))
    )
    run.start()
    service.began.wait()
    while not any(path.endswith("/status") for path in service.paths):
        Event().wait(0.005)
    token.cancel()
    run.join()
    assert results[0].status == "cancelled"
    assert service.cancelled.is_set()
    assert service.seen[-1].headers["authorization"] == f"Key {KEY}"


def test_a_time_limit_ends_the_work(local: Bench, service: Service) -> None:
    service.polls = 1_000_000
    problem = local.failure(calling(service, "fal", timeout=1), "call").problem
    assert "in time" in problem.message
    assert service.cancelled.is_set()


def test_images_elsewhere_are_not_fetched(local: Bench, service: Service) -> None:
    for location in ("http://169.254.169.254/a.png", "https://example.org/a.png", "file:///etc"):
        service.location, service.polls = location, 0
        nodes = calling(service, "fal", prompt=location)
        failed = local.failure(nodes, "call").problem
        assert failed.code in ("service-failed", "invalid-value")


def test_a_poll_elsewhere_gets_no_secret(local: Bench, service: Service) -> None:
    with running() as other:
        # It may be called, but the secret is not for it.
        host = other.url.removeprefix("http://").replace("127.0.0.1", "localhost")
        answer = {"status": "IN_QUEUE", "status_url": f"http://{host}/status"}
        service.refusals = [(200, {}, answer)]
        bench = local
        access = bench.session.environment.services
        assert access.secrets is not None
        SecretStore(access.secrets).set("mine", KEY, [service.url.removeprefix("http://")])
        problem = bench.failure(calling(service, "fal"), "call").problem
        assert "not allowed" in problem.message
        assert other.seen == []


def test_images_of_several_sizes_become_a_batch(local: Bench, service: Service) -> None:
    description = quick("openai", images=["data.*.b64_json"])
    images = [b64encode(png(size=size)).decode() for size in ((8, 6), (16, 12))]
    service.refusals = [(200, {}, {"data": [{"b64_json": image} for image in images]})]
    nodes = calling(service, "openai", description=description, count=2)
    assert local.value(nodes, "call.image").shape == (2, 6, 8, 3)


def test_services_are_checked_before_the_run(local: Bench, bench_without: Bench) -> None:
    def problem(bench: Bench, **inputs: Any) -> Any:
        nodes = {"call": {"type": "CallImageAPI", "inputs": {"prompt": "x", **inputs}}}
        [found] = bench.problems(nodes, "call")
        return found

    assert problem(local, service="opeani").port == "service"
    assert problem(local).port == "service"  # its host is not in this bench's setting
    assert problem(bench_without).port == "secret"
    assert problem(bench_without, secret="mine").port == "secret"
    assert problem(bench_without, address="https://example.org").port == "address"
    assert problem(local, address="ftp://127.0.0.1:21/").port == "address"
    for wrong in ('{"address": "https://a.b"}', "{", '{"adress": 1}', "[" * 60_000, '{"a": NaN}'):
        assert problem(local, description=wrong).port == "description"
    known = {"address": "http://127.0.0.1/v1", "options": "[]"}
    assert problem(local, **known).port == "options"


@pytest.fixture
def bench_without(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("without"))
    yield made
    made.session.close()


def test_people_add_services_by_files(local: Bench, service: Service) -> None:
    folder = local.session.environment.services.descriptions
    assert folder is not None
    folder.mkdir(parents=True)
    file = folder / "studio.json"
    file.write_text(quick("openai", address=f"{service.url}/v1"))
    nodes = calling(service, "openai", description="", address="", service="studio")
    local.value(nodes, "call.image")
    local.value(nodes, "call.image")
    assert len(service.seen) == 1
    changed = json.loads(file.read_text())
    changed["create"]["json"]["quality"] = "high"
    file.write_text(json.dumps(changed))
    local.value(nodes, "call.image")
    assert service.seen[1].json["quality"] == "high"
    file.write_text("{")
    [problem] = local.problems(nodes, "call")
    assert problem.node == "call"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"headers": {"Host": "x"}}, "Host"),
        ({"headers": {"X-Key": "{prompt}"}}, "X-Key"),
        ({"headers": {"X-Key": " {secret}"}}, "X-Key"),
        ({"create": {"url": "{address}/{secret}"}}, "secret"),
        ({"create": {"url": "{address}", "method": "TRACE"}}, "method"),
        ({"create": {"url": "{address}", "json": {"a": "{promt}"}}}, "prompt"),
        ({"create": {"url": "{address}", "json": {"a": "{image_files}"}}}, "form"),
        ({"poll": {"url": "{reply.a}", "state": "s", "done": ["x"], "pauses": [0, 1]}}, "pauses"),
        ({"images": "data"}, "images"),
        ({"pol": {}}, "poll"),
    ],
)
def test_wrong_descriptions_name_the_field(change: dict[str, Any], part: str) -> None:
    document = {**json.loads(SHIPPED.read_bytes())["openai"], **change}
    with pytest.raises(InvalidValue, match=part):
        parse_service(document, "it")


def test_a_cancelled_run_does_not_wait_for_the_cancellation(local: Bench, service: Service) -> None:
    service.polls, service.trickles = 1_000_000, True
    problem = local.failure(calling(service, "fal", timeout=1), "call").problem
    assert "in time" in problem.message
    service.refusals = [
        (200, {}, {"status_url": f"{service.url}/fal/", "cancel_url": "http://a/\1"})
    ]
    problem = local.failure(calling(service, "fal", timeout=1, prompt="other"), "call").problem
    assert "in time" in problem.message


@pytest.mark.parametrize("name", ["x-cost", "body"])
def test_a_repeated_secret_is_not_a_cost(local: Bench, service: Service, name: str) -> None:
    image = b64encode(service.image).decode()
    answer = {"data": [{"b64_json": image}], "usage": {"total_tokens": KEY}}
    # The key in another form of JSON.
    service.raw = json.dumps(answer).replace("very", "\\u0076ery").encode()
    service.raw_headers = {"X-Cost": KEY}
    cost = {"header": name} if name == "x-cost" else {"path": "usage.total_tokens"}
    nodes = calling(service, "openai", description=quick("openai", cost=[cost]))
    assert local.value(nodes, "call.cost") == "***"


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"options_at": "prompt"}, '{"a": 1}', "options_at leads to prompt"),
        ({"options_at": "n.x"}, '{"a": 1}', "options_at leads to n"),
        ({"create": {"url": "{address}/\n", "json": {}}}, "", "cannot be written"),
        (
            {"create": {"url": "{address}/images/generations", "form": {"f": "{mask_file}"}}},
            '{"a": {"b": 1}}',
            "cannot be written",
        ),
    ],
)
def test_requests_that_cannot_be_written_are_told(
    local: Bench, service: Service, change: dict[str, Any], options: str, words: str
) -> None:
    nodes = calling(service, "openai", description=quick("openai", **change), options=options)
    if "mask_file" in str(change):
        nodes["picture"] = {"type": "Picture"}
        nodes["mask"] = {"type": "MaskFromChannel", "inputs": {"image": link("picture")}}
        nodes["call"]["inputs"]["mask"] = link("mask")
    problem = local.failure(nodes, "call").problem
    assert problem.code in ("service-failed", "invalid-value")
    assert words in problem.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
FIELDS = [item.name for item in fields(ImageService)]


@given(st.sampled_from(["openai", "fal", "replicate"]), st.sampled_from(FIELDS), JSON, JSON)
def test_wild_descriptions_are_invalid_values(
    name: str, changed: str, value: Any, reply: Any
) -> None:
    document = {**json.loads(SHIPPED.read_bytes())[name], changed: value}
    for wild in (document, value):
        with suppress(InvalidValue):
            service = parse_service(wild, "it")
            for path in service.images:
                find_values(reply, path)
            fill_body(service.create.json or {}, {"prompt": "x"})
    with suppress(InvalidValue):
        fill_url("{reply.urls.get}/{model}", {"model": str(value)}, reply)


def test_names_of_models_stay_in_their_path() -> None:
    for name in ("../../admin", "a//b", "", "a/../b"):
        with pytest.raises(InvalidValue):
            fill_url("{address}/{model}", {"address": "https://a.b", "model": name}, None)
    values = {"address": "https://a.b", "model": "x?y#z"}
    assert fill_url("{address}/{model}", values, None) == "https://a.b/x%3Fy%23z"


def test_shipped_descriptions_are_valid() -> None:
    for name in json.loads(SHIPPED.read_bytes()):
        assert find_service(ServiceAccess(), name).title
    assert find_values({"a": [{"b": 1}, {"b": None}, {}]}, "a.*.b") == [1]
