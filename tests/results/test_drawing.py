"""Results that are no images are drawn, by what their kinds are drawn by anyway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nodegraph import Audio
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.media.audio import visualization as drawing
from nodegraph.media.audio.codec import encode_audio, read_audio
from nodegraph.media.audio.visualization import draw_waveform_of_file, waveform_image
from nodegraph.media.molecules.chemistry import draw_molecule, molecule_from_smiles
from nodegraph.media.molecules.molecule_files import encode_molecule
from nodegraph.media.shapes.encoding import encode_mesh
from nodegraph.media.shapes.reading import read_mesh, read_point_cloud
from nodegraph.media.shapes.rendering import draw_shape
from nodegraph.session.results.files import draw_result
from tests.audio.making import noise
from tests.messages import raises
from tests.results.making import MAKERS
from tests.results.test_texts import HOSTILE
from tests.shapes.making import square

DRAWN = sorted(
    name for name in MAKERS if name.endswith(("wav", "flac", "ogg", "glb", "ply", "obj"))
)
DRAWN += ["made.sdf", "made.pdb", "made.json", "made.ora"]


def drawn(folder: Path, name: str, data: bytes, size: int = 64) -> torch.Tensor:
    """In 0..1, shape (1, height, width, 3)."""
    path = folder / name
    path.write_bytes(data)
    pixels = np.asarray(draw_result(path, size).convert("RGB"), np.float32) / 255
    return torch.from_numpy(pixels)[None]


@pytest.mark.parametrize("name", DRAWN)
def test_each_kind_is_drawn(tmp_path: Path, name: str) -> None:
    found = drawn(tmp_path, name, MAKERS[name]({}))
    assert max(found.shape[1:3]) in (4, 64, 320)
    assert found.std() > 0.01


def test_shapes_are_drawn_as_by_their_nodes(tmp_path: Path) -> None:
    textured = encode_mesh(square(), "glb", {})
    found = drawn(tmp_path, "made.glb", textured)
    assert (found - draw_shape(read_mesh(tmp_path / "made.glb"), 64)).abs().max() < 0.003
    found = drawn(tmp_path, "points.ply", MAKERS["points.ply"]({}))
    assert (found - draw_shape(read_point_cloud(tmp_path / "points.ply"), 64)).abs().max() < 0.003


def test_molecules_are_drawn_as_by_their_node(tmp_path: Path) -> None:
    made = molecule_from_smiles("CCO")
    found = drawn(tmp_path, "made.sdf", encode_molecule(made, "sdf", {}))
    assert (found - draw_molecule(made, 64, 64)).abs().max() < 0.003


@pytest.mark.parametrize("whole", [100, 1 << 20])
def test_long_audio_looks_like_all_of_its_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    monkeypatch.setattr(drawing, "_WHOLE", whole)
    loud = noise(200_000, 2).waveform * torch.linspace(0, 1, 200_000)
    path = tmp_path / "made.flac"
    path.write_bytes(encode_audio(Audio(loud, 44100), "flac"))
    found, wanted = (
        draw_waveform_of_file(path, 64, 64),
        waveform_image(read_audio(path), 64, 64)[0].numpy(),
    )
    assert (abs(found - wanted).max(-1) > 0.1).mean() < 0.03


def test_only_the_first_minutes_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silence, loud = torch.zeros(1, 16_000), torch.ones(1, 160_000)
    path = tmp_path / "made.wav"
    path.write_bytes(encode_audio(Audio(torch.cat([silence, loud], 1), 8000), "wav"))
    monkeypatch.setattr(drawing, "MAX_SECONDS", 1)
    found = draw_waveform_of_file(path, 64, 64)
    assert (abs(found - found[0, 0]).max(-1) > 0.3).mean() < 0.1


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - {"short.obj"}))  # it has a point
def test_what_was_made_to_do_harm_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(NodegraphError):
        drawn(tmp_path, name, HOSTILE[name])


@pytest.mark.parametrize("name", ["notes.txt", "made.safetensors"])
def test_other_files_have_no_picture(tmp_path: Path, name: str) -> None:
    data = MAKERS[name]({}) if name in MAKERS else b"words"
    with raises(InvalidFile):
        drawn(tmp_path, name, data)


@pytest.mark.slow
def test_torch_is_not_needed(tmp_path: Path) -> None:
    for name in ("made.flac", "made.glb", "points.ply", "made.sdf", "made.json"):
        (tmp_path / name).write_bytes(MAKERS[name]({"workflow": "{}"}))
    code = (
        "import sys, pathlib; from nodegraph.session.results.files import draw_result;"
        "from nodegraph.session.results.files import result_texts;"
        f"files = sorted(pathlib.Path({str(tmp_path)!r}).iterdir());"
        "[draw_result(file, 64) for file in files];"
        "assert all(result_texts(file)['workflow'] == '{}' for file in files);"
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
