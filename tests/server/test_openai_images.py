"""OpenAI's images API: with its own package unmodified, and what no package shows."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from socket import create_connection
from typing import Any

import httpx
import pytest
from PIL import Image

from nodegraph.server.access.tokens import TokenFile
from tests.server.hosting import PATIENCE, Hosted, Process, eventually, workflow
from tests.server.test_apps_routes import worker

CLIENTS = Path(__file__).parent / "clients"
PYTHON = CLIENTS / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
IMAGES = "/v1/images/generations"
STREAM = {"Accept": "text/event-stream"}


def png(side: int = 8) -> bytes:
    made = BytesIO()
    Image.new("RGB", (side, side), "red").save(made, "PNG")
    return made.getvalue()


def painter() -> dict[str, Any]:
    """A workflow with the parameters of a model."""
    return {
        "format": "nodegraph/1",
        "title": "Painter",
        "parameters": {
            "prompt": "save.name",
            "width": "paint.width",
            "height": "paint.height",
            "image": "load.path",
        },
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {}},
            "paint": {
                "type": "ResizeImage",
                "inputs": {"image": {"from": "load.image"}, "width": 8, "height": 8},
            },
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "paint"}}},
        },
    }


def save(server: Hosted, name: str = "painter", document: Any = None) -> None:
    saved = server.client.put(f"/workflows/{name}", json=document or painter())
    assert saved.status_code in (200, 201), saved.text


def post(server: Hosted, path: str, **sent: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", timeout=PATIENCE, trust_env=False, **sent)


def upload(server: Hosted) -> str:
    """The reference of an uploaded image."""
    uploaded = server.client.post("/uploads?name=a.png", content=png())
    return str(uploaded.json()["value"])


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and field of an error, which has OpenAI's form."""
    document = answer.json()
    assert set(document) == {"error"}
    assert set(document["error"]) == {"message", "type", "param", "code"}
    assert isinstance(document["error"]["message"], str)
    return answer.status_code, document["error"]["code"], document["error"]["param"]


@pytest.mark.slow
@pytest.mark.skipif(
    not PYTHON.exists(), reason="there is no environment with tests/server/clients/requirements.txt"
)
def test_openais_own_package_makes_edits_and_streams_images(home: Path) -> None:
    with Process(home, "--workers", "1") as serving:
        serving.ready()
        tokens = TokenFile(home / "tokens.json")
        keys = [tokens.add("run", ["run"])[0], tokens.add("read", ["read"])[0]]
        program = [PYTHON, CLIENTS / "openai_program.py", serving.url, *keys]
        ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr + serving.log
    found = json.loads(ended.stdout)
    assert found.pop("events") == ["image_generation.partial_image"] * 2 + [
        "image_generation.completed"
    ]
    assert found == {
        "models": ["nodegraph"],
        "kind": "model",
        "generated": ["64x64", "png", [["PNG", 64, 64]] * 2],
        "warnings": ["`user` is ignored: the model has no such parameter"],
        "again": True,
        "jpeg": ["JPEG", 64, 64],
        "url": ["PNG", 64, 64],
        "kept": True,
        "changed": True,
        "whole": ["PNG", 64, 64],
        "async": [["PNG", 64, 64]] * 2,
        "unknown model": ["NotFoundError", 404, "model_not_found", None],
        "size": ["BadRequestError", 400, "invalid_value", "size"],
        "unknown": ["BadRequestError", 400, "unknown_parameter", "stepps"],
        "value": ["BadRequestError", 400, "wrong_literal", "steps"],
        "n": ["BadRequestError", 400, "invalid_value", "n"],
        "edit": ["APIStatusError", 415, "unsupported_media_type", None],
        "key": ["AuthenticationError", 401, "invalid_api_key", None],
        "scope": ["PermissionDeniedError", 403, "forbidden", None],
        "model": ["NotFoundError", 404, "model_not_found", None],
    }


@pytest.mark.slow
@pytest.mark.skipif(
    not PYTHON.exists(), reason="there is no environment with tests/server/clients/requirements.txt"
)
def test_openais_own_package_knows_a_full_queue_and_a_long_wait(
    hosting: Callable[..., Any],
) -> None:
    program = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
