"""What `models remove`, `move` and `verify` never touch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import zeros

from nodegraph.models.model_library import change_record
from tests.cli.conftest import Cli


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one LoRA, and a folder of another program with one model."""
    folder = tmp_path / "own"
    monkeypatch.setenv("NODEGRAPH_HOME", str(folder))
    write(folder / "models/loras/ink.safetensors")
    write(tmp_path / "comfy/models/loras/theirs.safetensors")
    return folder


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"a": zeros(4)}, path)
    return path


@pytest.mark.parametrize("name", ["loras", ".", "loras/../loras", ".downloads", "loras/.hidden"])
def test_only_models_are_removed_or_moved(cli: Cli, home: Path, name: str) -> None:
    (home / "models/.downloads").mkdir()
    write(home / "models/loras/.hidden")
    before = sorted(home.rglob("*"))
    for command in (["remove", name, "--yes"], ["move", name, "loras/other"]):
        assert cli("models", *command).code == 2, name
    assert sorted(path for path in home.rglob("*") if "cache" not in path.parts) == before


def test_nothing_outside_is_removed_by_way_of_a_link(cli: Cli, home: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "elsewhere/victim.safetensors")
    (tmp_path / "elsewhere/sub").mkdir()
    (home / "models/ext").symlink_to(tmp_path / "elsewhere/sub")
    assert cli("models", "remove", "ext/../victim.safetensors", "--yes").code == 2
    assert outside.exists()


def test_linked_folders_are_only_read_also_by_way_of_a_link(
    cli: Cli, home: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "comfy/models/loras/theirs.safetensors"
    assert cli("models", "link", str(tmp_path / "comfy")).code == 0
    (home / "models/comfy").symlink_to(tmp_path / "comfy/models")
    refused = cli("models", "remove", "comfy/loras/theirs", "--yes")
    assert refused.code == 2
    assert "linked folder of another program" in refused.err
    assert theirs.exists()


@pytest.mark.parametrize("name", ["a\n\x1b[31mb", "con", "a/../../b", "x?"])
def test_a_model_is_not_moved_to_an_unsafe_name(cli: Cli, home: Path, name: str) -> None:
    assert cli("models", "move", "loras/ink", f"loras/{name}").code == 2
    assert (home / "models/loras/ink.safetensors").exists()


def test_verify_reads_nothing_outside_the_model(cli: Cli, home: Path) -> None:
    model = home / "models/made"
    write(model / "unet/diffusion_pytorch_model.safetensors")
    (model / "model_index.json").write_text("{}")
    change_record(model, {"notes": "mine"})
    facts = json.loads((model / "nodegraph.json").read_text())
    facts["sha256"] = {"../../../secret": "0" * 64, "/etc/x": "0" * 64}
    (model / "nodegraph.json").write_text(json.dumps(facts))
    shown = cli("models", "verify", "made", "--json")
    assert [item["path"] for item in shown.json["files"]] == [
        "unet/diffusion_pytorch_model.safetensors"
    ]


def test_a_name_that_is_listed_twice_is_removed_once(cli: Cli, home: Path) -> None:
    assert cli("models", "remove", "loras/ink", "loras/ink", "--yes").code == 0
    assert not (home / "models/loras/ink.safetensors").exists()
    write(home / "models/loras/ink.safetensors")
    assert cli("models", "remove", "loras/ink", "--json").code == 2
