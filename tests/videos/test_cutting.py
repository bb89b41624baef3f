"""Parts of videos that are in memory, and videos made of images."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.memory_checks import ImageTooLarge
from nodegraph.media.videos.clips import (
    frame_count_after_trim,
    read_video,
    trim_video,
    video_from_images,
)
from tests.messages import raises
from tests.videos.making import moving, video, written

WHOLE = video(9, 16, 16, channels=2)


@given(st.integers(0, 8), st.integers(0, 12), st.integers(1, 5))
def test_a_part_is_what_a_file_gives_when_that_part_is_read(
    tmp_path_factory: pytest.TempPathFactory, first: int, count: int, every: int
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "whole.mkv"
    if not path.exists():
        written(path.parent, WHOLE).rename(path)

    found = trim_video(WHOLE, first=first, count=count, every=every)

    read = read_video(path, first=first, count=count, every=every)
    assert len(found.frames) == frame_count_after_trim(9, first, count, every)
    assert torch.equal(found.frames, read.frames)
    assert found.rate == read.rate == WHOLE.rate / every
    assert found.audio is not None
    assert read.audio is not None
    assert torch.equal(found.audio.waveform, read.audio.waveform)


def test_a_part_behind_the_end_is_refused() -> None:
    with raises(InvalidValue, port="first", given="frame 9"):
        trim_video(WHOLE, first=9)


def test_pictures_become_frames_in_their_order() -> None:
    gray, clear = torch.rand(1, 16, 16, 1), torch.rand(2, 16, 16, 4)

    found = video_from_images([gray, moving(2, 16, 16), clear], Fraction(8), WHOLE.audio)

    assert found.frames.shape == (5, 16, 16, 3)
    assert torch.equal(found.frames[0], gray[0].expand(16, 16, 3))
    assert torch.equal(found.frames[1:3], moving(2, 16, 16))
    assert torch.equal(found.frames[3:], clear[..., :3])
    assert (found.rate, found.audio) == (8, WHOLE.audio)
    assert found.seconds == Fraction(5, 8)


def test_pictures_of_several_sizes_and_none_are_refused() -> None:
    with raises(InvalidValue, port="images", given="16 x 16, 8 x 16"):
        video_from_images([torch.zeros(1, 16, 16, 3), torch.zeros(1, 16, 8, 3)], Fraction(8))
    with raises(InvalidValue, port="images"):
        video_from_images([torch.zeros(0, 16, 16, 3)], Fraction(8))


def test_more_pictures_than_there_is_memory_for_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: 1 << 20)
    with raises(ImageTooLarge, port="images"):
        video_from_images([torch.zeros(1, 64, 64, 3).expand(900, 64, 64, 3)], Fraction(8))
