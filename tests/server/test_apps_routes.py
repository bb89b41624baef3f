"""Apps over HTTP: run with JSON or a form, waited for or not, and shown to a browser."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from io import BytesIO
from mimetypes import guess_type
from typing import Any

import httpx
import pytest
from PIL import Image

from nodegraph.jobs.queue import Job
from tests.server.hosting import PATIENCE, Hosted, workflow
from tests.server.resources import digest_of, picture, written

PICTURE = picture(30, 20)
DIGEST = digest_of(PICTURE)
HTML = {"Accept": "text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8"}
WAIT = {"Prefer": "wait=60"}


def painter() -> dict[str, Any]:
    """A workflow of built-in nodes with parameters of several kinds."""
    return {
        "format": "nodegraph/1",
        "title": "Paint over",
        "description": "Resizes an image.",
        "parameters": {
            "picture": "load.path",
            "width": "size.width",
            "method": "size.method",
            "name": {"input": "save.name", "label": "File name", "help": "How it begins."},
            "quality": "save.quality",
        },
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {}},
            "size": {
                "type": "ResizeImage",
                "inputs": {"image": {"from": "load.image"}, "height": 9},
            },
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "size"}, "name": "small"}},
        },
    }


def save(server: Hosted, name: str = "sum", document: Any = None) -> None:
    answer = server.client.put(f"/workflows/{name}", json=document or workflow())
    assert answer.status_code in (200, 201), answer.text


@contextmanager
def worker(
    server: Hosted, *files: tuple[str, bytes], error: dict[str, Any] | None = None
) -> Iterator[list[Job]]:
    """Ends each job as soon as it is there: with files, or an error. The jobs it had."""
    queue, done = server.services.queue, threading.Event()
    jobs: list[Job] = []

    def work() -> None:
        while not done.is_set():
            job = queue.claim("worker").result()
            if job is None:
                done.wait(0.01)
                continue
            jobs.append(job)
            if error is not None:
                queue.fail(job.id, job.attempt, error).result()
                continue
            listed = [
                written(server.services.outputs / name, data, guess_type(name)[0] or "image/png")
                for name, data in files
            ]
            queue.finish(job.id, job.attempt, {"files": listed}).result()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield jobs
    finally:
        done.set()
        thread.join()


def run(server: Hosted, name: str = "sum", **request: Any) -> httpx.Response:
    return server.client.post(f"/apps/{name}", **request)


def test_saved_workflows_are_apps(server: Hosted) -> None:
    save(server)
    save(server, "paint", painter())
    items = server.client.get("/apps").json()["items"]
    assert [(item["name"], item["title"]) for item in items] == [
        ("paint", "Paint over"),
        ("sum", "A sum"),
    ]
    app = httpx.get(f"{server.url}{items[0]['href']}", timeout=PATIENCE, trust_env=False).json()
    assert app["parameters"]["required"] == ["picture"]
    assert app["parameters"]["properties"]["width"]["type"] == "integer"
    assert app["parameters"]["properties"]["name"]["default"] == "small"
    assert app["outputs"] == [{"node": "save", "label": "save", "type": "SaveImage"}]
    assert app["problems"] == []


def test_without_waiting_the_answer_is_the_job(server: Hosted) -> None:
    save(server)
    answer = run(server, json={"b": 5})
    assert answer.status_code == 202
    job = answer.json()["job"]
    assert (answer.json()["outputs"], job["state"], job["name"]) == (None, "queued", "sum")
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    found = httpx.get(
        f"{server.url}{answer.headers['location']}", timeout=PATIENCE, trust_env=False
    ).json()
    assert found["parameters"] == {"b": 5}


def test_no_body_at_all_runs_it_as_it_is(server: Hosted) -> None:
    save(server)
    answer = run(server)
    assert answer.status_code == 202
    job = server.client.get(f"/jobs/{answer.json()['job']['id']}").json()
    assert job["parameters"] == {}


def test_who_waits_gets_what_it_gave(server: Hosted) -> None:
    save(server)
    with worker(server, ("apple.png", PICTURE)):
        answer = run(server, json={}, headers=WAIT)
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=60"
    assert answer.json()["job"]["state"] == "finished"
    (file,) = answer.json()["outputs"]["save"]
    assert (file["name"], file["digest"], file["size"]) == ("apple.png", DIGEST, len(PICTURE))
    got = httpx.get(f"{server.url}{file['href']}", timeout=PATIENCE, trust_env=False)
    assert got.content == PICTURE
    assert str(server.services.home) not in answer.text


def test_who_waits_too_short_gets_the_job(server: Hosted) -> None:
    save(server)
    for seconds in ("0", "1"):
        answer = run(server, json={}, headers={"Prefer": f"wait={seconds}"})
        assert (answer.status_code, answer.json()["job"]["state"]) == (202, "queued")


def test_who_wants_a_picture_gets_it(server: Hosted) -> None:
    save(server)
    with worker(server, ("apple.png", PICTURE)):
        for accept in ("image/*", "image/png", "image/webp;q=0.1, image/png"):
            answer = run(server, json={}, headers={"Accept": accept})
            assert answer.status_code == 200
            assert answer.content == PICTURE
            assert answer.headers["content-type"] == "image/png"
            assert answer.headers["content-location"] == f"/api/v1/artifacts/{DIGEST}"
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("files", "accept"),
    [
        ([], "image/*"),
        ([("a.png", PICTURE), ("b.png", picture(2, 2))], "image/*"),
        ([("a.png", PICTURE)], "image/webp"),
    ],
)
def test_who_wants_a_picture_that_there_is_not_is_told(
    server: Hosted, files: list[tuple[str, bytes]], accept: str
) -> None:
    save(server)
    with worker(server, *files):
        answer = run(server, json={}, headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_goes_wrong_in_the_job_is_told_with_its_place(server: Hosted) -> None:
    save(server)
    first = {
        "code": "node-failed",
        "message": "it broke",
        "node": "sum",
        "port": "a",
        "hint": "Mend.",
    }
    error = {**first, "problems": [first, {"code": "other", "message": "and that"}]}
    with worker(server, error=error) as jobs:
        answer = run(server, json={}, headers=WAIT)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/app-failed"
    assert [problem["message"] for problem in answer.json()["problems"]] == ["it broke", "and that"]
    assert answer.json()["problems"][0]["node"] == "sum"
    assert answer.headers["location"] == f"/api/v1/jobs/{jobs[0].id}"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", 400),
        (b'{"b": 1, "b": 2}', 400),
        (b'{"b": NaN}', 400),
        (b"\xff", 400),
        (b"[]", 422),
        (b"3", 422),
        (b'{"c": 1}', 422),
        (b'{"b": "x"}', 422),
        (b'{"b": {"from": "two"}}', 422),
        (b'{"b": "\\ud800"}', 400),
        (b'{"b": ' + b"[" * 100 + b"]" * 100 + b"}", 413),
    ],
)
def test_wrong_values_are_refused(server: Hosted, body: bytes, expected: int) -> None:
    save(server)
    answer = run(server, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == expected
    assert server.client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/jsonx"])
def test_other_bodies_are_refused(server: Hosted, kind: str) -> None:
    save(server)
    answer = run(server, content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415


def test_an_app_that_there_is_not_is_not_found(server: Hosted) -> None:
    save(server)
    assert server.client.get("/apps/summ").status_code == 404
    assert run(server, "summ", json={}).status_code == 404
    assert server.client.get("/apps/CON").status_code == 404
    assert server.client.get(f"/apps/summ/jobs/job_{'0' * 26}").status_code == 404


def test_a_key_makes_a_repeated_run_one_job(server: Hosted) -> None:
    save(server)
    first, again = (run(server, json={"b": 1}, headers={"Idempotency-Key": "k"}) for _ in "ab")
    assert first.json()["job"]["id"] == again.json()["job"]["id"]


def test_a_form_gives_values_of_the_ports_types(server: Hosted) -> None:
    save(server)
    for request in ({"data": {"b": "7"}}, {"files": {"b": (None, "7")}}):
        answer = run(server, **request)
        assert answer.status_code == 202, answer.text
        job = server.client.get(f"/jobs/{answer.json()['job']['id']}").json()
        assert job["parameters"] == {"b": 7}


def test_a_form_brings_a_picture(server: Hosted) -> None:
    save(server, "paint", painter())
    answer = run(
        server,
        "paint",
        files=[
            ("width", (None, "64")),
            ("picture", ("../me.png", PICTURE)),
            ("method", (None, "nearest")),
            ("quality", (None, "")),
        ],
    )
    assert answer.status_code == 202, answer.text
    job = server.client.get(f"/jobs/{answer.json()['job']['id']}").json()
    brought = f"upload:{DIGEST}/me.png"
    assert job["parameters"] == {"width": 64, "picture": brought, "method": "nearest"}
    (upload,) = server.client.get("/uploads").json()["items"]
    assert upload["name"] == "me.png"


def noise(side: int) -> bytes:
    """An image that can't be packed: three bytes a pixel."""
    found = BytesIO()
    data = random.Random(1).randbytes(3 * side * side)
    Image.frombytes("RGB", (side, side), data).save(found, "PNG")
    return found.getvalue()


