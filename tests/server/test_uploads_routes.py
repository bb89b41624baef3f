"""Uploads over HTTP: as a form or as they are, within limits, for their owner."""

from __future__ import annotations

import json
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import httpx
import pytest

from nodegraph.core.file_access import uploaded_paths
from nodegraph.server.settings import UploadType
from tests.results.making import MAKERS
from tests.server.hosting import PATIENCE, Hosted, sent, status, workflow
from tests.server.resources import digest_of, finished, opened, picture, written

PICTURE = picture(300, 200)
DIGEST = digest_of(PICTURE)


def post(
    server: Hosted, data: bytes = PICTURE, name: str = "apple.png", **more: Any
) -> httpx.Response:
    return server.client.post("/uploads", files={"file": (name, data)}, **more)


def held(server: Hosted) -> list[str]:
    folder = server.services.uploads_folder / "files"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_form_brings_a_file(server: Hosted) -> None:
    answer = post(server)
    assert answer.status_code == 201
    entry = answer.json()
    assert (entry["digest"], entry["name"], entry["size"]) == (DIGEST, "apple.png", len(PICTURE))
    assert (entry["media_type"], entry["width"], entry["height"]) == ("image/png", 300, 200)
    assert entry["value"] == f"upload:{DIGEST}/apple.png"
    got = httpx.get(f"{server.url}{answer.headers['location']}", timeout=PATIENCE, trust_env=False)
    assert got.content == PICTURE
    assert got.headers["content-type"] == "image/png"
    assert got.headers["etag"] == f'"{DIGEST}"'


def test_a_body_brings_a_file(server: Hosted) -> None:
    answer = server.client.post(
        "/uploads?name=apple.png", content=PICTURE, headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 201
    assert answer.json()["name"] == "apple.png"
    assert post(server).status_code == 200


def test_a_body_comes_in_pieces_of_unknown_length(server: Hosted) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(PICTURE), 100):
            yield PICTURE[start : start + 100]

    answer = server.client.post("/uploads", content=pieces())
    assert (answer.status_code, answer.json()["digest"]) == (201, DIGEST)


def test_a_workflow_is_taken_in(server: Hosted) -> None:
    answer = post(server, json.dumps(workflow()).encode(), "wf.json")
    assert (answer.status_code, answer.json()["media_type"]) == (201, "application/json")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 415),
        (b"<svg onload='alert(1)'/>", 415),
        (b"<script>alert(1)</script>", 415),
        (pickle.dumps({"a": 1}), 415),
        (PICTURE[:60], 422),
        (b'{"nodes": 1}', 422),
        (b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}", 413),
    ],
)
def test_what_is_not_taken_in_leaves_nothing(server: Hosted, data: bytes, expected: int) -> None:
    as_form, as_body = post(server, data), server.client.post("/uploads", content=data)
    assert as_form.status_code == as_body.status_code == expected
    assert as_form.headers["content-type"] == "application/problem+json"
    assert held(server) == []


def test_pickle_is_named(server: Hosted) -> None:
    answer = post(server, pickle.dumps([1]), "model.safetensors")
    assert answer.json()["type"] == "/problems/unsafe-file"
    assert "safetensors" in answer.json()["problems"][0]["hint"]


def test_a_picture_of_too_many_pixels_is_refused(hosting: Callable[..., Any]) -> None:
    with hosting(limits={"pixels": 59_999}) as server:
        answer = post(server)
        assert answer.status_code == 413
        assert "pixels" in answer.json()["detail"]
        assert held(server) == []


