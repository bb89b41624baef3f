"""Saved workflows over HTTP: versions, ETags, names; and the gallery."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from nodegraph.core.workflow import Workflow
from tests.server.hosting import PATIENCE, Hosted, sent, status, workflow
from tests.server.resources import opened


def put(server: Hosted, name: str = "apple", title: str = "a", **headers: str) -> httpx.Response:
    document = {**workflow(), "title": title}
    return server.client.put(f"/workflows/{quote(name)}", json=document, headers=headers)


def test_a_workflow_is_saved_and_got(server: Hosted) -> None:
    answer = put(server)
    assert answer.status_code == 201
    assert answer.json()["version"] == 1
    got = httpx.get(f"{server.url}{answer.headers['location']}", timeout=PATIENCE, trust_env=False)
    assert got.json() == {**workflow(), "title": "a"}
    assert got.headers["etag"] == answer.headers["etag"] == f'"{answer.json()["digest"]}"'
    assert got.headers["content-location"] == "/api/v1/workflows/apple/versions/1"
    assert got.text == Workflow.from_dict(got.json()).to_json()


def test_each_change_is_a_version(server: Hosted) -> None:
    assert [put(server, title=title).status_code for title in "abb"] == [201, 200, 200]
    versions = server.client.get("/workflows/apple/versions").json()["items"]
    assert [version["version"] for version in versions] == [2, 1]
    for version, title in zip(versions, "ba", strict=True):
        got = httpx.get(f"{server.url}{version['href']}", timeout=PATIENCE, trust_env=False)
        assert got.json()["title"] == title
        assert got.headers["etag"] == f'"{version["digest"]}"'
    assert server.client.get("/workflows/apple").json()["title"] == "b"


@pytest.mark.parametrize("version", ["0", "3", "-1", "a", "1.5", "9" * 30, "%00"])
def test_a_version_that_there_is_not_is_not_found(server: Hosted, version: str) -> None:
    put(server)
    answer = server.client.get(f"/workflows/apple/versions/{version}")
    assert answer.status_code in (400, 404, 422)


def test_a_change_of_what_was_changed_meanwhile_is_refused(server: Hosted) -> None:
    tag = put(server).headers["etag"]
    assert put(server, title="b", **{"If-Match": tag}).status_code == 200
    refused = put(server, title="c", **{"If-Match": tag})
    assert refused.status_code == 412
    assert refused.json()["problems"][0]["hint"]
    gone = server.client.delete("/workflows/apple", headers={"If-Match": tag})
    assert gone.status_code == 412
    assert server.client.get("/workflows/apple").json()["title"] == "b"


def test_a_new_one_can_be_asked_for(server: Hosted) -> None:
    assert put(server, **{"If-None-Match": "*"}).status_code == 201
    assert put(server, title="b", **{"If-None-Match": "*"}).status_code == 412
    assert put(server, "pear", **{"If-Match": "*"}).status_code == 412


def test_what_the_client_has_is_not_sent_again(server: Hosted) -> None:
    tag = put(server).headers["etag"]
    answer = server.client.get("/workflows/apple", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    put(server, title="b")
    answer = server.client.get("/workflows/apple", headers={"If-None-Match": tag})
    assert answer.status_code == 200


def test_keys_that_nobody_knows_are_kept(server: Hosted) -> None:
    document = {**workflow(), "x-studio": {"color": [1, None, "ä"]}, "ui": {"b": 1, "a": 2}}
    document["nodes"]["two"]["note-to-self"] = "later"
    assert server.client.put("/workflows/apple", json=document).status_code == 201
    assert server.client.get("/workflows/apple").json() == document


def test_a_workflow_that_cannot_run_yet_is_saved(server: Hosted) -> None:
    draft = {"format": "nodegraph/1", "nodes": {"a": {"type": "NotThere", "inputs": {}}}}
    assert server.client.put("/workflows/draft", json=draft).status_code == 201


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"nodes": []}', 422),
        (b'{"nodes": {}, "nodes": {}}', 400),
        (b'{"nodes": {"a.b": {"type": "X"}}}', 422),
        (b'{"format": "nodegraph/99", "nodes": {}}', 422),
        (b'{"nodes": {"a": {"type": NaN}}}', 400),
        (b"\xff\xfe", 400),
        (b'{"x": ' * 100 + b"1" + b"}" * 100, 413),
    ],
)
def test_what_is_no_workflow_is_refused(server: Hosted, body: bytes, expected: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = server.client.put("/workflows/apple", content=body, headers=headers)
    assert answer.status_code == expected
    assert server.client.get("/workflows").json()["items"] == []


def test_half_a_character_in_a_file_breaks_no_answer(server: Hosted) -> None:
    folder = server.services.home / "workflows"
    folder.mkdir()
    document = {"format": "nodegraph/1", "title": "\ud800", "description": "\udfff", "nodes": {}}
    (folder / "x.json").write_text(json.dumps(document))
    odd = {**document, "nodes": {"a": {"type": "no\ud800"}}}
    (folder / "odd.json").write_text(json.dumps(odd))
    fine = {**workflow(), "title": "A sum\ud800\0"}
    (folder / "fine.json").write_text(json.dumps(fine))
    checked = server.client.post("/validate", json={"workflow": {"saved": "odd"}})
    assert checked.json()["problems"][0]["message"] == "there is no node type `no\ud800`"
    taken = server.client.post("/jobs", json={"workflow": {"saved": "fine"}})
    assert taken.json()["name"] == "A sum\ufffd\ufffd"
    listed = {item["name"]: item for item in server.client.get("/workflows").json()["items"]}
    assert listed["x"]["title"] == "\ud800"
    assert server.client.get("/workflows/x").json()["title"] == "\ud800"
    listed = {item["name"]: item for item in server.client.get("/apps").json()["items"]}
    assert listed["x"]["title"] == "\ud800"
    for kind in ("application/json", "text/html"):
        assert server.client.get("/apps/x", headers={"Accept": kind}).status_code == 200
    assert (
        httpx.get(f"{server.url}/openapi.json", timeout=PATIENCE, trust_env=False).status_code
        == 200
    )


def test_other_types_of_bodies_are_refused(server: Hosted) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "text/json", ""):
        answer = server.client.put(
            "/workflows/apple",
            content=json.dumps(workflow()),
            headers={"Content-Type": kind} if kind else {},
        )
        assert answer.status_code == 415


@pytest.mark.parametrize(
    "name",
    [
        *(
            "..",
            "%2e%2e",
            "..%2fx",
            "%2fetc%2fx",
            "a%2fb",
            "a%5cb",
            "CON",
            "nul.txt",
            "%00",
            "a%00",
        ),
        *(".hidden", "-x", "a%0ab", "x.", "~", "$HOME", "a:b", "a*", "%7f", "x" * 300),
        *map(quote, ("．．／x", "a∕b", "․․", "ＣＯＮ", "a\u202eb", "a\u200bb", "e\u0301", "½")),
    ],
)
def test_a_name_that_is_no_safe_one_reaches_no_file(server: Hosted, name: str) -> None:
    body = json.dumps(workflow()).encode()
    for method, data in (("PUT", body), ("GET", b""), ("DELETE", b"")):
        head = (
            f"{method} /api/v1/workflows/{name} HTTP/1.1\r\nHost: {server.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
            "Connection: close\r\n\r\n"
        )
        assert status(sent(server.port, head.encode() + data)) in (400, 404, 405, 422)
    assert list((server.services.home).rglob("*.json*")) == [
        path for path in server.services.home.rglob("*.json*") if "workflows" not in path.parts
    ]


def test_names_that_a_file_system_mixes_up_are_not_both_taken(server: Hosted) -> None:
    put(server, "Apple pie")
    answer = put(server, "apple PIE")
    assert answer.status_code == 409
    assert put(server, "Äpfel (2)").status_code == 201
    assert server.client.get(f"/workflows/{quote('Äpfel (2)')}").status_code == 200


def test_a_name_that_there_is_not_is_not_found_and_the_nearest_is_told(server: Hosted) -> None:
    put(server)
    answer = server.client.get("/workflows/aple")
    assert answer.status_code == 404
    assert answer.json()["problems"][0]["hint"] == "Did you mean `apple`?"


def test_a_deleted_one_is_gone(server: Hosted) -> None:
    put(server)
    assert server.client.delete("/workflows/apple").status_code == 204
    for path in ("/workflows/apple", "/workflows/apple/versions", "/workflows/apple/versions/1"):
        assert server.client.get(path).status_code == 404
    assert server.client.delete("/workflows/apple").status_code == 404


def test_the_list_tells_what_each_is_for(server: Hosted) -> None:
    for name in ("pear", "apple", "plum"):
        put(server, name, f"A {name}")
    page = server.client.get("/workflows?limit=2").json()
    rest = server.client.get("/workflows", params={"limit": 2, "cursor": page["next"]}).json()
    items = page["items"] + rest["items"]
    assert [item["name"] for item in items] == ["apple", "pear", "plum"]
    assert items[0]["title"] == "A apple"
    assert (items[0]["parameters"], items[0]["nodes"]) == (["b"], 3)
    found = server.client.get("/workflows", params={"text": "PLUM"}).json()["items"]
    assert [item["name"] for item in found] == ["plum"]


def test_who_may_only_read_changes_nothing(own_server: Hosted) -> None:
    reader, runner = own_server.token("ann", "read"), own_server.token("ben", "run")
    path = "/workflows/apple"
    assert own_server.client.put(path, json=workflow(), headers=reader).status_code == 403
    assert own_server.client.put(path, json=workflow(), headers=runner).status_code == 201
    assert own_server.client.get(path, headers=reader).status_code == 200
    assert own_server.client.delete(path, headers=reader).status_code == 403
    for answer in (own_server.client.get(path), own_server.client.put(path, json=workflow())):
        assert answer.status_code == 401


def test_a_job_runs_a_version(server: Hosted) -> None:
    put(server, title="first")
    put(server, title="second")
    for wanted, title in (
        ({"saved": "apple"}, "second"),
        ({"saved": "apple", "version": 1}, "first"),
    ):
        answer = server.client.post("/jobs", json={"workflow": wanted})
        assert answer.status_code == 202
        assert answer.json()["name"] == title
    missing = server.client.post("/jobs", json={"workflow": {"saved": "apple", "version": 9}})
    assert missing.status_code == 404


def test_the_gallery_can_be_read(server: Hosted) -> None:
    items = server.client.get("/templates").json()["items"]
    by_name: dict[str, Any] = {item["name"]: item for item in items}
    assert by_name["text_to_image"]["parameters"] == ["prompt", "seed", "steps", "cfg"]
    assert by_name["image_to_image"]["needs"] == ["apple.png"]
    for item in items:
        got = httpx.get(f"{server.url}{item['href']}", timeout=PATIENCE, trust_env=False)
        assert Workflow.from_json(got.text).title == item["title"]


def test_the_gallery_has_pictures_and_says_which_nodes_it_uses(server: Hosted) -> None:
    items = server.client.get("/templates").json()["items"]
    for item in items:
        answer = httpx.get(f"{server.url}{item['picture']}", timeout=PATIENCE, trust_env=False)
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["x-content-type-options"] == "nosniff"
        found = opened(answer.content)
        assert max(found.size) <= 384
        assert len(answer.content) < 40_000
        tag = {"If-None-Match": answer.headers["etag"]}
        again = httpx.get(
            f"{server.url}{item['picture']}", headers=tag, timeout=PATIENCE, trust_env=False
        )
        assert again.status_code == 304
    assert {"KSampler", "SaveImage"} <= set(items[0]["types"] + items[-1]["types"])


def test_the_gallery_has_lessons_with_their_titles(server: Hosted) -> None:
    items = server.client.get("/templates").json()["items"]
    by_name: dict[str, Any] = {item["name"]: item["lesson"] for item in items}
    assert by_name["text_to_image"]["title"]["en"] == "Your first picture"
    assert by_name["hires_fix"] is None
    lesson = server.client.get("/templates/text_to_image/lesson").json()
    assert lesson["title"] == by_name["text_to_image"]["title"]
    assert len(lesson["steps"]) == by_name["text_to_image"]["steps"]
    for name in ("hires_fix", "nothing"):
        assert server.client.get(f"/templates/{name}/lesson").status_code == 404


def test_a_file_that_a_workflow_of_the_gallery_needs_can_be_had(server: Hosted) -> None:
    answer = server.client.get("/templates/image_to_image/files/apple.png")
    assert answer.headers["content-type"] == "image/png"
    assert opened(answer.content).width > 16
    for place in ("text_to_image/files/apple.png", "image_to_image/files/custom_node.py"):
        assert server.client.get(f"/templates/{place}").status_code == 404
    code = server.client.get("/templates/custom_node/files/custom_node.py")
    assert code.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("name", ["nothing", "..", "apple.png", "__init__", "%2e%2e%2fx", "CON"])
def test_the_gallery_has_nothing_else(server: Hosted, name: str) -> None:
    request = (
        f"GET /api/v1/templates/{name} HTTP/1.1\r\nHost: {server.host}\r\nConnection: close\r\n\r\n"
    )
    assert status(sent(server.port, request.encode())) in (400, 404)
