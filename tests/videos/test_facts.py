"""What is known of a video before it is read is what reading it gives."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from nodegraph import Video
from nodegraph.errors import InvalidFile
from nodegraph.media.videos.clips import read_video
from nodegraph.media.videos.video_files import video_facts
from tests.messages import raises
from tests.properties import examples
from tests.videos.making import clip, copied

KINDS: list[tuple[str, str, dict[str, str]]] = [
    ("mp4", "libx264", {"bf": "0"}),
    ("mp4", "libx264", {"bf": "2", "g": "4"}),
    ("mp4", "mpeg4", {"bf": "2"}),
    ("mov", "libx264", {"bf": "0"}),
    ("mov", "mjpeg", {"form": "yuvj420p"}),
    ("mkv", "libx264", {"bf": "0"}),
    ("mkv", "libx264", {"bf": "2", "g": "4"}),
    ("mkv", "ffv1", {}),
    ("mkv", "mpeg4", {"bf": "2"}),
    ("webm", "libvpx", {"g": "4"}),
    ("webm", "libvpx-vp9", {"cpu-used": "8"}),
    ("avi", "libx264", {"bf": "2"}),
    ("avi", "mpeg4", {"bf": "0"}),
    ("flv", "libx264", {"bf": "2"}),
    ("ts", "libx264", {"bf": "2"}),
]


def as_known(path: Path, rate: Fraction | None = None) -> Video:
    """The video, after it was found to be what was known of it."""
    facts, found = video_facts(path, rate=rate), read_video(path, rate=rate)
    frames, height, width, _ = found.frames.shape
    assert (facts.width, facts.height) == (width, height)
    assert (facts.frames, facts.rate) == (frames, found.rate)
    return found


def shades(found: Video) -> list[int]:
    """Which frame of a clip each is."""
    return [round(shade * 255 / 20) - 1 for shade in found.frames.mean(dim=(1, 2, 3)).tolist()]


STEPS = st.one_of(
    st.sampled_from([33, 40, 100]).flatmap(lambda step: st.lists(st.just(step), max_size=9)),
    st.lists(st.sampled_from([16, 17, 33, 34, 66, 100, 500]), max_size=9),
)


@settings(max_examples=examples(200))
@given(
    st.sampled_from(KINDS),
    STEPS,
    st.sampled_from([0, 100, 2000]),
    st.sampled_from([None, None, 0, 1, 2]),
)
def test_facts_are_what_reading_gives(
    tmp_path_factory: pytest.TempPathFactory,
    kind: tuple[str, str, dict[str, str]],
    steps: list[int],
    begin: int,
    skipped: int | None,
) -> None:
    suffix, codec, options = kind
    folder = tmp_path_factory.mktemp("clip")
    path = clip(folder / f"made.{suffix}", list(accumulate(steps, initial=begin)), codec, **options)
    if skipped is not None:
        try:
            path = copied(folder / f"copied.{suffix}", path, min(skipped, len(steps)))
        except av.FFmpegError:
            reject()  # FFmpeg itself writes no such file
    try:
        video_facts(path)
    except InvalidFile:
        # Its first packets are gone, and no other image is whole without them.
        assert skipped
        with pytest.raises(InvalidFile):
            read_video(path)
        return
    for rate in (None, Fraction(30)):
        as_known(path, rate)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize(("skipped", "kept"), [(1, [3, 3, 3, 4, 5]), (2, [3, 3, 4, 5])])
def test_a_copy_that_begins_between_whole_pictures_begins_with_the_first_that_decodes(
    tmp_path: Path, suffix: str, skipped: int, kept: list[int]
) -> None:
    made = clip(tmp_path / f"made.{suffix}", list(range(6)), "libx264", clock=10, bf="2", g="4")
    assert shades(as_known(copied(tmp_path / f"copied.{suffix}", made, skipped))) == kept


@pytest.mark.parametrize("frames", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("suffix", "codec", "form"),
    [
        ("webm", "libvpx", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("mkv", "ffv1", "yuv420p"),
        ("mkv", "mjpeg", "yuvj420p"),
    ],
)
def test_a_matroska_that_tells_no_lengths_of_frames_is_read(
    tmp_path: Path, suffix: str, codec: str, form: str, frames: int
) -> None:
    made = clip(tmp_path / f"a.{suffix}", list(range(frames)), codec, form, clock=10)
    found = as_known(copied(tmp_path / f"b.{suffix}", made))
    assert shades(found) == list(range(frames))
    assert frames == 1 or found.rate == 10


def test_a_whole_matroska_whose_last_frame_is_shown_long_is_read(tmp_path: Path) -> None:
    made = clip(tmp_path / "a.mkv", list(range(6)), "ffv1", clock=10)
    path = copied(tmp_path / "b.mkv", made, lasts=5000)
    assert shades(as_known(path)) == list(range(6))
    # Where its end is missing, frames may be, too.
    path.write_bytes(path.read_bytes()[:-1])
    with raises(InvalidFile):
        read_video(path)


@pytest.mark.parametrize("delayed", ["0", "2"])
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames_of_a_transport_stream_come_once(
    tmp_path: Path, frames: int, delayed: str
) -> None:
    path = clip(tmp_path / "a.ts", list(range(frames)), "libx264", clock=10, bf=delayed)
    found = as_known(path)
    assert (shades(found), found.rate) == (list(range(frames)), 10)


@pytest.mark.parametrize("suffix", ["mkv", "webm", "mp4"])
def test_a_copy_that_is_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    codec = "libx264" if suffix == "mp4" else "libvpx"
    made = clip(tmp_path / f"a.{suffix}", list(range(0, 1200, 100)), codec)
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = copied(tmp_path / f"b.{suffix}", made, **options)
    content = path.read_bytes()
    half = content[: len(content) * 2 // 3]
    path.write_bytes(half)
    with raises(InvalidFile):
        read_video(path)
    path.write_bytes(half.ljust(len(content), b"\0"))
    with raises(InvalidFile):
        read_video(path)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "flv"])
@pytest.mark.parametrize("times", [[0, 17], [0, 33, 133], [0, 66, 106], [0, 34, 534]])
def test_facts_are_exact_where_frames_come_unevenly(
    tmp_path: Path, suffix: str, times: list[int]
) -> None:
    path = clip(tmp_path / f"a.{suffix}", times, "libx264", bf="0")
    for rate in (None, Fraction(30), Fraction(7)):
        as_known(path, rate)


def test_frames_of_a_long_video_are_counted_at_its_end(tmp_path: Path) -> None:
    times = list(accumulate([33, 40, 100, 34, 66] * 30, initial=0))
    path = clip(tmp_path / "a.mp4", times, "libx264", bf="3", g="12")
    for rate in (None, Fraction(24)):
        as_known(path, rate)


@pytest.mark.parametrize("begins", [0, 400])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_video_trimmed_by_its_list_alone_is_read_as_far_as_it_is_shown(
    tmp_path: Path, codec: str, begins: int
) -> None:
    path = clip(tmp_path / "a.mp4", list(range(0, 1000, 100)), codec, bf="2", g="4")
    content = bytearray(path.read_bytes())
    scale = int.from_bytes(content[(place := content.index(b"mdhd") + 16) : place + 4], "big")
    place = content.index(b"elst") + 12
    _, start = struct.unpack_from(">Ii", content, place)
    # In thousandths of a second how long it is shown, by the track's clock from when.
    struct.pack_into(">Ii", content, place, 500, start + begins * scale // 1000)
    path.write_bytes(bytes(content))
    first = begins // 100
    assert shades(as_known(path)) == list(range(first, first + 5))