def test_too_many_bytes_are_refused(hosting: Callable[..., Any]) -> None:
    with hosting(limits={"upload": 100_000}) as server:
        big = picture() + b"\0" * 200_000
        assert post(server, big).status_code == 413
        assert server.client.post("/uploads", content=big).status_code == 413
        assert server.client.post("/uploads", content=iter([big])).status_code == 413
        assert held(server) == []
        assert post(server).status_code == 201


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"file": (None, b"text")}, 422),
        ({"other": ("a.png", PICTURE)}, 422),
        ([("file", ("a.png", PICTURE)), ("file", ("b.png", PICTURE))], 413),
        ([("file", ("a.png", PICTURE)), ("x", (None, b"1"))], 413),
    ],
)
def test_a_form_brings_exactly_one_file(server: Hosted, parts: Any, expected: int) -> None:
    assert server.client.post("/uploads", files=parts).status_code == expected
    assert held(server) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x--\r\n",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\ndata\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + PICTURE,
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + PICTURE
        + b"\r\n--x",
        b"--x\r\n" + b"A: b\r\n" * 1000,
        b"--x\r\n" + b"A" * 10_000,
        b"\0" * 1000,
    ],
)
def test_a_form_that_is_none_is_refused(server: Hosted, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = server.client.post("/uploads", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert held(server) == []


@pytest.mark.parametrize("rest", ["", "; boundary=", "; boundary=" + "x" * 300, "; boundary=é"])
def test_a_form_without_a_boundary_is_refused(server: Hosted, rest: str) -> None:
    headers = {"Content-Type": f"multipart/form-data{rest}".encode()}
    answer = server.client.post("/uploads", content=PICTURE, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../../etc/passwd", "passwd.png"),
        ("C:\\Windows\\x.exe", "x.png"),
        ("CON", "_CON.png"),
        (".htaccess", "htaccess.png"),
        ("a\x00b.png", "a_b.png"),
        ("\u202egnp.exe", "_gnp.png"),
        ("．．／x", "x.png"),
        ("x" * 1000, "x" * 100 + ".png"),
        ("", "unnamed.png"),
    ],
)
def test_a_name_is_made_safe(server: Hosted, given: str, kept: str) -> None:
    answer = server.client.post("/uploads", params={"name": given}, content=PICTURE)
    assert answer.status_code == 201
    assert answer.json()["name"] == kept
    assert held(server) == [f"{DIGEST}.png"]


def test_a_client_that_hangs_up_leaves_nothing(server: Hosted) -> None:
    head = (
        f"POST /api/v1/uploads HTTP/1.1\r\nHost: {server.host}\r\n"
        f"Content-Length: {len(PICTURE)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + PICTURE[:100])
        until(lambda: len(held(server)) == 1)
    until(lambda: held(server) == [])
    assert post(server).status_code == 201


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_others_see_no_trace_of_it(own_server: Hosted) -> None:
    ann, ben = own_server.token("ann", "run"), own_server.token("ben", "run")
    reader, boss = own_server.token("cid", "read"), own_server.token("boss", "admin")
    assert post(own_server, headers=ann).status_code == 201
    for path in (f"/uploads/{DIGEST}{rest}" for rest in ("", "/thumbnail", "/texts")):
        for who, expected in ((ann, 200), (boss, 200), (ben, 404), (reader, 404), ({}, 401)):
            assert own_server.client.get(path, headers=who).status_code == expected
    assert own_server.client.get("/uploads", headers=ben).json()["items"] == []
    assert post(own_server, headers=reader).status_code == 403
    assert own_server.client.delete(f"/uploads/{DIGEST}", headers=ben).status_code == 404
    assert own_server.client.delete(f"/uploads/{DIGEST}", headers=ann).status_code == 204
    assert held(own_server) == []


def test_a_page_elsewhere_can_bring_nothing(server: Hosted) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert post(server, headers=headers).status_code == 403
    assert held(server) == []


@pytest.mark.parametrize(
    "path", ["../tokens.json", "..%2ftokens.json", "%2fetc%2fpasswd", "%00", "NUL", DIGEST + "/x"]
)
def test_no_path_reaches_another_file(server: Hosted, path: str) -> None:
    post(server)
    for method in ("GET", "DELETE"):
        request = (
            f"{method} /api/v1/uploads/{path} HTTP/1.1\r\nHost: {server.host}\r\n"
            "Connection: close\r\n\r\n"
        )
        assert status(sent(server.port, request.encode())) in (400, 404)
    assert (server.services.home / "queue.sqlite").exists()


def test_the_list_is_cut_into_pages(server: Hosted) -> None:
    for at in range(1, 6):
        post(server, picture(at, 1), f"{at}.png")
    page = server.client.get("/uploads?limit=3").json()
    rest = server.client.get(f"/uploads?limit=3&cursor={page['next']}").json()
    names = [item["name"] for item in page["items"] + rest["items"]]
    assert names == ["5.png", "4.png", "3.png", "2.png", "1.png"]
    assert rest["next"] is None
    assert server.client.get("/uploads?cursor=zzz").status_code == 422


@pytest.mark.parametrize("name", ["made.glb", "made.sdf", "made.ogg", "made.mkv", "moving.gif"])
def test_the_workflow_in_a_file_can_be_had_whatever_it_is_called(server: Hosted, name: str) -> None:
    data = MAKERS[name]({"workflow": '{"title": "T"}'})
    answer = post(server, data, "unknown")
    assert answer.status_code == 201
    texts = server.client.get(f"{answer.json()['href'].removeprefix('/api/v1')}/texts").json()
    assert texts["texts"]["workflow"] == '{"title": "T"}'


def test_a_thumbnail_and_a_part_can_be_had(server: Hosted) -> None:
    post(server)
    assert opened(server.client.get(f"/uploads/{DIGEST}/thumbnail?size=64").content).width == 64
    part = server.client.get(f"/uploads/{DIGEST}", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")


def test_a_job_reads_it_by_its_value(server: Hosted) -> None:
    value = post(server).json()["value"]
    wanted = workflow(look={"type": "sums:Checked", "inputs": {"path": value}})
    answer = server.client.post("/jobs", json={"workflow": wanted})
    assert answer.status_code == 202
    job = server.services.queue.get(answer.json()["id"])
    ran = json.loads(server.services.queue.workflow(job.workflow))
    path = ran["nodes"]["look"]["inputs"]["path"]
    assert path == str(server.services.uploads_folder / "files" / f"{DIGEST}.png")
    # Where files lie on the server is nobody's business, and of no use elsewhere.
    shown = server.client.get(f"/jobs/{job.id}/workflow").json()
    assert shown["nodes"]["look"]["inputs"]["path"] == value


def test_every_type_that_is_taken_in_is_read_by_a_job(hosting: Callable[..., Any]) -> None:
    types = get_args(UploadType)
    loaders = {
        "LoadImage": ("png", "jpeg", "webp", "gif"),
        "LoadLayers": ("ora", "psd"),
        "LoadVideo": ("mp4", "webm", "mkv"),
        "LoadAudio": ("wav", "flac", "ogg", "mp3"),
        "LoadMesh": ("glb", "ply", "obj"),
        "LoadMolecule": ("sdf", "pdb"),
        "LoadText": ("workflow",),
        "LoadLatent": ("safetensors",),
    }
    loader_of = {each: loader for loader, group in loaders.items() for each in group}
    assert set(loader_of) == set(types)
    made = {
        "jpeg": MAKERS["made.jpg"],
        "gif": MAKERS["moving.gif"],
        "psd": lambda texts: b"8BPS\0\1" + bytes(20),
        # Silence: two frames of MPEG 1, layer 3, 128 kbit/s, 44.1 kHz.
        "mp3": lambda texts: (b"\xff\xfb\x90\x00" + bytes(413)) * 2,
        "workflow": lambda texts: json.dumps(workflow()).encode(),
    }
    with hosting(uploads={"types": types}) as server:
        for each, loader in loader_of.items():
            data = made.get(each, MAKERS.get(f"made.{each}", bytes))({})
            value = post(server, data).json()["value"]
            wanted = {"load": {"type": loader, "inputs": {"path": value}}}
            body = {"workflow": {"format": "nodegraph/1", "nodes": wanted}, "targets": ["load"]}
            answer = server.client.post("/jobs", json=body)
            assert answer.status_code == 202, (each, answer.text)
            job = answer.json()["id"]
            shown = server.client.get(f"/jobs/{job}/workflow").json()
            assert shown["nodes"]["load"]["inputs"]["path"] == value, each
            # What the worker may read, and what errors about it say.
            text = server.services.queue.workflow(server.services.queue.get(job).workflow)
            (path,) = uploaded_paths(text, {}, server.services.uploads.files)
            assert path.read_bytes() == data
            assert server.services.places.redact(f"{path} is damaged") == (
                f"upload:{digest_of(data)} is damaged"
            )


def test_a_job_with_an_upload_that_there_is_not_is_refused_with_its_place(server: Hosted) -> None:
    value = f"upload:{'0' * 64}/x.png"
    wanted = workflow(look={"type": "sums:Checked", "inputs": {"path": value}})
    answer = server.client.post("/jobs", json={"workflow": wanted})
    assert answer.status_code == 422
    (found,) = answer.json()["problems"]
    assert (found["code"], found["node"], found["port"]) == ("unknown-upload", "look", "path")


def test_what_a_job_gave_is_used_as_an_upload(server: Hosted) -> None:
    path = server.services.outputs / "apple_3.png"
    finished(server.services.queue, [written(path, PICTURE)], "local")
    answer = server.client.post(f"/uploads/artifacts/{DIGEST}")
    assert answer.status_code == 201
    assert answer.json()["value"] == f"upload:{DIGEST}/apple_3.png"
    assert server.client.post(f"/uploads/artifacts/{DIGEST}").status_code == 200
    path.unlink()  # what was made an upload is no longer the job's
    assert server.client.get(f"/uploads/{DIGEST}").content == PICTURE
    missing = server.client.post(f"/uploads/artifacts/{'0' * 64}")
    assert missing.status_code == 404