def test_files_in_a_form_have_the_bounds_of_uploads_and_texts_those_of_bodies(
    hosting: Any,
) -> None:
    with hosting(limits={"body": 20_000, "upload": 100_000}) as server:
        save(server, "paint", painter())
        picture = ("picture", ("a.png", noise(150)))
        assert len(noise(150)) > 60_000
        assert run(server, "paint", files=[picture]).status_code == 202
        assert run(server, "paint", files=[picture, ("name", (None, "x"))]).status_code == 202
        texts = [("name", (None, "x" * 9_000))] * 3
        assert run(server, "paint", files=[*texts, picture]).status_code == 413
        large = ("picture", ("a.png", noise(190)))
        assert len(noise(190)) > 100_000
        assert run(server, "paint", files=[large]).status_code == 413
        assert run(server, "paint", data={"name": "x" * 30_000}).status_code == 413
        assert len(server.client.get("/uploads").json()["items"]) == 1


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([("picture", ("x.png", b"no image"))], 415),
        ([("picture", ("x.png", b""))], 415),
        ([("width", ("x.png", PICTURE))], 422),
        ([("nothing", ("x.png", PICTURE))], 422),
        ([("width", (None, "x"))], 422),
        ([("width", (None, "64"))], 422),
        ([("picture", ("x.png", PICTURE)), ("width", (None, b"\xff"))], 400),
        ([("picture", ("x.png", PICTURE)), ("name", (None, "x" * (2 << 20)))], 413),
    ],
)
def test_a_wrong_form_is_refused(server: Hosted, parts: Any, expected: int) -> None:
    save(server, "paint", painter())
    answer = run(server, "paint", files=parts)
    assert answer.status_code == expected, answer.text
    assert server.client.get("/jobs").json()["items"] == []


