"""Thumbnails: small, upright, made once, kept within bounds, and never of a bomb."""

from __future__ import annotations

import asyncio
import struct
import threading
import zlib
from collections.abc import Coroutine, Iterator
from contextlib import closing
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nodegraph import Video
from nodegraph.errors import InvalidFile
from nodegraph.media.shapes.shape_files import glb_bytes
from nodegraph.media.videos.encoding import VideoFormat, encode_video
from nodegraph.server.content.artifacts.thumbnails import AGAIN_SECONDS, Thumbnail, Thumbnails
from nodegraph.server.content.files.pictures import make_thumbnail, read_picture
from nodegraph.server.http.errors import NotFound, TooLarge
from nodegraph.server.http.responses import OpenFile
from tests.messages import raises
from tests.properties import examples
from tests.server.resources import digest_of, opened, picture
from tests.videos.making import FORMATS, video

PIXELS = 1_000_000
PATIENCE = 30.0


class Source:
    """An image's file, which counts how often it is opened."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.times = 0

    def __call__(self) -> OpenFile:
        self.times += 1
        return OpenFile(BytesIO(self.data), len(self.data), digest_of(self.data))


@pytest.fixture
def thumbnails(tmp_path: Path) -> Iterator[Thumbnails]:
    found = Thumbnails(tmp_path / "thumbnails", held=20_000, pixels=PIXELS)
    yield found
    found.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thumbnails]:
    """For tests that ask for one once: its process starts once."""
    found = Thumbnails(tmp_path_factory.mktemp("shared") / "thumbnails", pixels=PIXELS)
    yield found
    found.close()


def run(made: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(made)


def thumbnail(thumbnails: Thumbnails, source: Source, size: int = 128) -> bytes:
    found: Thumbnail = run(thumbnails.get(digest_of(source.data), size, source))
    assert found.problem is None
    return found.data


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_thumbnail_is_a_small_webp_of_the_same_shape(shared: Thumbnails, format: str) -> None:
    made = opened(thumbnail(shared, Source(picture(600, 300, format))))
    assert made.format == "WEBP"
    assert made.size == (128, 64)
    red, green, blue = made.convert("RGB").getpixel((60, 30))  # type: ignore[misc]
    assert abs(red - 200) < 12
    assert abs(green - 30) < 12
    assert abs(blue - 40) < 12


def test_a_small_picture_is_not_made_larger(shared: Thumbnails) -> None:
    assert opened(thumbnail(shared, Source(picture(20, 10)))).size == (20, 10)


def test_transparency_stays(shared: Thumbnails) -> None:
    made = opened(thumbnail(shared, Source(picture(color=(10, 20, 30, 0)))))
    assert made.mode == "RGBA"
    assert made.getpixel((3, 3))[3] == 0  # type: ignore[index]


def test_a_photograph_is_turned_upright(shared: Thumbnails) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = picture(200, 100, "JPEG", exif=exif)
    assert opened(thumbnail(shared, Source(data))).size == (64, 128)
    assert read_picture(BytesIO(data), pixels=PIXELS).width == 100


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK", "RGBA"])
def test_pictures_of_all_kinds_have_one(shared: Thumbnails, mode: str) -> None:
    made = BytesIO()
    Image.new(mode, (90, 30)).save(made, "JPEG" if mode == "CMYK" else "PNG")
    assert opened(thumbnail(shared, Source(made.getvalue()))).size == (90, 30)


def test_dark_sixteen_bit_grey_does_not_become_white(shared: Thumbnails) -> None:
    made = BytesIO()
    Image.new("I;16", (30, 30), 20 * 256).save(made, "PNG")
    shown = opened(thumbnail(shared, Source(made.getvalue()))).convert("L")
    assert abs(shown.getpixel((5, 5)) - 20) < 8  # type: ignore[operator]


def test_it_is_made_once(thumbnails: Thumbnails) -> None:
    source = Source(picture(300, 300))
    assert thumbnail(thumbnails, source) == thumbnail(thumbnails, source)
    assert source.times == 1
    thumbnail(thumbnails, source, 256)
    assert source.times == 2


def test_many_who_ask_at_once_wait_for_one(thumbnails: Thumbnails) -> None:
    source = Source(picture(900, 900))

    async def ask() -> list[Thumbnail]:
        digest = digest_of(source.data)
        return await asyncio.gather(*(thumbnails.get(digest, 128, source) for _ in range(20)))

    assert len(set(run(ask()))) == 1
    assert source.times == 1


def test_sizes_that_hardly_differ_are_one(thumbnails: Thumbnails, tmp_path: Path) -> None:
    source = Source(picture(900, 900))
    for size in (193, 200, 256):
        assert opened(thumbnail(thumbnails, source, size)).size == (256, 256)
    assert source.times == 1


def test_the_folder_stays_within_its_bounds(tmp_path: Path) -> None:
    folder = tmp_path / "thumbnails"
    thumbnails = Thumbnails(folder, held=100_000, pixels=PIXELS)
    for at in range(40):
        noise = Image.effect_noise((128, 128), 20 + at)
        data = BytesIO()
        noise.save(data, "PNG")
        thumbnail(thumbnails, Source(data.getvalue()))
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert 0 < sum(sizes) <= 100_000
    assert 4 < len(sizes) < 40
    thumbnails.close()


def test_one_that_was_deleted_is_made_again(thumbnails: Thumbnails, tmp_path: Path) -> None:
    source = Source(picture(300, 300))
    first = thumbnail(thumbnails, source)
    for path in (tmp_path / "thumbnails").iterdir():
        path.unlink()
    (tmp_path / "thumbnails").rmdir()
    assert thumbnail(thumbnails, source) == first
    assert source.times == 2


def test_a_folder_that_cannot_be_made_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "thumbnails").write_text("in the way")
    thumbnails = Thumbnails(tmp_path / "thumbnails", pixels=PIXELS)
    assert opened(thumbnail(thumbnails, Source(picture()))).size == (8, 6)
    thumbnails.close()


def bomb(width: int, height: int) -> bytes:
    """A small file that says that it is a large image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        mark = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + mark

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [1001, 10_000, 14_000, 60_000, 2**31 - 1])
def test_a_picture_that_claims_too_many_pixels_is_not_read(side: int) -> None:
    data = bomb(side, side)
    with pytest.raises(TooLarge):
        read_picture(BytesIO(data), pixels=PIXELS)
    with pytest.raises(TooLarge):
        make_thumbnail(BytesIO(data), 128, pixels=PIXELS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        picture()[:50],
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\x80\x04\x95",
        picture(format="BMP"),
        picture(format="TIFF"),
    ],
)
def test_of_what_is_no_intact_picture_there_is_none(shared: Thumbnails, data: bytes) -> None:
    with raises(NotFound):
        thumbnail(shared, Source(data))


