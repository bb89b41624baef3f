"""What packs of ComfyUI add to its page: scripts, words, example workflows, node types."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from nodegraph.core.spec import NodeSpec
from nodegraph.interop.comfyui.packs.import_entries import pack_entry
from nodegraph.packs.pack import Isolation, Pack
from tests.server.hosting import PATIENCE, Hosted, hosted, prepared_home

INFO = {
    "name": "Soften",
    "input": {
        "required": {
            "image": ["IMAGE"],
            "file": [["own.png"], {"image_upload": True}],
            "clip": ["COMBO", {"options": ["own.mp4"], "video_upload": True}],
            "word": [["one", "two"]],
        }
    },
    "output": ["IMAGE"],
    "native_names": {"image": "image"},
    "web_directory": "web/js",
}


def write_files(root: Path) -> None:
    for path, text in {
        "__init__.py": "SECRET = 1",
        "web/js/main.js": "import '../../scripts/app.js'",
        "web/js/deep/more.js": "",
        "web/js/style.css": "a {}",
        "web/other.js": "",
        "locales/de/main.json": '{"a": "b"}',
        "locales/de/nodeDefs.json": '{"Soften": {}}',
        "locales/fr/main.json": "[not JSON",
        "example_workflows/first.json": '{"nodes": []}',
        "example_workflows/first.jpg": "picture",
    }.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "web" / "js" / "link.js").symlink_to(root / "__init__.py")


@pytest.fixture(scope="module", params=[True, False], ids=["trusted", "untrusted"])
def trusted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, known_packs: Path, trusted: bool
) -> Iterator[httpx.Client]:
    """A server that knows what a pack declares, as if its process had been asked."""
    folder = tmp_path_factory.mktemp("comfyui")
    root = folder / "ComfyUI-Soft things"
    write_files(root)
    isolation = Isolation(sys.executable, "lock", "comfyui", trusted=trusted)
    pack = Pack("soft", "soft", root, isolation=isolation)
    with hosted(prepared_home(folder / "home", known_packs)) as server:
        know(server, pack)
        with httpx.Client(
            base_url=f"{server.url}/comfyui", timeout=PATIENCE, trust_env=False
        ) as client:
            yield client


def know(server: Hosted, pack: Pack) -> None:
    types = server.services.node_types
    spec = NodeSpec(type="soft:Soften", pack="soft", foreign=dict(INFO))
    known = {**types.now.specs, spec.type: spec}
    imported = [{"signature": asdict(pack_entry(spec).signature), "native": spec.type}]
    cache = {"comfyui.pack_types": json.dumps(imported).encode()}
    types.now = replace(types.now, specs=known, comfyui_packs=(pack,), response_cache=cache)


def test_scripts_of_trusted_packs_are_listed_and_served(
    client: httpx.Client, trusted: bool
) -> None:
    listed = client.get("/extensions").json()
    if not trusted:
        assert listed == []
        assert client.get("/extensions/ComfyUI-Soft%20things/main.js").status_code == 404
        return
    root = "/extensions/ComfyUI-Soft%20things"
    assert listed == [f"{root}/main.js", f"{root}/deep/more.js"]
    answer = client.get(f"{root}/main.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "app.js" in answer.text
    assert client.get(f"/api{root}/deep/more.js").status_code == 200
    assert client.get(f"{root}/style.css").headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "path", ["link.js", "../other.js", "%2e%2e/other.js", "..%2fother.js", "missing.js", "", "deep"]
)
def test_nothing_else_of_a_pack_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(f"/extensions/ComfyUI-Soft%20things/{path}").status_code in (400, 404)


def test_words_and_example_workflows_are_served(client: httpx.Client, trusted: bool) -> None:
    words = {"de": {"a": "b", "nodeDefs": {"Soften": {}}}} if trusted else {}
    assert client.get("/i18n").json() == words
    assert client.get("/workflow_templates").json() == {"ComfyUI-Soft things": ["first"]}
    root = "/api/workflow_templates/ComfyUI-Soft%20things"
    assert client.get(f"{root}/first.json").json() == {"nodes": []}
    assert client.get(f"{root}/first.jpg").text == "picture"
    assert client.get(f"{root}/__init__.py").status_code == 404
    assert client.get(f"{root}/other.json").status_code == 404
    assert client.get("/api/workflow_templates/other/first.json").status_code == 404


def test_its_classes_are_described_as_it_declares_them(client: httpx.Client) -> None:
    described = client.get("/object_info/Soften").json()["Soften"]
    assert described == {"name": "Soften", "input": INFO["input"], "output": ["IMAGE"]}
    assert "KSampler" in client.get("/object_info").json()


def test_inputs_for_uploads_offer_what_was_uploaded(client: httpx.Client) -> None:
    picture = BytesIO()
    Image.new("RGB", (2, 2)).save(picture, "PNG")
    files = {"image": ("new.png", picture.getvalue(), "image/png")}
    assert client.post("/upload/image", files=files).is_success
    inputs = client.get("/object_info/Soften").json()["Soften"]["input"]["required"]
    assert "new.png" in inputs["file"][0]
    assert inputs["file"][0][0] == "own.png"
    assert "new.png" in inputs["clip"][1]["options"]
    assert inputs["word"] == [["one", "two"]]