def test_a_browser_gets_a_form_that_works_without_scripts(server: Hosted) -> None:
    save(server, "paint", painter())
    answer = server.client.get("/apps/paint", headers=HTML)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "script-src" not in policy[0]
    assert answer.headers.get_list("referrer-policy") == ["same-origin"]
    shown = answer.text
    assert "<script" not in shown
    assert 'action="/api/v1/apps/paint"' in shown
    for name in ("picture", "width", "method", "name", "quality"):
        assert f'name="{name}"' in shown
    assert "<h1>Paint over</h1>" in shown


def test_a_form_that_a_browser_sends_leads_to_a_page_with_the_picture(server: Hosted) -> None:
    save(server)
    headers = {**HTML, "Origin": server.url, "Sec-Fetch-Site": "same-origin", **WAIT}
    with worker(server, ("apple.png", PICTURE)) as jobs:
        answer = run(server, files={"b": (None, "7")}, headers=headers)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/api/v1/apps/sum/jobs/{jobs[0].id}"
    shown = httpx.get(
        f"{server.url}{answer.headers['location']}", headers=HTML, timeout=PATIENCE, trust_env=False
    )
    assert f'<img src="/api/v1/artifacts/{DIGEST}"' in shown.text
    assert "refresh" not in shown.text
    assert "<script" not in shown.text


