"""The files that a job writes are described once they are there."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path

import pytest

from nodegraph.core.events import Event
from nodegraph.jobs.worker.job import JobFiles
from nodegraph.media.videos.encoding import VideoFormat
from tests.server.resources import digest_of, picture
from tests.videos.making import FORMATS, video, written


def test_a_picture_is_told_of_with_its_digest_and_pixels(tmp_path: Path) -> None:
    path = tmp_path / "apple.png"
    path.write_bytes(picture(30, 20))
    told: list[Event] = []
    tell = JobFiles().describing(told.append)
    tell(Event(1, "node.wrote", "save", 0.5, {"path": str(path), "file": "image"}))
    tell(Event(2, "node.finished", "save", 0.6, {}))
    data = told[0].data
    assert data["digest"] == digest_of(picture(30, 20))
    assert (data["width"], data["height"], data["media_type"]) == (30, 20, "image/png")
    assert (data["file"], data["size"]) == ("image", path.stat().st_size)
    assert told[1].data == {}


def test_a_picture_that_lies_on_its_side_is_told_of_as_it_is_shown(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(30, 20, "JPEG", exif=exif))
    found = JobFiles().described(path)
    assert found is not None
    assert (found["width"], found["height"]) == (20, 30)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("large.ppm", b"P6 60000 60000 255\n"),
        ("large.gif", b"GIF89a\4\0\4\0\0\0\0,\0\0\0\0\x60\xea\x60\xea\0\2\0;"),
    ],
)
def test_a_picture_of_any_size_is_told_of(tmp_path: Path, name: str, header: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(header)
    found = JobFiles().described(path)
    assert found is not None
    assert (found["width"], found["height"]) == (60_000, 60_000)


def test_what_is_no_picture_has_no_pixels(tmp_path: Path) -> None:
    for name in ("a.png", "a.txt", "a.svg", "a"):
        (tmp_path / name).write_bytes(b"text")
        found = JobFiles().described(tmp_path / name)
        assert found is not None
        assert "width" not in found


def test_a_file_whose_name_is_no_text_is_not_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / os.fsdecode(b"a\xff.png")
    path.write_bytes(picture(30, 20))
    assert JobFiles().described(path) is None
    assert "its name is not UTF-8" in caplog.text


def test_a_file_that_was_changed_is_read_again_and_one_that_is_gone_is_none(
    tmp_path: Path,
) -> None:
    files, path = JobFiles(), tmp_path / "a.bin"
    path.write_bytes(b"first")
    first = files.described(path)
    assert files.described(path) is first
    path.write_bytes(b"second")
    second = files.described(path)
    assert second is not None
    assert second["digest"] == digest_of(b"second")
    assert files.described(path, most=3) is None
    path.unlink()
    assert files.described(path) is None


@pytest.mark.parametrize("format", FORMATS)
def test_a_video_is_told_with_its_size_and_its_type(
    tmp_path: Path, format: VideoFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda _: (None, None))
    found = JobFiles().described(written(tmp_path, video(1, 32, 16), format))
    assert found is not None
    kind = "x-matroska" if format == "mkv" else format
    assert (found["media_type"], found["width"], found["height"]) == (f"video/{kind}", 32, 16)
    path = tmp_path / f"video.{format}"
    path.write_bytes(b"just words")
    assert "width" not in (JobFiles().described(path) or {})


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        *(("a.wav", "audio/wav"), ("a.flac", "audio/flac"), ("a.ogg", "audio/ogg")),
        *(("a.glb", "model/gltf-binary"), ("a.ply", "model/ply"), ("a.obj", "model/obj")),
        *(("a.sdf", "chemical/x-mdl-sdfile"), ("a.PDB", "chemical/x-pdb")),
        *(("a.ora", "application/x-openraster"), ("a.psd", "application/x-photoshop")),
    ],
)
def test_other_results_are_told_with_their_types_on_every_system(
    tmp_path: Path, name: str, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda _: (None, None))
    path = tmp_path / name
    path.write_bytes(b"any")
    found = JobFiles().described(path)
    assert found is not None
    assert found["media_type"] == media_type
