"""Images carry their workflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue
from nodegraph.media.images.embedded_texts import (
    encode_with_texts,
    read_metadata,
    workflow_metadata,
)
from nodegraph.media.images.images import ImageFormat
from tests.messages import raises

WORKFLOW = {"format": "nodegraph/1", "nodes": {"p": {"inputs": {"text": "Fuchs 狐 \ud83e"}}}}


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_the_workflow_comes_back_from_every_format(tmp_path: Path, format: ImageFormat) -> None:
    path = tmp_path / "picture"
    path.write_bytes(encode_with_texts(torch.zeros(4, 4, 3), workflow_metadata(WORKFLOW), format))

    found = read_metadata(path)

    assert json.loads(found["workflow"]) == WORKFLOW
    assert found["nodegraph"] == VERSION


def test_without_a_workflow_just_the_version_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(encode_with_texts(torch.zeros(4, 4, 3), workflow_metadata({})))

    assert read_metadata(path) == {"nodegraph": VERSION}


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif", "tiff"])
def test_without_texts_an_image_carries_none(tmp_path: Path, format: ImageFormat) -> None:
    path = tmp_path / "picture"
    path.write_bytes(encode_with_texts(torch.zeros(4, 4, 3), {}, format))
    assert read_metadata(path) == {}
    with Image.open(path) as opened:
        assert not opened.getexif().get_ifd(0x8769)


@pytest.mark.parametrize(
    ("format", "alpha", "is_told"), [("jpeg", 0.5, True), ("jpeg", 1.0, False), ("png", 0.5, False)]
)
def test_transparency_that_is_left_out_is_told(
    format: ImageFormat, alpha: float, is_told: bool
) -> None:
    said: list[str] = []
    picture = torch.cat((torch.zeros(4, 4, 3), torch.full((4, 4, 1), alpha)), dim=-1)
    encode_with_texts(picture, {}, format, warn=said.append)
    assert ["transparency" in each for each in said] == [True] * is_told


def test_other_faults_are_not_hidden() -> None:
    with raises(InvalidValue, given="0"):
        encode_with_texts(torch.zeros(4, 4, 3), workflow_metadata(WORKFLOW), "jpeg", quality=0)


FORMATS: tuple[ImageFormat, ...] = ("png", "jpeg", "webp", "avif", "tiff")
TEXTS = {"workflow": '{"format": "nodegraph/1"}', "manifest": "{}", "nodegraph": "1"}
SETTINGS = {"parameters": "a fox\nSteps: 20"}
LONG = {**TEXTS, "workflow": json.dumps({"a": "x" * 200_000})}


def converted(
    folder: Path, source: ImageFormat, target: ImageFormat, texts: dict[str, str]
) -> Path:
    """An image that a program has converted and that kept the EXIF data."""
    first, second = folder / f"first.{source}", folder / f"second.{target}"
    first.write_bytes(encode_with_texts(torch.zeros(4, 4, 3), texts, source))
    with Image.open(first) as opened:
        opened.save(second, target.upper(), exif=opened.getexif())
    return second


@pytest.mark.parametrize("settings", [{}, SETTINGS])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_texts_survive_in_programs_that_keep_exif(
    tmp_path: Path, source: ImageFormat, target: ImageFormat, settings: dict[str, str]
) -> None:
    texts = {**TEXTS, **settings}
    assert read_metadata(converted(tmp_path, source, target, texts)) == texts


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_long_texts_survive_where_the_table_says_so(
    tmp_path: Path, source: ImageFormat, target: ImageFormat
) -> None:
    if source in ("png", "jpeg"):
        left = read_metadata(converted(tmp_path, source, target, LONG))
        assert left == ({} if source == "png" else {"nodegraph": "1"})
    elif target == "jpeg":
        with pytest.raises(ValueError, match="EXIF"):
            converted(tmp_path, source, target, LONG)
    else:
        assert read_metadata(converted(tmp_path, source, target, LONG)) == LONG


def test_texts_survive_from_png_to_webp_to_jpeg(tmp_path: Path) -> None:
    path = converted(tmp_path, "png", "webp", TEXTS)
    with Image.open(path) as opened:
        opened.save(tmp_path / "last.jpg", exif=opened.getexif())
    assert read_metadata(tmp_path / "last.jpg") == TEXTS


def test_a_jpeg_that_lost_a_segment_has_no_workflow(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    whole = encode_with_texts(torch.zeros(4, 4, 3), LONG, "jpeg")
    at = whole.rindex(b"\xff\xe1")
    length = int.from_bytes(whole[at + 2 : at + 4], "big")
    path.write_bytes(whole[:at] + whole[at + 2 + length :])
    assert read_metadata(path) == {"nodegraph": "1"}


def test_a_16_bit_png_repeats_its_texts_in_exif(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(encode_with_texts(torch.zeros(4, 4, 3), TEXTS, bits=16))
    with Image.open(path) as opened:
        opened.convert("RGB").save(tmp_path / "copy.jpg", exif=opened.getexif())
    assert read_metadata(tmp_path / "copy.jpg") == TEXTS
