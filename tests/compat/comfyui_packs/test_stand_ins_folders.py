"""ComfyUI's folders: kinds of models, names of files, and paths that stay in their folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.context import Environment
from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.interop.comfyui.packs import stand_ins


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Any]:
    """The module ``folder_paths`` of a session."""
    for name in (
        "models/checkpoints/sub",
        "models/Lora",
        "models/unet",
        "inputs",
        "outputs",
        "tmp",
        "uploads",
    ):
        (tmp_path / name).mkdir(parents=True)
    environment = Environment(
        models=(tmp_path / "models",),
        inputs=tmp_path / "inputs",
        outputs=tmp_path / "outputs",
        temporary=tmp_path / "tmp",
        readable=(tmp_path / "inputs",),
        uploads=tmp_path / "uploads",
        granted=frozenset((tmp_path / "uploads" / "own",)),
    )
    with stand_ins.installed(environment):
        import folder_paths

        yield folder_paths


def test_folders_are_there_when_a_pack_lists_them(paths: Any, tmp_path: Path) -> None:
    (tmp_path / "inputs").rmdir()
    (tmp_path / "tmp").rmdir()

    assert list(Path(paths.get_input_directory()).iterdir()) == []
    assert list(Path(paths.get_temp_directory()).iterdir()) == []


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_models_lie_in_folders_of_their_kind(paths: Any, tmp_path: Path) -> None:
    models = tmp_path / "models"
    for name in ("checkpoints/sub/a.safetensors", "checkpoints/b.ckpt", "checkpoints/note.txt"):
        written(models / name)
    written(models / "Lora/l.safetensors")
    written(models / "unet/u.gguf")
    assert paths.get_filename_list("checkpoints") == ["b.ckpt", "sub/a.safetensors"]
    assert paths.get_filename_list("loras") == ["l.safetensors"]
    assert paths.get_filename_list("unet") == paths.get_filename_list("diffusion_models")
    assert paths.get_full_path("loras", "l.safetensors") == str(models / "Lora/l.safetensors")
    assert paths.get_full_path("checkpoints", "../Lora/l.safetensors") is None
    with pytest.raises(ModelNotFound, match="of kind vae"):
        paths.get_full_path_or_raise("vae", "none.pt")


def test_packs_add_kinds_and_folders(paths: Any, tmp_path: Path) -> None:
    own = written(tmp_path / "own" / "m.onnx")
    paths.folder_names_and_paths["detectors"] = ([str(own.parent)], {".onnx"})
    assert paths.get_filename_list("detectors") == ["m.onnx"]
    more = written(tmp_path / "more" / "n.onnx")
    paths.add_model_folder_path("detectors", str(more.parent), is_default=True)
    assert paths.get_folder_paths("detectors") == [str(more.parent), str(own.parent)]
    assert paths.get_filename_list("detectors") == ["m.onnx", "n.onnx"]
    assert {str(own.parent), str(more.parent)} <= set(stand_ins.watched_paths())


def test_a_name_may_end_with_its_folder(paths: Any, tmp_path: Path) -> None:
    result = written(tmp_path / "outputs" / "r.png")
    assert paths.get_annotated_filepath("r.png [output]") == str(result)
    assert paths.exists_annotated_filepath("r.png [output]")
    assert not paths.exists_annotated_filepath("r.png")


@pytest.mark.parametrize("name", ["../outputs/r.png", "/etc/passwd", "../../x [temp]"])
def test_names_lead_out_of_no_folder(paths: Any, tmp_path: Path, name: str) -> None:
    written(tmp_path / "outputs" / "r.png")
    assert not paths.exists_annotated_filepath(name)
    with pytest.raises(InvalidFile, match="leads out of its folder"):
        paths.get_annotated_filepath(name)


def test_an_upload_that_a_run_may_read_is_found(paths: Any, tmp_path: Path) -> None:
    own = str(written(tmp_path / "uploads" / "own"))
    other = str(written(tmp_path / "uploads" / "other"))
    assert paths.get_annotated_filepath(own) == own
    assert paths.exists_annotated_filepath(own)
    assert not paths.exists_annotated_filepath(other)


def test_numbers_of_saved_files_go_on(paths: Any, tmp_path: Path) -> None:
    outputs = str(tmp_path / "outputs")
    folder, name, counter, subfolder, prefix = paths.get_save_image_path(
        "a/pic_%width%x%height%", outputs, 64, 32
    )
    assert (name, counter, subfolder) == ("pic_64x32", 1, "a")
    assert prefix == "a/pic_64x32"
    written(Path(folder) / "pic_64x32_00007_.png")
    assert paths.get_save_image_path("a/pic_64x32", outputs)[2] == 8
    with pytest.raises(InvalidFile, match="outside"):
        paths.get_save_image_path("../x", outputs)


def test_directories_and_kinds_of_content(paths: Any, tmp_path: Path) -> None:
    assert paths.get_output_directory() == str(tmp_path / "outputs")
    assert paths.get_directory_by_type("temp") == str(tmp_path / "tmp")
    files = ["a.png", "b.mp4", "c.wav", "d.glb", "e.txt"]
    assert paths.filter_files_content_types(files, ["image", "video"]) == ["a.png", "b.mp4"]
    assert paths.filter_files_content_types(files, ["audio", "model"]) == ["c.wav", "d.glb"]
