"""The manifest of a result: what it names, and that it is the same however the run went."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings
from nodegraph.core.manifest import Manifest
from nodegraph.engine.options import RunOptions
from nodegraph.packs.pack import pack_at

PACK = '''
import json
from nodegraph import Context, Lazy, Image, node

@node(output="files")
def SaveManifest(ctx: Context, value: Image, name: str = "a") -> None:
    """Write the manifest of a file.

    Args:
        value: Anything.
        name: Name of the file.
    """
    path = ctx.environment.outputs / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = ctx.file_metadata(0)
    path.write_text(json.dumps({"manifest": ctx.manifest(0).to_document(), "texts": texts}))
    ctx.wrote(path, kind="manifest")

@node
async def Choose(first: Lazy[Image], second: Lazy[Image], is_first: bool = True) -> Image:
    """One of two images.

    Args:
        first: The first one.
        second: The other one.
        is_first: Which.
    """
    return await (first if is_first else second)()
'''

NODES: dict[str, Any] = {
    "seed": {"type": "Integer", "inputs": {"value": 41}},
    "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
    "text": {"type": "EncodePrompt", "inputs": {"encoder": {"from": "load.text_encoder"}}},
    "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
    "sample": {
        "type": "KSampler",
        "inputs": {
            "model": {"from": "load.model"},
            "positive": {"from": "text"},
            "latent": {"from": "size"},
            "seed": {"from": "seed"},
            "steps": 1,
        },
    },
    "decode": {
        "type": "VAEDecode",
        "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}},
    },
    "photo": {"type": "LoadImage", "inputs": {"path": "photo.png"}},
    "pick": {
        "type": "man:Choose",
        "inputs": {"first": {"from": "decode"}, "second": {"from": "photo.image"}},
    },
    "save": {"type": "man:SaveManifest", "inputs": {"value": {"from": "pick"}}},
    "other": {
        "type": "man:SaveManifest",
        "inputs": {"value": {"from": "photo.image"}, "name": "other"},
    },
}


@pytest.fixture
def root(tmp_path: Path, known_specs: Path) -> Path:
    import shutil

    from PIL import Image

    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "in" / "photo.png")
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "man.py").write_text(PACK)
    shutil.copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    return tmp_path


def _session(root: Path, home: str = "home") -> Session:
    return Session(
        Settings(home=root / home, inputs=root / "in", outputs=root / "out"),
        packs=[pack_at(root / "packs" / "man.py")],
    )


def _manifests(
    root: Path, nodes: Mapping[str, Any] = NODES, *targets: str, home: str = "home"
) -> Iterator[dict[str, Any]]:
    for file in (root / "out").glob("*.json"):
        file.unlink()
    with _session(root, home) as session:
        document = {"format": "nodegraph/1", "nodes": dict(nodes)}
        result = session.run(document, targets=list(targets) or ["save"])
        assert result.status == "ok", result.errors
    for target in targets or ("save",):
        name = "other" if target == "other" else "a"
        yield json.loads((root / "out" / f"{name}.json").read_text())


def test_a_manifest_names_what_the_result_was_computed_from(root: Path) -> None:
    (written,) = _manifests(root)
    manifest = Manifest.from_document(written["manifest"])
    assert list(manifest.nodes)[-1] == "save"
    assert manifest.node == "save"
    # The branch that was not taken, and what only it needs, made nothing of this.
    assert set(manifest.nodes) == set(NODES) - {"photo", "other"}
    assert manifest.seeds == {"sample.seed": 41}
    assert manifest.content == manifest.nodes["pick"].outputs["image"]
    assert {(model.kind, model.node) for model in manifest.models} == {
        ("DiffusionModel", "load"),
        ("TextEncoder", "load"),
        ("Vae", "load"),
    }
    files = [file for model in manifest.models for file in model.files]
    assert files
    assert all(len(file.digest) == 64 for file in files)
    assert all(not Path(file.name).is_absolute() for file in files)
    assert set(manifest.packs) == {"nodegraph", "man"}
    assert "torch" in manifest.numerics
    assert manifest.nodes["sample"].profile == manifest.numerics
    assert manifest.inputs == ()
    assert str(root) not in json.dumps(written["texts"]["manifest"])


def test_an_input_file_is_named_by_its_content(root: Path) -> None:
    from blake3 import blake3

    (written,) = _manifests(root, NODES, "other")
    (file,) = Manifest.from_document(written["manifest"]).inputs
    digest = blake3((root / "in" / "photo.png").read_bytes()).hexdigest()
    assert (file.node, file.port, file.name, file.digest) == ("photo", "path", "photo.png", digest)


def test_a_plan_knows_what_the_files_of_the_run_carry(root: Path) -> None:
    document = {"format": "nodegraph/1", "nodes": {**NODES}}
    with _session(root) as session:
        assert session.run(document, targets=["other"], metadata="minimal").status == "ok"

        def status(**options: Any) -> str:
            files = RunOptions(**options)
            return session.plan(document, targets=["other"], files=files).nodes["other"].status

        assert status(metadata="minimal") == "hit"
        assert status() == "run"
        assert status(metadata="minimal", sidecar=True) == "run"
        assert status(metadata="minimal", metadata_prompts=False) == "run"


def test_a_manifest_is_the_same_from_the_cache_and_beside_other_sinks(root: Path) -> None:
    (first,) = _manifests(root)
    changed = {**NODES, "save": {**NODES["save"], "inputs": {**NODES["save"]["inputs"]}}}
    beside, _ = _manifests(root, changed, "save", "other")
    assert beside == first  # all of it from the store, by another session
    (anew,) = _manifests(root, home="new-home")
    assert anew == first  # computed again by a third one


def test_a_folder_of_many_files_is_bounded_and_the_others_are_counted(root: Path) -> None:
    from PIL import Image

    (root / "in" / "many").mkdir()
    for at in range(1003):
        Image.new("RGB", (1, 1), (at % 256, at // 256, 0)).save(root / "in" / "many" / f"{at}.png")
    nodes = {
        "load": {"type": "LoadImages", "inputs": {"path": "many", "count": 1}},
        "save": {"type": "man:SaveManifest", "inputs": {"value": {"from": "load.images"}}},
    }
    with _session(root) as session:
        assert session.run({"format": "nodegraph/1", "nodes": nodes}).status == "ok"
    document = json.loads((root / "out" / "a.json").read_text())["manifest"]
    assert [each["name"] for each in document["inputs"]][:3] == [
        "many/0.png",
        "many/1.png",
        "many/2.png",
    ]
    assert len(document["inputs"]) == 1000
    assert document["inputs"][-1]["others"] == 3
    assert Manifest.from_document(document).inputs[-1].others == 3
