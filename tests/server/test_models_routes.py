"""Models over HTTP: listed by their headers, with nothing opened that could run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import httpx

from nodegraph.families.embedded_models import embedded_folder
from nodegraph.models.remote.manifests import push_model
from nodegraph.store.remote.object_storage import open_storage
from tests.server.hosting import PATIENCE, Hosted, eventually, hosted
from tests.server.resources import opened, picture


class Trap:
    """Is noticed when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def found(server: Hosted, **headers: Any) -> dict[str, dict[str, Any]]:
    answer = server.client.get("/models", **headers)
    assert answer.status_code == 200
    return {item["name"]: item for item in answer.json()["items"]}


def test_the_embedded_model_is_listed(server: Hosted) -> None:
    tiny = found(server)["tiny"]
    assert (tiny["kind"], tiny["family"], tiny["problem"]) == ("embedded", "sd1", None)
    assert tiny["bytes"] > 1_000_000


def test_what_cannot_be_used_is_listed_with_the_reason(server: Hosted) -> None:
    folder = server.services.home / "models" / "loras"
    folder.mkdir(parents=True)
    head = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "x.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    (folder / "cut.safetensors").write_bytes(b"\xff" * 20)
    models = found(server)
    assert models["loras/x.safetensors"]["family"] is None
    assert models["loras/x.safetensors"]["bytes"] == 12 + len(head)
    assert "safetensors" in models["loras/cut.safetensors"]["problem"]


def test_no_pickle_is_opened(server: Hosted, tmp_path: Path) -> None:
    folder = server.services.home / "models"
    folder.mkdir()
    for name in ("a.ckpt", "b.pt", "c.pth", "d.bin", "e.safetensors"):
        (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    models = found(server)
    for name in ("a.ckpt", "b.pt", "c.pth", "d.bin", "e.safetensors"):
        assert models[name]["problem"]
        assert models[name]["family"] is None
    assert not (tmp_path / "sprung").exists()


def test_where_files_lie_is_told_to_those_who_administer_only(
    own_server: Hosted, home: Path
) -> None:
    (home / "models").mkdir()
    (home / "models" / "broken.safetensors").write_bytes(b"x")
    reader, boss = own_server.token("ann", "read"), own_server.token("boss", "admin")
    answer = own_server.client.get("/models", headers=reader)
    assert str(home) not in answer.text
    assert answer.json()["folders"] == []
    folders = own_server.client.get("/models", headers=boss).json()["folders"]
    assert folders == [str(home / "models")]
    assert own_server.client.get("/models").status_code == 401


def test_it_has_an_entry_in_the_description(server: Hosted) -> None:
    document = httpx.get(f"{server.url}/openapi.json", timeout=PATIENCE, trust_env=False).json()
    assert "/api/v1/models" in document["paths"]


def test_a_model_has_the_picture_that_lies_beside_it(server: Hosted) -> None:
    folder = server.services.home / "models" / "sd"
    (folder / "whole").mkdir(parents=True)
    (folder / "whole" / "model_index.json").write_text("{}")
    (folder / "whole" / "preview.png").write_bytes(picture(40, 20))
    for name in ("a.v1.safetensors", "b.safetensors", "c.safetensors"):
        (folder / name).write_bytes(b"x")
    (folder / "a.v1.preview.png").write_bytes(picture(300, 200))
    (folder / "b.jpg").write_bytes(picture(20, 30, "JPEG"))
    (folder / "c.png").write_bytes(b"no image")
    models = found(server)
    for name, width in (("sd/a.v1.safetensors", 128), ("sd/b.safetensors", 20)):
        href = models[name]["thumbnail"]
        answer = httpx.get(f"{server.url}{href}&size=128", timeout=PATIENCE, trust_env=False)
        assert answer.headers["content-type"] == "image/webp"
        assert opened(answer.content).width == width
    assert models["tiny"]["thumbnail"] is None
    for name in ("tiny", "sd/c.safetensors", "nothing", "../secret", "/etc/passwd", "sd"):
        answer = server.client.get("/models/thumbnail", params={"name": name})
        assert answer.status_code == 404, name


def test_where_to_get_what_is_missing_is_told(own_server: Hosted, home: Path) -> None:
    asked = {"model": ["sd/v1-5-pruned-emaonly.safetensors", "some & thing"], "pack": ["foo"]}
    known, unknown, pack = own_server.client.get("/sources", params=asked).json()["items"]
    assert known["links"][0]["exact"] is True
    assert known["links"][0]["url"].startswith("https://huggingface.co/stable-diffusion-v1-5/")
    assert str(home / "models") in known["steps"][1]
    assert [link["exact"] for link in unknown["links"]] == [False]
    assert "some%20%26%20thing" in unknown["links"][0]["url"]
    assert (pack["kind"], pack["name"]) == ("pack", "foo")
    assert "pip install" not in str(pack)
    assert own_server.client.get("/sources").json()["items"] == []
    reader = own_server.token("ann", "read")
    assert str(home) not in own_server.client.get("/sources?model=a", headers=reader).text


def test_the_words_of_a_model_are_told(server: Hosted) -> None:
    words = server.client.get("/models/words", params={"name": "tiny"}).json()["words"]
    assert "apple" in words
    missing = server.client.get("/models/words", params={"name": "huge"})
    assert (missing.status_code, missing.json()["detail"]) == (404, "there is no such model")


def test_remote_models_are_listed_as_such_and_told_once_they_were_looked_at(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    place = open_storage((tmp_path / "shared").as_uri())
    push_model("shelf/fox", embedded_folder(), place)
    with hosted(home, remote_models=place.url) as server:
        eventually(lambda: found(server).get("shelf/fox", {}).get("is_looked_at"))
        fox, tiny = (found(server)[name] for name in ("shelf/fox", "tiny"))
        assert (fox["is_remote"], tiny["is_remote"]) == (True, False)
        for what in ("family", "bytes", "node", "problem"):
            assert fox[what] == tiny[what], what
        assert place.url not in server.client.get("/models").text
        words = server.client.get("/models/words", params={"name": "shelf/fox"}).json()["words"]
        assert "apple" in words
    assert not list((home / "cache/models").glob("files/*")), "weights are fetched by nobody"
