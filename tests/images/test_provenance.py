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
