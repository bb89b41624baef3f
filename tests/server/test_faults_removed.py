"""Folders that are removed underneath a server: what is left is served, and new things are kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.faults import Api, until
from tests.server.hosting import Hosted, workflow
from tests.server.resources import digest_of, picture, written
from tests.server.talking import Worker, worker

__all__ = ["worker"]  # a fixture

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def server(own_server: Hosted) -> Hosted:
    """One that no other test has: folders are taken from it."""
    return own_server


@pytest.fixture
def api(server: Hosted) -> Iterator[Api]:
    found = Api(server.url)
    yield found
    found.close()


def upload(api: Api, data: bytes) -> Any:
    answer = api.ask("POST", "/uploads?name=a.png", content=data, headers=PNG)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_outputs_that_are_gone_are_told_as_gone_and_new_ones_are_served(
    server: Hosted, api: Api, worker: Worker
) -> None:
    outputs, queue = server.services.outputs, server.services.queue
    for at, data in enumerate((picture(), picture(color=(1, 1, 1)))):
        api.submit()
        job = worker.take()
        files = [written(outputs / f"{at}.png", data)]
        queue.finish(job.id, job.attempt, {"files": files}).result()
        assert api.get(f"/artifacts/{digest_of(data)}").content == data
        shutil.rmtree(outputs)
        assert api.problem("GET", f"/artifacts/{digest_of(data)}", 410)
        thumbnail = f"/artifacts/{digest_of(data)}/thumbnail"
        assert api.get(thumbnail).status_code in (200, 410)
    assert len(api.get("/artifacts").json()["items"]) == 2
    assert api.state(job.id) == "finished"


def test_uploads_that_are_gone_are_told_and_can_be_brought_again(server: Hosted, api: Api) -> None:
    data = picture()
    brought = upload(api, data)
    shutil.rmtree(server.services.uploads_folder / "files")
    assert api.problem("GET", f"/uploads/{brought['digest']}/thumbnail", 410)
    again = upload(api, data)
    assert again["digest"] == brought["digest"]
    assert api.get(f"/uploads/{brought['digest']}/thumbnail").status_code == 200


def test_saved_workflows_that_are_gone_are_no_more_and_new_ones_are_kept(
    server: Hosted, api: Api
) -> None:
    assert api.ask("PUT", "/workflows/sums", json=workflow()).status_code == 201
    shutil.rmtree(server.services.home / "workflows")
    assert api.get("/workflows").json()["items"] == []
    assert api.problem("GET", "/workflows/sums", 404) == "not-found"
    assert api.ask("PUT", "/workflows/sums", json=workflow()).status_code == 201
    assert [each["name"] for each in api.get("/workflows").json()["items"]] == ["sums"]


def test_without_its_home_folder_a_server_lives_and_keeps_nothing(server: Hosted, api: Api) -> None:
    first = api.submit().json()["id"]
    home, away = server.services.home, server.services.home.with_name("away")
    home.rename(away)
    assert api.lives()
    assert api.ready() == {"queue-not-writable", "home-gone"}
    assert api.problem("POST", "/jobs", 503, json={"workflow": workflow()}) == "output-failed"
    assert api.get("/node-types").status_code == 200
    assert server.client.get(f"{server.url}/metrics").status_code == 200
    shutil.rmtree(home, ignore_errors=True)  # whatever was made there meanwhile
    away.rename(home)
    until(lambda: api.ready() == set())
    answer = api.submit()
    assert answer.status_code == 202, answer.text
    second = answer.json()["id"]
    assert [job["id"] for job in api.get("/jobs?order=oldest").json()["items"]] == [first, second]


def test_a_folder_that_cant_be_read_is_told_of_and_no_fault_of_the_server(
    server: Hosted, api: Api, tmp_path: Path
) -> None:
    uploads = server.services.uploads_folder / "files"
    upload(api, picture())
    shutil.rmtree(uploads)
    uploads.write_text("a file stands in its place")
    other = picture(color=(5, 5, 5))
    answer = api.ask("POST", "/uploads?name=b.png", content=other, headers=PNG)
    assert answer.status_code == 503
    uploads.unlink()
    upload(api, other)
