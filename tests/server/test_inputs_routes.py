"""The inputs folder over HTTP: listed and seen, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.media.images.input_files import MEDIA_TYPES
from nodegraph.server.http.routes.inputs import media_type_of
from tests.server.hosting import PATIENCE, Hosted, hosted
from tests.server.resources import opened, picture

PICTURE = picture(300, 200)


@pytest.fixture
def inputs(server: Hosted) -> Path:
    return filled(server.services.home)


def filled(home: Path) -> Path:
    """An inputs folder with an image in a folder, and a text."""
    folder = home / "inputs"
    (folder / "portraits").mkdir(parents=True)
    (folder / "portraits" / "ada 1.png").write_bytes(PICTURE)
    (folder / "notes.txt").write_text("words")
    for at, name in enumerate(("portraits/ada 1.png", "notes.txt")):
        os.utime(folder / name, (1000 + at, 1000 + at))
    return folder


def listed(server: Hosted, **more: Any) -> dict[str, dict[str, Any]]:
    answer = server.client.get("/inputs", **more)
    assert answer.status_code == 200
    return {item["path"]: item for item in answer.json()["items"]}


def thumbnail(server: Hosted, path: str, **headers: str) -> httpx.Response:
    asked = {"path": path, "size": 128}
    return server.client.get("/inputs/thumbnail", params=asked, headers=headers)


def test_the_newest_come_first(server: Hosted, inputs: Path) -> None:
    files = listed(server)
    assert list(files) == ["notes.txt", "portraits/ada 1.png"]
    ada = files["portraits/ada 1.png"]
    assert (ada["media_type"], ada["size"], ada["modified"]) == ("image/png", len(PICTURE), 1000)
    got = httpx.get(f"{server.url}{ada['href']}", timeout=PATIENCE, trust_env=False)
    assert got.content == PICTURE
    assert got.headers["content-type"] == "image/png"


def test_weights_are_known_by_their_short_ending_too() -> None:
    assert media_type_of("a/b.SFT") == media_type_of("b.safetensors") != media_type_of("b.bin")


def test_whatever_nodes_take_for_a_picture_is_one(server: Hosted, inputs: Path) -> None:
    for suffix in MEDIA_TYPES:
        (inputs / f"a{suffix.upper()}").write_bytes(PICTURE)
    kinds = {item["media_type"].split("/")[0] for item in listed(server).values()}
    assert kinds == {"image", "text"}


def test_no_folder_is_an_empty_one(server: Hosted) -> None:
    assert listed(server) == {}
    assert thumbnail(server, "a.png").status_code == 404


def test_a_file_that_is_written_anew_is_seen_anew(server: Hosted, inputs: Path) -> None:
    path = "portraits/ada 1.png"
    first = thumbnail(server, path)
    assert (first.headers["content-type"], opened(first.content).size) == ("image/webp", (128, 85))
    again = thumbnail(server, path, **{"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    (inputs / path).write_bytes(picture(20, 30))
    anew = thumbnail(server, path, **{"If-None-Match": first.headers["etag"]})
    assert (anew.status_code, opened(anew.content).size) == (200, (20, 30))
    assert thumbnail(server, "notes.txt").status_code == 404


def test_nothing_else_is_reached(server: Hosted, inputs: Path, tmp_path: Path) -> None:
    home = server.services.home
    (tmp_path / "secret.png").write_bytes(PICTURE)
    (home / "beside.png").write_bytes(PICTURE)
    (inputs / ".hidden.png").write_bytes(PICTURE)
    (inputs / ".git").mkdir()
    (inputs / ".git" / "a.png").write_bytes(PICTURE)
    (inputs / "link.png").symlink_to(tmp_path / "secret.png")
    (inputs / "away").symlink_to(tmp_path)
    os.mkfifo(inputs / "pipe.png")
    assert set(listed(server)) == {"notes.txt", "portraits/ada 1.png"}
    away = ("link.png", "away/secret.png", "pipe.png", ".hidden.png", ".git/a.png", "portraits")
    beside = ("../beside.png", "portraits/../../beside.png", str(home / "beside.png"), "")
    for path in (*away, *beside, "a\0.png", "nothing.png", "portraits//ada 1.png"):
        for route in ("file", "thumbnail"):
            answer = server.client.get(f"/inputs/{route}", params={"path": path})
            assert answer.status_code in (400, 404), (route, path)
            assert str(home) not in answer.text


def test_uploads_that_lie_in_it_are_not_told_of(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "inputs").symlink_to(home)
    with hosted(home) as server:
        server.client.post("/uploads", files={"file": ("a.png", PICTURE)}).raise_for_status()
        (file,) = (home / "uploads" / "files").iterdir()
        assert not any(path.startswith("uploads/files/") for path in listed(server))
        asked = {"path": f"uploads/files/{file.name}"}
        assert server.client.get("/inputs/file", params=asked).status_code == 404


def test_only_those_who_may_run_see_it(own_server: Hosted) -> None:
    filled(own_server.services.home)
    reader, runner = own_server.token("ann", "read"), own_server.token("bob", "run")
    assert listed(own_server, headers=reader) == {}
    assert len(listed(own_server, headers=runner)) == 2
    assert thumbnail(own_server, "portraits/ada 1.png", **reader).status_code == 403
    assert thumbnail(own_server, "portraits/ada 1.png", **runner).status_code == 200
    assert own_server.client.get("/inputs").status_code == 401
