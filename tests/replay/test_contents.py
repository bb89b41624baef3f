"""`nodegraph replay --verify` of files that are no images, and the figures of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.replay.conftest import Save
from tests.server.resources import picture

PACK = '''
from nodegraph import Audio, Image, Latent, Mesh, Plot, Video, node

RELEASE = 1

@node
def Film() -> Video:
    """Film a shade that gets brighter."""
    from fractions import Fraction

    import torch

    shades = torch.linspace(0, 1 / RELEASE, 4)[:, None, None, None]
    return Video(shades.expand(4, 32, 32, 3), Fraction(8))

@node
def Hum() -> Audio:
    """Hum for a while."""
    import torch

    return Audio((torch.arange(4000) / 20 / RELEASE).sin()[None] / 2, 8000)

@node
def Triangle() -> Mesh:
    """One triangle."""
    import torch

    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    return Mesh(corners * RELEASE, torch.tensor([[0, 1, 2]]))

@node
def Curve() -> Plot:
    """A curve."""
    from nodegraph.core.plots import Series

    return Plot("A curve", "x", "y", (Series("line", (0.0, 1.0), (0.0, 1.0 / RELEASE)),))

@node
def Gradient() -> Latent:
    """A latent that grows from left to right."""
    import torch

    samples = torch.linspace(0, 1 / RELEASE, 8).expand(1, 4, 8, 8).contiguous()
    return Latent(samples, 64, 64, format="sd")

@node
def Frames() -> Image:
    """Shades that get darker."""
    import torch

    return torch.linspace(1 / RELEASE, 0, 3)[:, None, None, None].expand(3, 16, 16, 3)
'''
SINKS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "mp4": ("Film", "SaveVideo", {}, "PSNR"),
    "flac": ("Hum", "SaveAudio", {"picture": False}, "SNR"),
    "glb": ("Triangle", "SaveMesh", {"picture": False}, "largest difference 1,"),
    "latent": ("Gradient", "SaveLatent", {}, "largest difference 0.5,"),
    "json": ("Curve", "SavePlot", {"picture": False}, "has no figures"),
    "svg": ("Curve", "SavePlot", {"picture": False, "format": "svg"}, "has no figures"),
    "csv": ("Curve", "SavePlot", {"picture": False, "format": "csv"}, ""),
    "animation": ("Frames", "SaveAnimation", {}, "frame 0 differs most"),
}
"""By a name: what makes a value, what saves it, with which inputs, and what is said of others."""


def document(maker: str, sink: str, inputs: dict[str, Any]) -> dict[str, Any]:
    port = "image" if sink == "SaveAnimation" else sink.removeprefix("Save").lower()
    save = {"type": sink, "inputs": {port: {"from": "make"}, **inputs}}
    return {
        "format": "nodegraph/1",
        "nodes": {"make": {"type": f"kinds:{maker}"}, "save": save},
    }


@pytest.mark.parametrize("kind", SINKS)
def test_files_of_each_kind(cli: Cli, save: Save, tmp_path: Path, kind: str) -> None:
    maker, sink, inputs, says = SINKS[kind]
    pack = tmp_path / "kinds.py"
    pack.write_text(PACK)
    file, *_ = save(document(maker, sink, inputs), "--pack", pack)  # and a manifest beside it
    result = cli("replay", file, "--verify", "--pack", pack)
    assert result.code == 0, result.err
    assert "identical" in result.out
    pack.write_text(PACK.replace("RELEASE = 1", "RELEASE = 2"))
    result = cli("replay", file, "--verify", "--pack", pack)
    assert result.code == 1, result.out
    assert "first node that differs: `make`" in result.out
    assert says in result.out


PLAIN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "txt": ({"type": "CutText", "inputs": {"text": "an apple"}}, {"type": "SaveText"}),
    "csv": (
        {"type": "kinds:Curve"},
        {"type": "SavePlot", "inputs": {"format": "csv", "picture": False}},
    ),
    "sdf": (
        {"type": "MoleculeFromSmiles", "inputs": {"smiles": "CCO"}},
        {"type": "SaveMolecule", "inputs": {"picture": False}},
    ),
    "psd": (
        {"type": "AddLayer", "inputs": {"image": {"from": "frames"}}},
        {"type": "SaveLayers", "inputs": {"format": "psd", "picture": False}},
    ),
}
"""By the ending of a file without figures: what makes its content, and what saves it."""
PORTS = {"txt": "text", "csv": "plot", "sdf": "molecule", "psd": "layers"}


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    path = tmp_path / "kinds.py"
    path.write_text(PACK)
    return path


@pytest.mark.parametrize("ending", PLAIN)
def test_a_file_without_figures_is_compared_by_its_bytes(
    cli: Cli, save: Save, kinds: Path, ending: str
) -> None:
    maker, sink = PLAIN[ending]
    inputs = {PORTS[ending]: {"from": "make"}, **sink.get("inputs", {})}
    frames = {"frames": {"type": "kinds:Frames"}} if ending == "psd" else {}
    nodes = {**frames, "make": maker, "save": {**sink, "inputs": inputs}}
    file, *_ = save({"format": "nodegraph/1", "nodes": nodes}, "--pack", kinds, "--sidecar")
    assert "identical" in cli("replay", file, "--verify", "--pack", kinds).out
    data = file.read_bytes()
    at = data.index(b"M  END") - 2 if ending == "sdf" else len(data) - 2
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    result = cli("replay", file, "--verify", "--pack", kinds)
    assert result.code == 1, result.out
    assert "the file was changed since it was saved" in result.out


def test_the_rate_of_samples_belongs_to_the_content(cli: Cli, save: Save, kinds: Path) -> None:
    inputs = {"picture": False, "format": "wav"}
    (file,) = save(document("Hum", "SaveAudio", inputs), "--pack", kinds)
    data = file.read_bytes()
    slow = (8000).to_bytes(4, "little")
    file.write_bytes(data.replace(slow, (16000).to_bytes(4, "little"), 1))
    result = cli("replay", file, "--verify", "--pack", kinds)
    assert result.code == 1, result.out
    assert "rate: 16000 → 8000" in result.out


@pytest.mark.parametrize("kind", ["mp4", "glb", "animation"])
def test_a_truncated_file_is_never_the_same(cli: Cli, save: Save, kinds: Path, kind: str) -> None:
    maker, sink, inputs, _ = SINKS[kind]
    inputs = {**inputs, "format": "png"} if kind == "animation" else inputs
    file, *_ = save(document(maker, sink, inputs), "--pack", kinds, "--sidecar")
    file.write_bytes(file.read_bytes()[:-40])
    result = cli("replay", file, "--verify", "--pack", kinds)
    assert result.code == 2, result.out
    assert "same content" not in result.out


@pytest.mark.parametrize("kind", ["mp4", "flac", "glb", "animation"])
def test_a_file_with_another_ending_is_known_by_its_bytes(
    cli: Cli, save: Save, kinds: Path, kind: str
) -> None:
    maker, sink, inputs, _ = SINKS[kind]
    file, *_ = save(document(maker, sink, inputs), "--pack", kinds)
    renamed = file.rename(file.with_suffix(".bin"))
    result = cli("replay", renamed, "--verify", "--pack", kinds)
    assert result.code == 0, result.err
    assert "identical" in result.out


def test_the_files_of_a_dataset_are_compared_with_its_card(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for shade in (20, 90):
        (pictures / f"{shade}.png").write_bytes(picture(16, 16, color=(shade, 9, 9)))
    nodes = {
        "load": {"type": "LoadDataset", "inputs": {"path": "pictures"}},
        "save": {
            "type": "SaveDataset",
            "inputs": {"dataset": {"from": "load.dataset"}, "picture": False},
        },
    }
    files = save({"format": "nodegraph/1", "nodes": nodes})
    card = next(each for each in files if each.name == "dataset.json")
    assert "identical" in cli("replay", card, "--verify").out
    copy = next(card.parent.rglob("*.png"))
    copy.write_bytes(picture(16, 16, color=(21, 9, 9)))
    result = cli("replay", card, "--verify")
    assert result.code == 1, result.out
    assert f"Files of the dataset that differ: {copy.relative_to(card.parent)}." in result.out