def test_a_page_of_a_job_that_goes_on_is_loaded_again(server: Hosted) -> None:
    save(server)
    answer = run(server, files={"b": (None, "7")}, headers={**HTML, "Prefer": "wait=0"})
    assert answer.status_code == 303
    page = httpx.get(
        f"{server.url}{answer.headers['location']}", headers=HTML, timeout=PATIENCE, trust_env=False
    )
    assert '<meta http-equiv="refresh" content="2">' in page.text
    job = answer.headers["location"].rpartition("/")[2]
    server.client.post(f"/jobs/{job}/cancel")
    page = httpx.get(
        f"{server.url}{answer.headers['location']}", headers=HTML, timeout=PATIENCE, trust_env=False
    )
    assert "cancelled" in page.text
    assert "refresh" not in page.text


def test_a_page_tells_why_a_job_failed(server: Hosted) -> None:
    save(server)
    error = {"code": "x", "message": "<b>it broke</b>", "problems": []}
    with worker(server, error=error):
        answer = run(server, data={"b": "7"}, headers={**HTML, **WAIT})
    page = httpx.get(
        f"{server.url}{answer.headers['location']}", headers=HTML, timeout=PATIENCE, trust_env=False
    )
    assert "&lt;b&gt;it broke&lt;/b&gt;" in page.text


def test_a_browser_that_sends_wrong_values_sees_the_form_again(server: Hosted) -> None:
    save(server, "paint", painter())
    parts = [
        ("picture", ("me.png", PICTURE)),
        ("width", (None, "-3")),
        ("name", (None, "<my name>")),
    ]
    answer = run(server, "paint", files=parts, headers=HTML)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "too small" in answer.text
    assert 'value="&lt;my name&gt;"' in answer.text
    # The image needn't be brought a second time.
    kept = f"upload:{DIGEST}/me.png"
    assert f'value="{kept}"' in answer.text
    again = run(server, "paint", files=[("picture", (None, kept)), ("picture", ("", b""))])
    assert again.status_code == 202


def test_a_form_of_a_page_elsewhere_runs_nothing(server: Hosted) -> None:
    save(server)
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert run(server, data={"b": "7"}, headers=headers).status_code == 403
    assert server.client.get("/jobs").json()["items"] == []


def test_who_may_only_read_sees_the_form_and_runs_nothing(own_server: Hosted) -> None:
    reader, runner = own_server.token("ann", "read"), own_server.token("ben", "run")
    own_server.client.put("/workflows/sum", json=workflow(), headers=runner)
    assert own_server.client.get("/apps/sum", headers=reader).status_code == 200
    assert run(own_server, json={}, headers=reader).status_code == 403
    answer = run(own_server, json={}, headers=runner)
    assert answer.status_code == 202
    assert answer.json()["job"]["client"] == "ben"
    page = f"/apps/sum/jobs/{answer.json()['job']['id']}"
    assert own_server.client.get(page, headers=runner).status_code == 200
    assert own_server.client.get(page, headers=reader).status_code == 404
    assert own_server.client.get("/apps/sum").status_code == 401


def test_a_workflow_whose_node_types_are_not_there_is_an_app_with_problems(server: Hosted) -> None:
    document = workflow(odd={"type": "gone:Thing", "inputs": {}})
    document["parameters"]["x"] = "odd.x"
    save(server, "odd", document)
    app = server.client.get("/apps/odd").json()
    assert [problem["code"] for problem in app["problems"]] == ["unknown-node-type"]
    assert list(app["parameters"]["properties"]) == ["b"]
    assert run(server, "odd", json={}).status_code == 422
    assert "no such node type" in unescape(server.client.get("/apps/odd", headers=HTML).text)


def test_each_app_has_its_own_entry_in_the_description(server: Hosted) -> None:
    save(server, "paint over", painter())
    document = httpx.get(f"{server.url}/openapi.json", timeout=PATIENCE, trust_env=False).json()
    operation = document["paths"]["/api/v1/apps/paint%20over"]["post"]
    assert operation["summary"] == "Paint over"
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["picture"]
    assert schema["properties"]["name"]["description"] == "How it begins."
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            name = content["schema"].get("$ref", "").removeprefix("#/components/schemas/")
            assert not name or name in document["components"]["schemas"]
    assert json.dumps(document)
