"""`nodegraph replay`: what it runs, with which values, and which files it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from nodegraph import Session, Settings, Workflow
from nodegraph.session.results.files import result_texts
from tests.cli.conftest import Cli
from tests.replay.conftest import PAINTING, Save, with_nodes
from tests.server.resources import picture


def carrying(path: Path, texts: Mapping[str, str]) -> Path:
    """An image that carries some texts."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Pillow.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def test_only_the_node_that_wrote_the_file_runs(cli: Cli, save: Save, pack: Path) -> None:
    dark = {"type": "brush:Paint", "inputs": {"shade": 0.1}}
    document = with_nodes(
        PAINTING,
        dark=dark,
        other={"type": "SaveImage", "inputs": {"image": {"from": "dark"}, "name": "other"}},
    )
    first, second = save(document, "--pack", pack)
    for file in (first, second):
        result = cli("replay", file, "--pack", pack, "--out", "again", "--json")
        (written,) = result.json["files"]
        assert Path(written["path"]).read_bytes() == file.read_bytes()


def test_values_can_be_varied(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    result = cli("replay", file, "--pack", pack, "--set", "paint.shade=1", "-q", "--out", "bright")
    assert result.code == 0, result.err
    with Pillow.open(result.out.strip()) as image:
        assert image.getpixel((0, 0)) == (255, 255, 255)
    wrong = cli("replay", file, "--pack", pack, "--set", "paint.shadow=1")
    assert wrong.code == 2
    assert "shade" in wrong.err


def test_a_dry_run_shows_the_plan(cli: Cli, save: Save, pack: Path, tmp_path: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    planned = cli("replay", file, "--pack", pack, "--dry-run", "--out", "again")
    assert planned.code == 0
    assert "brush:Paint" in planned.out
    assert not (tmp_path / "again").exists()


def test_a_pack_that_is_not_here_is_named(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    result = cli("replay", file, "--verify")
    assert result.code == 2
    assert "missing pack: brush" in result.err
    assert list(cli("replay", file, "--json").json["missing"]["packs"]) == ["brush"]


def test_an_input_file_is_found_by_its_content(cli: Cli, save: Save, tmp_path: Path) -> None:
    Pillow.new("RGB", (8, 8), "red").save(tmp_path / "photo.png")
    load = {"type": "LoadImage", "inputs": {"path": "photo.png"}}
    nodes = {"load": load, "save": {"type": "SaveImage", "inputs": {"image": {"from": "load"}}}}
    nodes["save"]["inputs"]["image"] = {"from": "load.image"}
    (file,) = save({"format": "nodegraph/1", "nodes": nodes})
    (tmp_path / "later").mkdir()
    (tmp_path / "photo.png").rename(tmp_path / "later" / "renamed.png")
    result = cli("replay", file, "--verify")
    assert result.code == 0, result.err
    assert "identical" in result.out
    (tmp_path / "later" / "renamed.png").unlink()
    missing = cli("replay", file, "--json")
    assert missing.code == 2
    assert [each["name"] for each in missing.json["missing"]["inputs"]] == ["photo.png"]


def test_a_folder_of_inputs_that_is_not_there_is_named(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    result = cli("replay", file, "--pack", pack, "--inputs", "nowhere")
    assert result.code == 2
    assert "there is no folder" in result.err


def computed(*paths: Path) -> dict[str, Any]:
    """A workflow that saves the images of computed paths."""
    lines = "\n".join(map(str, paths))
    nodes = {
        "names": {"type": "Lines", "inputs": {"text": lines}},
        "photo": {"type": "LoadImage", "inputs": {"path": {"from": "names"}}},
        "grid": {"type": "ImageGrid", "inputs": {"images": {"from": "photo.image"}}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "grid"}}},
    }
    return {"format": "nodegraph/1", "nodes": nodes}


def test_input_files_of_computed_names_are_found_by_their_content(
    cli: Cli, save: Save, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("alice")
    paths = [folder / name / "photo.png" for name in ("before", "after")]
    for path, color in zip(paths, ("red", "blue"), strict=True):
        path.parent.mkdir(parents=True)
        Pillow.new("RGB", (8, 8), color).save(path)
    (file,) = save(computed(*paths))
    texts = result_texts(file) or {}
    assert "alice" not in json.dumps(dict(texts))
    names = [each["name"] for each in json.loads(texts["manifest"])["inputs"]]
    assert names == ["photo.png", "photo-2.png"]
    folder.rename(tmp_path / "bob")
    result = cli("replay", file, "--verify", "--json")
    assert result.code == 0, result.err
    assert result.json["verdict"] == "same-content"  # the names before the photos differ


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({}, "does not contain a workflow"),
        ({"parameters": "an apple\nSteps: 20, Seed: 1"}, "was made by another tool"),
        ({"prompt": '{"1": {"class_type": "KSampler", "inputs": {}}}'}, "made by another tool"),
        ({"workflow": '{"nodes": [], "links": []}'}, "was made by another tool"),
    ],
)
def test_files_of_other_tools_are_refused(
    cli: Cli, tmp_path: Path, texts: Mapping[str, str], says: str
) -> None:
    result = cli("replay", carrying(tmp_path / "a.png", texts))
    assert result.code == 2
    assert says in result.err


def test_files_that_are_no_results_are_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(json.dumps(PAINTING))
    refused = cli("replay", "workflow.json")
    assert refused.code == 2
    assert "`nodegraph run` runs a workflow file" in refused.err
    missing = cli("replay", "nothing.png")
    assert missing.code == 2
    assert "nothing.png" in missing.err


def forged(file: Path, changes: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a file with another manifest."""
    texts = dict(result_texts(file) or {})
    texts["manifest"] = json.dumps({**json.loads(texts["manifest"]), **changes})
    return texts


def test_a_manifest_of_another_workflow_is_refused(
    cli: Cli, save: Save, pack: Path, tmp_path: Path
) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    hostile = carrying(tmp_path / "a.png", forged(file, {"workflow_digest": "0" * 64}))
    result = cli("replay", hostile, "--verify", "--pack", pack)
    assert result.code == 2
    assert "not the one that made it" in result.err
    damaged = carrying(tmp_path / "b.png", {**forged(file, {}), "manifest": "{"})
    assert cli("replay", damaged, "--pack", pack).code == 2


def test_names_that_lead_out_of_a_folder_are_left_out(
    cli: Cli, save: Save, pack: Path, tmp_path: Path, home: Path
) -> None:
    from nodegraph.core.file_digests import hash_file

    (file,) = save(PAINTING, "--pack", pack)
    secret = home / "models" / "own.safetensors"
    secret.parent.mkdir(exist_ok=True)
    secret.write_bytes(b"weights")
    names = ["../../out.safetensors", "/tmp/out.safetensors", "a/../../out.safetensors"]
    files = [{"role": "unet", "name": name, "digest": hash_file(secret)} for name in names]
    model = {"node": "m", "port": "model", "kind": "Vae", "digest": "", "files": files}
    inputs = [
        {"node": "m", "port": "path", "name": name, "digest": hash_file(secret)} for name in names
    ]
    texts = forged(file, {"models": [model], "inputs": inputs})
    hostile = carrying(tmp_path / "hostile.png", texts)
    before = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    result = cli("replay", hostile, "--pack", pack, "-q")
    assert result.code == 0, result.err
    after = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    assert {path.name for path in after - before} <= {"output", "shade_00001.png"}
    assert not list(home.rglob("out.safetensors"))


@pytest.fixture
def of_server(tmp_path: Path, home: Path) -> tuple[Path, Path]:
    """A file that a server made of what a client brought, and that."""
    data = picture(20, 20)
    uploads = tmp_path / "server" / "files"
    uploads.mkdir(parents=True)
    brought = uploads / f"{blake3(data).hexdigest()}.png"
    brought.write_bytes(data)
    nodes = {
        "load": {"type": "LoadImage", "inputs": {"path": str(brought)}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "load.image"}}},
    }
    settings = Settings(
        home=home,
        inputs=tmp_path / "input",
        outputs=tmp_path / "out",
        uploads=uploads,
        device="cpu",
    )
    with Session(settings) as session:
        result = session.run(Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes}))
    [file] = [each.path for each in result.files]
    assert f"upload:{brought.stem}" in (result_texts(file) or {})["workflow"]
    return file, brought


@pytest.mark.parametrize("folder", ["beside", "home"])
def test_what_a_client_brought_to_a_server_is_found_by_its_digest(
    cli: Cli, of_server: tuple[Path, Path], home: Path, folder: str
) -> None:
    file, brought = of_server
    kept = home / "uploads" / "files" / brought.name if folder == "home" else file.parent / "my.png"
    kept.parent.mkdir(parents=True, exist_ok=True)
    brought.rename(kept)
    try:
        replayed = cli("replay", file, "--verify")
    finally:
        kept.unlink()
    assert replayed.code == 0, replayed.err
    assert "identical" in replayed.out
    missing = cli("replay", file, "--verify")
    assert missing.code == 2
    assert f"missing input file: {brought.name}, blake3 {brought.stem}" in missing.err


def test_a_run_and_a_bundle_of_a_servers_file_find_what_a_client_brought(
    cli: Cli, of_server: tuple[Path, Path]
) -> None:
    file, brought = of_server
    brought.rename(file.parent / "my.png")
    assert cli("run", file, "--quiet").code == 0
    made = cli("bundle", "create", file, "--json")
    assert made.code == 0, made.err
    assert [each["digest"] for each in made.json["inputs"]] == [brought.stem]
