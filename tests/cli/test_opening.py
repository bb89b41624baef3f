"""Where workflows are read from."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from nodegraph.cli.workflow_source import open_workflow
from nodegraph.core.manifest import Manifest, ManifestInput, digest_workflow, file_texts
from nodegraph.errors import InvalidFile, InvalidWorkflow
from nodegraph.media.audio.codec import AudioFormat, encode_audio
from nodegraph.media.molecules.chemistry import molecule_from_smiles
from nodegraph.media.molecules.molecule_files import MoleculeFormat, encode_molecule
from nodegraph.media.shapes.encoding import SHAPE_SUFFIXES, encode_mesh
from nodegraph.media.shapes.shape_files import ShapeFormat
from nodegraph.media.videos.encoding import VideoFormat, encode_video
from tests.audio.making import FORMATS as AUDIO_FORMATS
from tests.audio.making import tone
from tests.cli.conftest import WORKFLOW, saved
from tests.messages import raises
from tests.results.making import MAKERS
from tests.shapes.making import box
from tests.videos.making import FORMATS, video


def picture(path: Path, texts: dict[str, str]) -> Path:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (2, 2)).save(path, pnginfo=info)
    return path


def test_a_workflow_comes_from_a_json_file(tmp_path: Path) -> None:
    opened = open_workflow(str(saved(WORKFLOW)))
    assert opened.workflow.title == "Greeting"
    assert opened.folder == tmp_path


def test_a_workflow_comes_from_a_picture(tmp_path: Path) -> None:
    path = picture(tmp_path / "made.png", {"workflow": json.dumps(WORKFLOW), "nodegraph": "1"})
    assert open_workflow(str(path)).workflow.title == "Greeting"


@pytest.mark.parametrize("format", FORMATS)
def test_a_workflow_comes_from_a_video(tmp_path: Path, format: VideoFormat) -> None:
    path = tmp_path / "made"
    path.write_bytes(encode_video(video(1), format, metadata={"workflow": json.dumps(WORKFLOW)}))
    assert open_workflow(str(path)).workflow.title == "Greeting"
    path.write_bytes(encode_video(video(1), format))
    with raises(InvalidFile):
        open_workflow(str(path))


@pytest.mark.parametrize("format", AUDIO_FORMATS)
def test_a_workflow_comes_from_audio(tmp_path: Path, format: AudioFormat) -> None:
    path = tmp_path / "made"
    path.write_bytes(encode_audio(tone(), format, metadata={"workflow": json.dumps(WORKFLOW)}))
    assert open_workflow(str(path)).workflow.title == "Greeting"
    path.write_bytes(encode_audio(tone(), format))
    with raises(InvalidFile):
        open_workflow(str(path))


@pytest.mark.parametrize("format", SHAPE_SUFFIXES)
def test_a_workflow_comes_from_a_mesh(tmp_path: Path, format: ShapeFormat) -> None:
    path = tmp_path / f"made.{format}"
    path.write_bytes(encode_mesh(box(), format, {"workflow": json.dumps(WORKFLOW)}))
    assert open_workflow(str(path)).workflow.title == "Greeting"
    path.write_bytes(encode_mesh(box(), format))
    with raises(InvalidFile):
        open_workflow(str(path))


@pytest.mark.parametrize("format", ["sdf", "pdb"])
def test_a_workflow_comes_from_a_molecule(tmp_path: Path, format: MoleculeFormat) -> None:
    path, made = tmp_path / f"made.{format}", molecule_from_smiles("CCO")
    path.write_bytes(encode_molecule(made, format, {"workflow": json.dumps(WORKFLOW)}))
    assert open_workflow(str(path)).workflow.title == "Greeting"
    path.write_bytes(encode_molecule(made, format))
    with raises(InvalidFile):
        open_workflow(str(path))


@pytest.mark.parametrize("name", ["moving.gif", "made.avif", "made.json", "made.safetensors"])
def test_a_workflow_comes_from_other_results(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(MAKERS[name]({"workflow": json.dumps(WORKFLOW)}))
    assert open_workflow(str(path)).workflow.title == "Greeting"
    path.write_bytes(MAKERS[name]({}))
    with raises(InvalidFile):
        open_workflow(str(path))


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_a_picture_without_a_workflow_says_so(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plain.{suffix}"
    Image.new("RGB", (2, 2)).save(path)
    with raises(InvalidFile):
        open_workflow(str(path))


def test_a_picture_by_another_tool_says_so(tmp_path: Path) -> None:
    path = picture(tmp_path / "other.png", {"workflow": json.dumps({"drawing": []})})
    with raises(InvalidFile):
        open_workflow(str(path))


def test_a_damaged_picture_is_told(tmp_path: Path) -> None:
    path = picture(tmp_path / "made.png", {"workflow": json.dumps(WORKFLOW)})
    path.write_bytes(path.read_bytes()[:60])
    with raises(InvalidFile):
        open_workflow(str(path))


def test_a_missing_file_is_answered_with_the_nearest() -> None:
    saved(WORKFLOW, "picture.json")
    with raises(InvalidFile):
        open_workflow("pictrue.json")


def test_a_folder_is_no_workflow(tmp_path: Path) -> None:
    with raises(InvalidFile):
        open_workflow(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", InvalidFile),
        (b"\xff\xfe{}", InvalidFile),
        (b"[]", InvalidFile),
        (b'{"format": "nodegraph/1", "nodes": []}', InvalidWorkflow),
    ],
)
def test_nonsense_on_standard_input_is_told(
    content: bytes, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin: Any = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(error):
        open_workflow("-")


def result_of(folder: Path, name: str) -> Path:
    """A result that was made of an input file."""
    manifest = Manifest("1", "save", inputs=(ManifestInput("load", "path", name, "ab" * 32),))
    workflow = {"format": "nodegraph/1", "title": "Made of a file", "nodes": {}}
    folder.mkdir(parents=True, exist_ok=True)
    texts = {**file_texts(manifest), "workflow": json.dumps(workflow)}
    digest = digest_workflow(workflow)
    texts["manifest"] = replace(manifest, workflow_digest=digest).to_text()
    return picture(folder / "made.png", texts)


@pytest.mark.parametrize("place", ["output", "work", "."])
def test_input_files_of_a_result_are_looked_for_around_it(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = result_of(tmp_path / "output", "pets/fox.png")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    folder = tmp_path / place
    (folder / "pets").mkdir(parents=True)
    (folder / "pets" / "fox.png").touch()
    assert open_workflow(str(path)).folder == folder.resolve()


@pytest.mark.parametrize("name", ["fox.png", "a\0b", "x" * 5_000, "\x1b]0;owned\x07.png"])
def test_missing_input_files_of_a_result_are_named(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = result_of(tmp_path / "output", name)
    assert open_workflow(str(path)).folder == path.parent
    told = capsys.readouterr().err
    assert "NODEGRAPH_INPUTS" in told
    assert told.replace("\n", "").isprintable()


def test_a_result_with_a_damaged_manifest_still_has_its_workflow(tmp_path: Path) -> None:
    path = picture(
        tmp_path / "made.png", {"workflow": json.dumps(WORKFLOW), "manifest": "{", "nodegraph": "1"}
    )
    assert open_workflow(str(path)).workflow.title == "Greeting"