PICTURES = [picture(40, 30, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")]


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    original = bytearray(data.draw(st.sampled_from(PICTURES)))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(original) - 1))
        original[place] = data.draw(st.integers(0, 255))
    damaged = bytes(original[: data.draw(st.integers(1, len(original)))])
    for read in (
        lambda: read_picture(BytesIO(damaged), pixels=PIXELS),
        lambda: make_thumbnail(BytesIO(damaged), 64, pixels=PIXELS),
    ):
        try:
            read()
        except (InvalidFile, TooLarge):
            continue


@pytest.mark.parametrize("format", FORMATS)
def test_a_video_shows_its_first_frame(shared: Thumbnails, format: VideoFormat) -> None:
    frames = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])[:, None, None].expand(2, 100, 200, 3)
    source = Source(encode_video(Video(frames, Fraction(8)), format))

    made = opened(thumbnail(shared, source))

    assert (made.format, made.size) == ("WEBP", (128, 64))
    red, green, blue = made.convert("RGB").getpixel((64, 32))
    assert red > 240
    assert max(green, blue) < 20


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_or_huge_video_has_none(shared: Thumbnails, format: VideoFormat) -> None:
    whole = encode_video(video(2, 64, 64), format)
    with pytest.raises(NotFound):
        thumbnail(shared, Source(whole[:60] + bytes(500)))
    with raises(InvalidFile):
        make_thumbnail(BytesIO(whole), 64, pixels=64 * 64 - 1)


