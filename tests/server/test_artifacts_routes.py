"""Artifacts over HTTP: ranges, ETags, types, thumbnails, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.events import Event
from tests.properties import examples
from tests.results.making import MAKERS
from tests.server.hosting import PATIENCE, Hosted, sent, status, workflow
from tests.server.resources import digest_of, finished, opened, picture, written
from tests.server.talking import talk

PICTURE = picture(300, 200)
DIGEST = digest_of(PICTURE)
FOREIGN = [
    ("text/html", b"<script>alert(1)</script>"),
    ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
    ("application/xhtml+xml", b"<html/>"),
    ("text/html\r\nSet-Cookie: a=b", b"x"),
    ("x" * 5000, b"x"),
    ("", b"x"),
]


def give(server: Hosted, data: bytes = PICTURE, name: str = "apple.png", **more: Any) -> str:
    """Have a job give a file; its digest."""
    client = more.pop("client", "local")
    path = server.services.outputs / name
    finished(server.services.queue, [written(path, data, **more)], client, parameters={"n": name})
    return digest_of(data)


def get(server: Hosted, digest: str = DIGEST, rest: str = "", **headers: str) -> httpx.Response:
    return server.client.get(f"/artifacts/{digest}{rest}", headers=headers)


def test_a_file_comes_as_it_is_and_may_be_kept(server: Hosted) -> None:
    give(server)
    answer = get(server)
    assert answer.status_code == 200
    assert answer.content == PICTURE
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(PICTURE))
    assert answer.headers["etag"] == f'"{DIGEST}"'
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == 'inline; filename="apple.png"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_large_file_comes_whole(server: Hosted) -> None:
    data = bytes(range(256)) * 20_000
    digest = give(server, data, "large.bin", media_type="application/x-thing")
    assert get(server, digest).content == data
    part = get(server, digest, Range=f"bytes=1000001-{len(data)}")
    assert part.content == data[1_000_001:]


def test_an_empty_file_comes_too(server: Hosted) -> None:
    digest = give(server, b"", "empty.txt", media_type="text/plain")
    answer = get(server, digest)
    assert (answer.status_code, answer.content) == (200, b"")
    assert get(server, digest, Range="bytes=0-").status_code == 416


def test_what_the_client_has_is_not_sent_again(server: Hosted) -> None:
    give(server)
    for header in (f'"{DIGEST}"', f'W/"{DIGEST}"', f'"other", "{DIGEST}"', "*"):
        answer = get(server, **{"If-None-Match": header})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == f'"{DIGEST}"'
    assert get(server, **{"If-None-Match": '"other"'}).status_code == 200


@pytest.fixture
def ranged(server: Hosted) -> Hosted:
    give(server)
    return server


def test_a_range_is_that_part(ranged: Hosted) -> None:
    @settings(max_examples=examples(40), deadline=None)
    @given(first=st.integers(0, 700), last=st.integers(0, 900))
    def check(first: int, last: int) -> None:
        answer = get(ranged, Range=f"bytes={first}-{last}")
        if first > last:
            assert (answer.status_code, answer.content) == (200, PICTURE)
        elif first >= len(PICTURE):
            assert answer.status_code == 416
            assert answer.headers["content-range"] == f"bytes */{len(PICTURE)}"
        else:
            end = min(last, len(PICTURE) - 1)
            assert answer.status_code == 206
            assert answer.content == PICTURE[first : last + 1]
            assert answer.headers["content-range"] == f"bytes {first}-{end}/{len(PICTURE)}"
            assert answer.headers["content-length"] == str(len(answer.content))

    check()


def test_a_range_of_another_version_is_the_whole(ranged: Hosted) -> None:
    whole = get(ranged, Range="bytes=0-9", **{"If-Range": '"other"'})
    part = get(ranged, Range="bytes=0-9", **{"If-Range": f'"{DIGEST}"'})
    assert (whole.status_code, part.status_code) == (200, 206)


def test_a_head_has_no_body_and_the_same_headers(ranged: Hosted) -> None:
    answer = ranged.client.head(f"/artifacts/{DIGEST}", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(PICTURE))


@pytest.mark.parametrize(("kind", "data"), FOREIGN)
def test_what_could_run_is_an_attachment_in_a_sandbox(
    server: Hosted, kind: str, data: bytes
) -> None:
    digest = give(server, data, "page.html", media_type=kind)
    answer = get(server, digest)
    assert answer.content == data
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] in ("application/octet-stream", "image/svg+xml")
    assert "set-cookie" not in answer.headers


def test_anything_can_be_saved_instead_of_shown(ranged: Hosted) -> None:
    answer = get(ranged, rest="?download=true")
    assert answer.headers["content-disposition"] == 'attachment; filename="apple.png"'


def test_a_name_with_a_line_break_breaks_no_header(server: Hosted) -> None:
    digest = give(server, b"x", 'a"\r\nSet-Cookie: x=y; "ä.txt', media_type="text/plain")
    answer = get(server, digest)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_a_changed_file_is_gone_with_an_explanation(ranged: Hosted) -> None:
    (ranged.services.outputs / "apple.png").write_bytes(b"changed")
    for rest in ("", "/thumbnail"):
        answer = get(ranged, rest=rest)
        assert answer.status_code == 410
        assert "changed" in answer.json()["detail"]
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_vanished_file_is_gone_with_an_explanation(ranged: Hosted) -> None:
    (ranged.services.outputs / "apple.png").unlink()
    answer = get(ranged)
    assert answer.status_code == 410
    assert "deleted" in answer.json()["detail"]
    assert answer.json()["problems"][0]["hint"]


def test_a_file_outside_of_the_outputs_is_not_handed_out(server: Hosted) -> None:
    secret = written(server.services.home / "secret.json", b"secret", "application/json")
    finished(server.services.queue, [secret], "local")
    assert get(server, digest_of(b"secret")).status_code == 410


def test_a_link_out_of_the_outputs_is_not_followed(server: Hosted, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    listed = written(server.services.outputs / "x.txt", b"secret")
    (server.services.outputs / "x.txt").unlink()
    (server.services.outputs / "x.txt").symlink_to(tmp_path / "secret")
    finished(server.services.queue, [listed], "local")
    assert get(server, digest_of(b"secret")).status_code == 410


@pytest.mark.parametrize(
    "path",
    [
        "/artifacts/../tokens.json",
        "/artifacts/..%2ftokens.json",
        "/artifacts/%2e%2e/tokens.json",
        "/artifacts/%2e%2e%2ftokens.json",
        "/artifacts/..%5ctokens.json",
        "/artifacts//etc/passwd",
        "/artifacts/%2fetc%2fpasswd",
        "/artifacts/CON",
        "/artifacts/%00",
        "/artifacts/" + "a" * 3000,
        "/artifacts/" + quote("．．／etc"),
        "/artifacts/" + DIGEST.upper(),
        "/artifacts/" + DIGEST + "/../../jobs",
        "/artifacts/" + DIGEST + ".png",
    ],
)
def test_no_path_reaches_another_file(ranged: Hosted, path: str) -> None:
    request = f"GET /api/v1{path} HTTP/1.1\r\nHost: {ranged.host}\r\nConnection: close\r\n\r\n"
    answer = sent(ranged.port, request.encode())
    assert status(answer) in (400, 404, 414)
    assert b"root:" not in answer


def test_others_see_no_trace_of_it(own_server: Hosted) -> None:
    ann, ben = own_server.token("ann", "run"), own_server.token("ben", "run")
    boss = own_server.token("boss", "admin")
    give(own_server, client="ann")
    for path in (f"/artifacts/{DIGEST}", f"/artifacts/{DIGEST}/thumbnail"):
        assert own_server.client.get(path, headers=ann).status_code == 200
        assert own_server.client.get(path, headers=boss).status_code == 200
        refused = own_server.client.get(path, headers=ben)
        unknown = own_server.client.get(path.replace(DIGEST, "0" * 64), headers=ben)
        assert refused.status_code == unknown.status_code == 404
        assert refused.json()["detail"] == unknown.json()["detail"]
        tagged = {**ben, "If-None-Match": "*"}
        assert own_server.client.get(path, headers=tagged).status_code == 404
    listed = [
        len(own_server.client.get("/artifacts", headers=who).json()["items"])
        for who in (ann, ben, boss)
    ]
    assert listed == [1, 0, 1]
    assert own_server.client.get(f"/artifacts/{DIGEST}").status_code == 401


def test_a_plan_tells_of_the_files_of_hits_that_the_caller_has(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def plan(*_: object) -> dict[str, Any]:
        gone = "0" * 64
        return {"nodes": {"save": {"files": [gone, DIGEST]}, "size": {"files": []}}}

    monkeypatch.setattr(own_server.services.supervisor, "ask", plan)
    ann, ben = own_server.token("ann", "run"), own_server.token("ben", "run")
    give(own_server, client="ann")
    asked = [("ann", ann, [DIGEST]), ("ben", ben, [])]
    for name, who, digests in asked:
        wish = {"workflow": workflow()}
        nodes = own_server.client.post("/plan", json=wish, headers=who).json()["nodes"]
        assert [file["digest"] for file in nodes["save"]["files"]] == digests, name
        listed = own_server.client.get("/artifacts", headers=who).json()["items"]
        assert nodes["save"]["files"] == listed, name
        assert nodes["size"]["files"] == []


def test_files_are_found_by_words_and_time(server: Hosted) -> None:
    give(server, width=300, height=200)
    give(server, b"x", "note.txt", media_type="text/plain")
    (found,) = server.client.get("/artifacts?text=APPLE").json()["items"]
    assert (found["width"], found["height"], found["job_name"]) == (300, 200, "")
    (other,) = server.client.get("/artifacts?text=note save").json()["items"]
    assert (other["width"], other["height"], other["thumbnail"]) == (None, None, None)
    assert server.client.get("/artifacts?text=nothing").json()["items"] == []
    later = found["created"] + 1000
    assert server.client.get(f"/artifacts?created_after={later}").json()["items"] == []
    assert len(server.client.get(f"/artifacts?created_before={later}").json()["items"]) == 2
    assert server.client.get("/artifacts?created_after=nan").status_code == 422


def test_it_is_told_how_many_jobs_gave_the_same(server: Hosted) -> None:
    for name in ("first.png", "second.png"):
        give(server, name=name)
    for query, names in (("", ["second.png", "first.png"]), ("?distinct=true", ["second.png"])):
        items = server.client.get(f"/artifacts{query}").json()["items"]
        assert [(item["name"], item["jobs"]) for item in items] == [(name, 2) for name in names]


def test_a_file_is_deleted_by_who_may_run_and_has_it(own_server: Hosted) -> None:
    ann, ben = own_server.token("ann", "run"), own_server.token("ben", "run")
    reader, boss = own_server.token("ann2", "read"), own_server.token("boss", "admin")
    give(own_server, client="ann")
    path = own_server.services.outputs / "apple.png"
    place = f"/artifacts/{DIGEST}"
    assert own_server.client.delete(place).status_code == 401
    assert own_server.client.delete(place, headers=reader).status_code == 403
    assert own_server.client.delete(place, headers=ben).status_code == 404
    assert own_server.client.delete(f"{place}?job=job_x", headers=ann).status_code == 404
    assert path.exists()
    (item,) = own_server.client.get("/artifacts", headers=ann).json()["items"]
    with talk(own_server, headers=ann) as client:
        assert own_server.client.delete(place, headers=ann).status_code == 204
        assert client.next() == {"type": "notice", "kind": "artifacts.deleted", "data": {}}
    assert not path.exists()
    assert own_server.client.delete(place, headers=ann).status_code == 404
    job = own_server.client.get(f"/jobs/{item['job']}", headers=boss).json()
    assert job["outputs"]["files"] == []


def test_what_a_job_that_runs_wrote_can_be_had_and_not_be_deleted(server: Hosted) -> None:
    queue = server.services.queue
    job = server.client.post("/jobs", json={"workflow": workflow()}).json()["id"]
    claimed = queue.claim("worker-1").result()
    assert claimed is not None
    file = written(server.services.outputs / "apple.png", PICTURE, width=300, height=200)
    data = {name: value for name, value in file.items() if name not in ("node", "kind")}
    with talk(server) as client:
        client.ask("subscribe", jobs=[job])
        event = Event(1, "node.wrote", "save", 0.5, {**data, "file": "image", "existed": False})
        queue.append_events(job, claimed.attempt, [event]).result()
        told = client.until("node.wrote")["data"]
    href = f"/api/v1/artifacts/{DIGEST}"
    assert (told["name"], told["href"]) == ("apple.png", href)
    assert (told["digest"], told["width"], told["size"]) == (DIGEST, 300, len(PICTURE))
    assert told["thumbnail"] == f"{href}/thumbnail"
    assert "path" not in told
    assert get(server).content == PICTURE
    assert server.client.delete(f"/artifacts/{DIGEST}").status_code == 409
    assert get(server).content == PICTURE


def test_a_deleted_job_takes_its_artifacts_along(server: Hosted) -> None:
    give(server)
    (item,) = server.client.get("/artifacts").json()["items"]
    assert get(server).status_code == 200
    assert server.client.delete(f"/jobs/{item['job']}").status_code == 204
    assert get(server).status_code == 404


def test_the_list_leads_to_the_files(server: Hosted) -> None:
    for at in range(5):
        give(server, picture(at + 1, 1), f"{at}.png")
    give(server, b"text", "note.txt", media_type="text/plain", kind="text")
    page = server.client.get("/artifacts?limit=4").json()
    rest = server.client.get(f"/artifacts?limit=4&cursor={page['next']}").json()
    assert rest["next"] is None
    items = page["items"] + rest["items"]
    assert [item["name"] for item in items] == [
        "note.txt",
        *(f"{at}.png" for at in (4, 3, 2, 1, 0)),
    ]
    for item in items:
        answer = httpx.get(f"{server.url}{item['href']}", timeout=PATIENCE, trust_env=False)
        assert len(answer.content) == item["size"]
    assert [item["thumbnail"] is None for item in items] == [True] + [False] * 5
    (note,) = server.client.get("/artifacts?kind=text").json()["items"]
    assert note["name"] == "note.txt"


@pytest.mark.parametrize("query", ["limit=0", "limit=9999", "cursor=x", "limit=a", "cursor=%00"])
def test_a_list_that_makes_no_sense_is_refused(server: Hosted, query: str) -> None:
    assert server.client.get(f"/artifacts?{query}").status_code in (400, 422)


def test_a_thumbnail_is_a_small_picture_that_may_be_kept(ranged: Hosted) -> None:
    answer = get(ranged, rest="/thumbnail?size=128")
    assert answer.headers["content-type"] == "image/webp"
    assert opened(answer.content).size == (128, 85)
    tag = answer.headers["etag"]
    again = get(ranged, rest="/thumbnail?size=128", **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = get(ranged, rest="/thumbnail?size=256", **{"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("size", ["63", "513", "0", "-1", "a", "1e3", "9" * 100])
def test_a_thumbnail_of_another_size_is_refused(ranged: Hosted, size: str) -> None:
    assert get(ranged, rest=f"/thumbnail?size={size}").status_code == 422


def test_of_what_is_too_large_to_be_shown_there_is_a_plain_tile_that_says_so(
    server: Hosted,
) -> None:
    data = b"ply\nformat ascii 1.0\nelement vertex 3\nelement face 1000001\nend_header\n"
    digest = give(server, data, "large.ply", media_type="model/ply")
    answer = server.client.get(f"/artifacts/{digest}/thumbnail?size=64")
    assert answer.status_code == 200
    assert opened(answer.content).size == (64, 64)
    assert answer.headers["x-thumbnail-instead"] == "too many triangles to show: 1,000,001"
    # What else it says isn't for good.
    assert "immutable" not in answer.headers["cache-control"]
    assert "etag" not in answer.headers


def test_of_what_is_no_picture_there_is_no_thumbnail(server: Hosted) -> None:
    digest = give(server, b"text", "note.png", media_type="image/png")
    answer = get(server, digest, "/thumbnail")
    assert answer.status_code == 404
    assert "no thumbnail" in answer.json()["detail"]


RESULTS = [
    ("made.flac", "audio/flac", "audio"),
    ("made.glb", "model/gltf-binary", "mesh"),
    ("made.sdf", "chemical/x-mdl-sdfile", "molecule"),
    ("made.json", "application/json", "plot"),
    ("made.mp4", "video/mp4", "video"),
    ("made.ora", "application/x-openraster", "layers"),
]


@pytest.mark.parametrize(("name", "media_type", "kind"), RESULTS)
def test_what_is_no_picture_has_a_thumbnail_and_its_texts(
    server: Hosted, name: str, media_type: str, kind: str
) -> None:
    data = MAKERS[name]({"workflow": '{"title": "T"}', "nodegraph": "0.1.0"})
    digest = give(server, data, name, media_type=media_type, kind=kind)
    [item] = server.client.get("/artifacts").json()["items"]
    assert item["thumbnail"] == f"{item['href']}/thumbnail"
    assert max(opened(get(server, digest, "/thumbnail?size=64").content).size) in (4, 32, 64)
    texts = get(server, digest, "/texts").json()["texts"]
    assert (texts["workflow"], texts["nodegraph"]) == ('{"title": "T"}', "0.1.0")


@pytest.mark.parametrize(
    ("name", "data", "media_type", "expected"),
    [
        ("note.txt", b"words", "text/plain", 200),
        ("cut.glb", b"glTF", "model/gltf-binary", 422),
        ("plain.png", PICTURE, "image/png", 200),
    ],
)
def test_what_carries_nothing_has_no_texts(
    server: Hosted, name: str, data: bytes, media_type: str, expected: int
) -> None:
    answer = get(server, give(server, data, name, media_type=media_type), "/texts")
    assert answer.status_code == expected
    assert answer.json().get("texts", {}) == {}
    assert str(server.services.outputs) not in answer.text


def test_texts_are_nobody_elses(own_server: Hosted) -> None:
    digest = give(own_server, MAKERS["made.flac"]({"workflow": "{}"}), "made.flac", client="ann")
    ann, ben = own_server.token("ann", "read"), own_server.token("ben", "read")
    for who, expected in ((ann, 200), (ben, 404), ({}, 401)):
        answer = own_server.client.get(f"/artifacts/{digest}/texts", headers=who)
        assert answer.status_code == expected


def test_previews_are_handed_out_too(server: Hosted) -> None:
    path = server.services.environment.temporary / "previews" / "x.png"
    finished(server.services.queue, [written(path, PICTURE, kind="preview")], "local")
    assert get(server).content == PICTURE
