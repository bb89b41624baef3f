"""Lineage over HTTP: own files, those of others, uploads, and what is not known."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.store.index import Index
from nodegraph.store.lineage import Lineage, LineageFile, LineageSource
from tests.server.hosting import Hosted
from tests.server.resources import digest_of, finished, picture, written

MODEL = "ab" * 32
PHOTO, FIRST, SECOND, OTHER = (picture(20, 20, color=(number, 9, 9)) for number in range(4))

UNKNOWN = picture(20, 20, color=(99, 9, 9))


def give(server: Hosted, data: bytes, name: str, client: str = "local") -> str:
    path = server.services.outputs / name
    finished(server.services.queue, [written(path, data)], client, parameters={"n": name})
    return digest_of(data)


def note(server: Hosted, data: bytes, name: str, *sources: LineageSource) -> None:
    """Enter what a file was made from, as workers do."""
    folder = server.services.worker_settings.store_folder
    index = Index(folder / "index.sqlite")
    Lineage(index).add(LineageFile(digest_of(data), name, created=1.0), sources)
    index.close()


def used(data: bytes, name: str) -> LineageSource:
    return LineageSource("input", digest_of(data), name)


def with_files(server: Hosted) -> Hosted:
    """A photo that was made into a first image, and that into a second one; one of another client
    with the same model."""
    give(server, FIRST, "first.png")
    give(server, SECOND, "second.png")
    give(server, OTHER, "other.png", client="ann")
    model = LineageSource("model", MODEL, "sd/unet.safetensors", "DiffusionModel")
    own = LineageSource("pack", "cd" * 32, "nodegraph", "0.1.0")
    note(server, FIRST, "first.png", used(PHOTO, "photo.png"), model, own)
    note(server, SECOND, "second.png", used(FIRST, "first.png"), model, own)
    note(server, OTHER, "other.png", used(FIRST, "first.png"), model, own)
    return server


@pytest.fixture
def filled(server: Hosted) -> Hosted:
    return with_files(server)


def lineage(server: Hosted, data: bytes, **headers: str) -> Any:
    answer = server.client.get(f"/lineage/{digest_of(data)}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_it_leads_in_both_directions(filled: Hosted) -> None:
    answer = lineage(filled, FIRST)
    items = {each["key"]: each for each in answer["items"]}
    first = digest_of(FIRST)
    assert answer["subject"] == first
    assert {(each["source"], each["result"]) for each in answer["made_from"]} == {
        (digest_of(PHOTO), first),
        (MODEL, first),
    }
    assert {"source": first, "result": digest_of(SECOND)} in answer["used_in"]
    assert items[digest_of(SECOND)]["artifact"]["name"] == "second.png"
    assert items[digest_of(SECOND)]["thumbnail"].endswith("/thumbnail")
    assert items[digest_of(PHOTO)]["role"] == "input"
    assert items[MODEL]["detail"] == "DiffusionModel"


def test_the_built_in_pack_is_no_news(filled: Hosted) -> None:
    assert all(each["role"] != "pack" for each in lineage(filled, FIRST)["items"])


def test_a_client_sees_its_own_files_only(own_server: Hosted) -> None:
    filled = with_files(own_server)
    give(filled, SECOND, "second.png", client="mia")
    authorization = filled.token("mia", "read")
    answer = lineage(filled, SECOND, **authorization)
    shown = [each["name"] for each in answer["items"] if each["artifact"] is not None]
    assert shown == ["second.png"]
    assert answer["related"] == []
    foreign = filled.client.get(f"/lineage/{digest_of(OTHER)}", headers=authorization)
    assert foreign.status_code == 404


def test_results_in_the_trash_are_left_out(filled: Hosted) -> None:
    filled.client.post("/library/trash", json={"digests": [digest_of(SECOND)]})
    keys = [each["result"] for each in lineage(filled, FIRST)["used_in"]]
    assert digest_of(SECOND) not in keys


def test_an_upload_tells_what_it_was_used_in(filled: Hosted) -> None:
    filled.client.post("/uploads", params={"name": "photo.png"}, content=PHOTO)
    answer = lineage(filled, PHOTO)
    items = {each["key"]: each for each in answer["items"]}
    assert items[digest_of(PHOTO)]["href"].endswith(f"/uploads/{digest_of(PHOTO)}")
    assert digest_of(FIRST) in [each["result"] for each in answer["used_in"]]


def test_a_file_of_which_nothing_is_known_stands_alone(server: Hosted) -> None:
    give(server, UNKNOWN, "unknown.png")
    answer = lineage(server, UNKNOWN)
    assert [each["name"] for each in answer["items"]] == ["unknown.png"]
    assert (answer["made_from"], answer["used_in"], answer["related"]) == ([], [], [])


@pytest.mark.parametrize("digest", ["ff" * 32, "short", "x" * 300])
def test_what_is_not_there_is_not_found(server: Hosted, digest: str) -> None:
    assert server.client.get(f"/lineage/{digest}").status_code == 404