def test_what_shows_nothing_is_not_tried_again(
    thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.server.content.artifacts.thumbnails._MOST_WITHOUT", 2)
    sources = [Source(b"words" * at) for at in (1, 2, 3)]
    for source in (*sources, *sources):
        with raises(NotFound):
            thumbnail(thumbnails, source)
    assert [source.times for source in sources] == [2, 2, 2]
    for source in (sources[2], sources[1]):
        with raises(NotFound):
            thumbnail(thumbnails, source, 256)
    assert [source.times for source in sources] == [2, 2, 2]


class Held(Source):
    """A file that takes long to be opened: until it is let go."""

    def __init__(self, data: bytes, go: threading.Event) -> None:
        super().__init__(data)
        self._go = go

    def __call__(self) -> OpenFile:
        assert self._go.wait(PATIENCE)
        return super().__call__()


def test_one_client_s_slow_files_delay_no_other(thumbnails: Thumbnails) -> None:
    go = threading.Event()
    slow = [Held(picture(color=(at, 0, 0)), go) for at in range(6)]
    quick = Source(picture(40, 20))

    async def ask() -> Thumbnail:
        held = [
            asyncio.ensure_future(thumbnails.get(digest_of(each.data), 64, each, "ann"))
            for each in slow
        ]
        await asyncio.sleep(0)
        found = await asyncio.wait_for(
            thumbnails.get(digest_of(quick.data), 64, quick, "ben"), PATIENCE
        )
        assert not any(each.done() for each in held)
        go.set()
        await asyncio.gather(*held)
        return found

    assert opened(run(ask()).data).size == (40, 20)
    assert [each.times for each in slow] == [1] * 6


def test_what_takes_too_long_is_a_plain_tile_that_says_so(tmp_path: Path) -> None:
    thumbnails, source = Thumbnails(tmp_path / "thumbnails", seconds=0.0), Source(picture(3000, 9))
    for _ in range(2):
        found = run(thumbnails.get(digest_of(source.data), 128, source))
        assert opened(found.data).size == (128, 128)
        assert found.problem is not None
        assert "too long" in found.problem.message
    # It isn't tried again at once, nor kept for later.
    assert source.times == 1
    assert list(tmp_path.rglob("*.webp")) == []
    thumbnails.close()


def test_what_took_too_long_is_tried_again_after_minutes_and_what_shows_nothing_is_not(
    tmp_path: Path,
) -> None:
    now = [1000.0]
    slow, words = Source(picture(3000, 9)), Source(b"words")
    folder = tmp_path / "thumbnails"
    with closing(Thumbnails(folder, seconds=0.0, clock=lambda: now[0])) as thumbnails:
        for passed, times in ((0, 1), (AGAIN_SECONDS - 1, 1), (1, 2), (AGAIN_SECONDS - 1, 2)):
            now[0] += passed
            run(thumbnails.get(digest_of(slow.data), 128, slow))
            assert slow.times == times
    with closing(Thumbnails(folder, clock=lambda: now[0])) as thumbnails:
        for _ in range(2):
            now[0] += 10 * AGAIN_SECONDS
            with pytest.raises(NotFound):
                thumbnail(thumbnails, words)
    assert words.times == 1


@pytest.mark.parametrize(("parts", "is_shown"), [(3, True), (501, False)])
def test_a_mesh_of_too_many_parts_is_not_read(
    shared: Thumbnails, parts: int, is_shown: bool
) -> None:
    found = run(shared.get(f"{parts:064}", 64, Source(triangles(parts))))
    assert (found.problem is None) is is_shown
    if found.problem is not None:
        assert found.problem.message == "too many parts to show: 501"


PLY = b"ply\nformat ascii 1.0\nelement vertex %d\nelement face %d\nend_header\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PLY % (3, 1_000_001), "triangles to show: 1,000,001"),
        (PLY % (4_000_001, 0), "points to show: 4,000,001"),
        (b"v 0 0 0\n" * 3 + b"f 1 2 3\n" * 1_000_001, "triangles to show: 1,000,001"),
        (b"v 0 0 0\n" * 3 + b"g a\nf 1 2 3\n" * 501, "parts to show: 501"),
    ],
    ids=["faces", "points", "lines", "groups"],
)
def test_what_a_shape_claims_is_enough_to_leave_it_unread(
    shared: Thumbnails, data: bytes, words: str
) -> None:
    found = run(shared.get(digest_of(data), 64, Source(data)))
    assert found.problem is not None
    assert words in found.problem.message


def triangles(parts: int) -> bytes:
    """A GLB that shows one triangle several times."""
    corners = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    told = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": list(range(parts))}],
        "scene": 0,
        "nodes": [{"mesh": 0, "translation": [at, 0, 0]} for at in range(parts)],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 3,
                "type": "VEC3",
                "min": [0, 0, 0],
                "max": [1, 1, 0],
            }
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(corners)}],
        "buffers": [{"byteLength": len(corners)}],
    }
    return glb_bytes(told, corners)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_picture_with_broken_exif_data_has_its_thumbnail(form: str) -> None:
    file = BytesIO()
    Image.new("RGB", (40, 20)).save(file, form, exif=b"garbage")
    found = read_picture(file, pixels=PIXELS)
    assert (found.width, found.height) == (40, 20)
    with Image.open(BytesIO(make_thumbnail(file, 20, pixels=PIXELS))) as small:
        assert small.size == (20, 10)
