"""`nodegraph models`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.diffusion.test_models import write_safetensors


def test_models_are_listed_with_what_is_wrong_with_them(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "broken.safetensors").write_bytes(b"nonsense")
    shown = cli("models", "--models", "shelf", "--json")
    assert shown.code == 0
    found = {model["name"]: model for model in shown.json["models"]}
    assert found["broken.safetensors"]["family"] is None
    assert found["broken.safetensors"]["bytes"] == 8
    assert found["broken.safetensors"]["problem"]
    assert shown.json["folders"][0] == str(tmp_path / "shelf")


def test_the_list_says_where_to_put_models(cli: Cli, tmp_path: Path, home: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "broken.safetensors").write_bytes(b"nonsense")
    shown = cli("models", "--models", "shelf", "--models", "other")
    row = next(line for line in shown.out.splitlines() if line.startswith("broken"))
    assert row.split()[1:] == ["unusable", "checkpoint", "8", "B", "shelf/broken.safetensors"]
    assert "broken.safetensors: " in shown.out
    assert "  shelf\n  other  (does not exist yet)\n" in shown.out
    assert str(home / "models") in shown.out


def test_parts_are_listed_with_the_node_that_takes_them(cli: Cli, tmp_path: Path) -> None:
    shapes = {
        "img_in.weight": (8, 64),
        "double_blocks.0.img_mod.lin.weight": (8, 8),
        "vector_in.in_layer.weight": (8, 8),
        "final_layer.linear.weight": (64, 8),
    }
    write_safetensors(tmp_path / "shelf" / "flux.safetensors", shapes)
    shown = cli("models", "--models", "shelf")
    row = next(line for line in shown.out.splitlines() if line.startswith("flux"))
    assert row.split()[1] == "flux"
    assert "the transformer of Flux.1. LoadDiffusionModel takes it." in shown.out
    (found,) = (
        model
        for model in cli("models", "--models", "shelf", "--json").json["models"]
        if model["name"] == "flux.safetensors"
    )
    assert (found["problem"], found["node"]) == (None, "LoadDiffusionModel")


def test_without_models_the_list_says_so(cli: Cli, tmp_path: Path) -> None:
    shown = cli("models", "--home", tmp_path)
    assert shown.code == 0
    assert "Put models into one of these folders" in shown.out


def test_models_are_put_where_other_machines_find_them(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelf" / "loras").mkdir(parents=True)
    write_safetensors(tmp_path / "shelf" / "loras" / "style.safetensors", {"a": (2, 3)})
    write_safetensors(tmp_path / "shelf" / "fox" / "model.safetensors", {"a": (2, 3)})
    (tmp_path / "shelf" / "fox" / "model.onnx").write_bytes(b"other")
    lacking = cli("models", "--models", "shelf", "--push", "style")
    assert lacking.code != 0
    assert "remote_models" in lacking.err
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("NODEGRAPH_REMOTE_MODELS", (tmp_path / "shared").as_uri())
    first, again = (
        cli("models", "--models", "shelf", "--push", "style", "--json").json["pushed"]
        for _ in range(2)
    )
    assert [each["name"] for each in first] == ["loras/style.safetensors"]
    assert first[0]["brought"] == first[0]["bytes"] > 0
    assert again[0]["brought"] == 0
    assert (tmp_path / "shared/manifests/loras/style.safetensors.json").is_file()
    assert "fox/model.onnx  (left out" in cli("models", "--models", "shelf", "--push", "fox").out


def test_remote_models_are_listed_with_where_they_lie(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    write_safetensors(tmp_path / "shelf" / "odd.safetensors", {"a": (2, 3)})
    url = (tmp_path / "shared").as_uri()
    monkeypatch.setenv("NODEGRAPH_REMOTE_MODELS", url)
    cli("models", "--models", "shelf", "--push", "odd")
    (found,) = (
        model for model in cli("models", "--json").json["models"] if model["name"].startswith("odd")
    )
    assert (found["place"], found["path"]) == (url, None)
    assert found["bytes"] == (tmp_path / "shelf" / "odd.safetensors").stat().st_size
    monkeypatch.setenv("NODEGRAPH_REMOTE_MODELS", (tmp_path / "nowhere").as_uri())
    away = cli("models")
    assert away.code == 0
    assert "are not available" in away.err
