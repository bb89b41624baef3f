"""Models over HTTP: listed by their headers, with nothing opened that could run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import httpx

from tests.server.hosting import Hosted


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


def test_what_cannot_be_used_is_listed_with_the_reason(server: Hosted, home: Path) -> None:
    folder = home / "models" / "loras"
    folder.mkdir(parents=True)
    head = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "x.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    (folder / "cut.safetensors").write_bytes(b"\xff" * 20)
    models = found(server)
    assert models["loras/x.safetensors"]["family"] is None
    assert models["loras/x.safetensors"]["bytes"] == 12 + len(head)
    assert "safetensors" in models["loras/cut.safetensors"]["problem"]


def test_no_pickle_is_opened(server: Hosted, home: Path, tmp_path: Path) -> None:
    (home / "models").mkdir()
    for name in ("a.ckpt", "b.pt", "c.pth", "d.bin", "e.safetensors"):
        (home / "models" / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    models = found(server)
    for name in ("a.ckpt", "b.pt", "c.pth", "d.bin", "e.safetensors"):
        assert models[name]["problem"]
        assert models[name]["family"] is None
    assert not (tmp_path / "sprung").exists()


def test_where_files_lie_is_told_to_those_who_administer_only(server: Hosted, home: Path) -> None:
    (home / "models").mkdir()
    (home / "models" / "broken.safetensors").write_bytes(b"x")
    reader, boss = server.token("ann", "read"), server.token("boss", "admin")
    answer = server.client.get("/models", headers=reader)
    assert str(home) not in answer.text
    assert answer.json()["folders"] == []
    folders = server.client.get("/models", headers=boss).json()["folders"]
    assert folders == [str(home / "models")]
    assert server.client.get("/models").status_code == 401


def test_it_has_an_entry_in_the_description(server: Hosted) -> None:
    document = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()
    assert "/api/v1/models" in document["paths"]