for _ in range(2):
    try:
        client.images.generate(prompt="a lemon")
    except openai.APIStatusError as error:
        sys.stdout.write(f"{type(error).__name__} {error.status_code} ")
"""
    with hosting(most_waiting=1, longest_wait=0.05) as server:
        command = [PYTHON, "-c", program, f"{server.url}/v1"]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["InternalServerError", "504", "RateLimitError", "429"]


def test_a_saved_workflow_with_a_prompt_is_a_model(server: Hosted) -> None:
    save(server)
    save(server, "sum", workflow())
    listed = httpx.get(f"{server.url}/v1/models", trust_env=False).json()
    assert [each["id"] for each in listed["data"]] == ["nodegraph", "painter"]
    one = httpx.get(f"{server.url}/v1/models/painter", trust_env=False).json()
    assert one["owned_by"] == "nodegraph"
    missing = httpx.get(f"{server.url}/v1/models/paintr", trust_env=False)
    assert error(missing) == (404, "model_not_found", None)
    assert "Did you mean `painter`?" in missing.json()["error"]["message"]


def test_an_image_of_an_app_is_answered_as_the_request_wants_it(server: Hosted) -> None:
    save(server)
    upload = server.client.post("/uploads", files={"file": ("a.png", png())}).json()["value"]
    fields = {"model": "painter", "prompt": "small", "size": "9x9", "image": upload}
    with worker(server, ("small_00001.png", png(9))) as jobs:
        plain = post(server, IMAGES, json=fields).json()
        jpeg = post(server, IMAGES, json={**fields, "output_format": "jpeg"}).json()
        url = post(server, IMAGES, json={**fields, "response_format": "url"}).json()
    assert jobs[0].parameters["width"] == jobs[0].parameters["height"] == 9
    assert base64.b64decode(plain["data"][0]["b64_json"]) == png(9)
    assert plain["output_format"] == "png"
    assert plain["nodegraph"]["jobs"] == [jobs[0].id]
    with Image.open(BytesIO(base64.b64decode(jpeg["data"][0]["b64_json"]))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (9, 9))
    found = httpx.get(url["data"][0]["url"], trust_env=False)
    assert found.content == png(9)


def test_settings_name_a_models_app_and_its_parameters(hosting: Callable[..., Any]) -> None:
    names = {"prompt": "name", "size": ""}
    document = painter()
    document["parameters"] = {"name": "save.name", "picture": "load.path"}
    models = {
        "dall-e-3": {"app": "own", "parameters": {**names, "image": "picture"}},
        "*": {"app": "gone"},
    }
    with hosting(openai_models=models) as server:
        save(server, "own", document)
        listed = httpx.get(f"{server.url}/v1/models", trust_env=False).json()["data"]
        assert [each["id"] for each in listed] == ["dall-e-3", "nodegraph"]
        url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
        fields = {
            "model": "dall-e-3",
            "prompt": "a",
            "size": "1024x1024",
            "images": [{"image_url": url}],
        }
        with worker(server, ("a_00001.png", png())) as jobs:
            made = post(server, "/v1/images/edits", json=fields).json()
        assert made["nodegraph"]["warnings"] == [
            "`size` is ignored: the model has no such parameter"
        ]
        assert set(jobs[0].parameters) == {"name", "picture"}
        other = post(server, IMAGES, json={"model": "other", "prompt": "a"})
        assert error(other) == (404, "model_not_found", None)


def test_what_a_request_lacks_or_has_too_much_is_named(server: Hosted) -> None:
    save(server)
    fields: dict[str, Any] = {"model": "painter", "prompt": "a"}
    for more, code, field in (
        ({"prompt": ""}, "invalid_value", "prompt"),
        ({"n": 0}, "invalid_value", "n"),
        ({"n": 2}, "invalid_value", "n"),
        ({"size": "0x9"}, "invalid_value", "size"),
        ({"background": "transparent"}, "invalid_value", "background"),
        ({"seed": 3}, "unknown_parameter", "seed"),
        ({"widht": 3}, "unknown_parameter", "widht"),
        ({"width": "wide", "image": "a.png"}, "wrong_literal", "width"),
        ({"width": 8}, "missing_input", "image"),
        ({"stream": True, "response_format": "url"}, "invalid_value", "response_format"),
    ):
        assert error(post(server, IMAGES, json={**fields, **more})) == (400, code, field)
    assert error(post(server, IMAGES, content="{}"))[0] == 415
    assert error(post(server, IMAGES, json=[]))[0] == 400
    assert error(post(server, "/v1/images/edits", json=fields)) == (400, "invalid_value", "image")
    address = {**fields, "image": "https://example.org/a.png"}
    assert error(post(server, "/v1/images/edits", json=address))[0] == 400
    assert error(post(server, "/v1/nothing")) == (404, "not_found", None)


def test_a_job_that_fails_is_an_error_in_the_answer_and_in_the_stream(server: Hosted) -> None:
    save(server)
    upload = server.client.post("/uploads", files={"file": ("a.png", png())}).json()["value"]
    fields = {"model": "painter", "prompt": "a", "image": upload}
    fault = {"code": "out-of-memory", "message": "the memory is used up"}
    with worker(server, error=fault):
        answer = post(server, IMAGES, json=fields)
        stream = post(server, IMAGES, json={**fields, "stream": True})
    assert error(answer) == (422, "app_failed", None)
    kind, data = stream.text.strip().split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "app_failed"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_followed", [False, True])
def test_a_client_that_leaves_cancels_the_jobs_that_it_began(
    server: Hosted, stream: bool, is_followed: bool
) -> None:
    queue, hub = server.services.queue, server.services.hub
    body = json.dumps({"prompt": "a lemon", "stream": stream}).encode()
    head = (
        f"POST {IMAGES} HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + body)
        # Its job waits, as this server has no workers.
        eventually(lambda: queue.page(limit=1).jobs)
        (job,) = queue.page(limit=1).jobs
        eventually(lambda: hub.is_followed(job.id))
        if is_followed:
            with server.client.stream("GET", f"/jobs/{job.id}/events", headers=STREAM) as events:
                eventually(lambda: hub.subscribers == 2)
                connection.close()
                eventually(lambda: hub.subscribers == 1)
                assert queue.get(job.id).state == "queued"
                events.close()
            return
    eventually(lambda: queue.get(job.id).state == "cancelled")


def test_a_wait_that_is_too_long_is_said_and_the_job_continues(hosting: Callable[..., Any]) -> None:
    with hosting(longest_wait=0.05) as server:
        answer = post(server, IMAGES, json={"prompt": "a lemon"})
        assert error(answer) == (504, "timeout", None)
        assert answer.headers["x-should-retry"] == "false"
        (job,) = server.services.queue.page(limit=1).jobs
        assert job.state == "queued"
        assert job.id in answer.json()["error"]["message"]


def test_the_built_in_model_edits_images_of_any_size(hosting: Callable[..., Any]) -> None:
    with hosting(longest_wait=0.05) as server:
        files = {"image": ("odd.png", png(side=33), "image/png")}
        edited = post(server, "/v1/images/edits", data={"prompt": "a lemon"}, files=files)
        assert error(edited)[0] == 504, edited.text  # its job waits


def test_a_repeated_request_with_its_key_is_the_same_job(hosting: Callable[..., Any]) -> None:
    with hosting(longest_wait=0.05) as server:
        for _ in range(2):
            key = {"Idempotency-Key": "one"}
            assert post(server, IMAGES, json={"prompt": "a lemon"}, headers=key).status_code == 504
        assert len(server.services.queue.page(limit=9).jobs) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_may_return_with_its_key(server: Hosted, stream: bool) -> None:
    queue, hub = server.services.queue, server.services.hub
    body = json.dumps({"prompt": "a lemon", "stream": stream}).encode()
    head = (
        f"POST {IMAGES} HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: one\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + body)
        eventually(lambda: queue.page(limit=1).jobs)
        (job,) = queue.page(limit=1).jobs
        eventually(lambda: hub.is_followed(job.id))
    eventually(lambda: not hub.is_followed(job.id))
    # What is written later is written after a cancellation.
    assert server.client.post("/jobs", json={"workflow": workflow()}).status_code == 202
    assert queue.get(job.id).state == "queued"


def numbers(path: str = "a.png") -> dict[str, Any]:
    """A workflow whose parameters have other names than the fields."""
    nodes = painter()["nodes"]
    nodes["load"]["inputs"] = {"path": path}
    return {
        "format": "nodegraph/1",
        "parameters": {
            "text": "save.name",
            "noise_seed": "paint.width",
            "batch": "paint.height",
        },
        "nodes": nodes,
    }


def test_jobs_of_a_request_are_accepted_all_or_none(hosting: Callable[..., Any]) -> None:
    with hosting(most_waiting=1, longest_wait=0.05) as server:
        document = numbers(upload(server))
        del document["parameters"]["batch"]
        save(server, document=document)
        fields = {"prompt": "a lemon", "n": 2, "seed": 9, "model": "painter"}
        key = {"Idempotency-Key": "one"}
        assert error(post(server, IMAGES, json=fields, headers=key))[0] == 429
        # A job that was begun and cancelled would be the key's.
        assert server.services.queue.page(limit=9).jobs == ()


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"text": "a plum"}, "text"),
        ({"seed": 9, "noise_seed": 10}, "seed"),
        ({"n": 2, "batch": 3}, "n"),
    ],
)
def test_two_fields_for_one_parameter_are_refused(
    server: Hosted, fields: dict[str, Any], refused: str
) -> None:
    save(server, document=numbers())
    asked = post(server, IMAGES, json={"prompt": "a lemon", "model": "painter", **fields})
    assert error(asked) == (400, "invalid_value", refused)


def test_a_seed_and_a_count_may_have_the_names_of_the_parameters(
    hosting: Callable[..., Any],
) -> None:
    with hosting(longest_wait=0.05) as server:
        save(server, document=numbers(upload(server)))
        fields = {"prompt": "a lemon", "model": "painter", "noise_seed": 12, "batch": 3}
        assert post(server, IMAGES, json=fields).status_code == 504
        (job,) = server.services.queue.page(limit=9).jobs
        parameters = server.services.queue.get(job.id).parameters
        assert parameters == {"text": "a lemon", "noise_seed": 12, "batch": 3}


def test_addresses_begin_with_that_of_the_server_for_others(hosting: Callable[..., Any]) -> None:
    with hosting(public_url="https://studio.example") as server:
        save(server, document=numbers(upload(server)))
        fields = {"prompt": "a lemon", "model": "painter", "seed": 8, "response_format": "url"}
        with worker(server, ("a_00001.png", png())):
            (image,) = post(server, IMAGES, json=fields).json()["data"]
        assert image["url"].startswith("https://studio.example/api/v1/artifacts/")


def test_tokens_scopes_and_limits_are_those_of_every_route(own_server: Hosted) -> None:
    fields = {"prompt": "a lemon"}
    any_key = {"Authorization": "Bearer sk-none"}
    listed = httpx.get(f"{own_server.url}/v1/models", headers=any_key, trust_env=False)
    assert listed.status_code == 200  # its clients send some key in any case
    forwarded = {**any_key, "X-Forwarded-For": "192.0.2.1"}
    assert post(own_server, IMAGES, json=fields, headers=forwarded).status_code == 401
    reader = own_server.token("reader", "read")
    assert error(post(own_server, IMAGES, json=fields, headers=reader)) == (403, "forbidden", None)
    assert error(post(own_server, IMAGES, json=fields)) == (401, "invalid_api_key", None)
    assert error(post(own_server, IMAGES, json=fields, headers=any_key))[0] == 401
    foreign = {**own_server.token("runner"), "Origin": "https://example.org"}
    assert error(post(own_server, IMAGES, json=fields, headers=foreign))[0] == 403


def test_a_full_queue_says_when_to_try_again(hosting: Callable[..., Any]) -> None:
    with hosting(most_waiting=1, longest_wait=0.05) as server:
        post(server, IMAGES, json={"prompt": "a lemon"})
        full = post(server, IMAGES, json={"prompt": "an apple"})
        assert error(full)[0] == 429
        assert full.json()["error"]["type"] == "rate_limit_error"
        assert full.headers["Retry-After"]
