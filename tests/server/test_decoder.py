"""Pictures are decoded in a process that is bounded, and replaced when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from nodegraph.errors import InvalidFile
from nodegraph.server.content.files.decoder import PictureDecoder
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.sending import OpenFile
from tests.server.resources import picture

PIXELS = 64_000_000


@pytest.fixture
def decoder() -> Iterator[PictureDecoder]:
    found = PictureDecoder()
    yield found
    found.close()


def opened(data: bytes) -> OpenFile:
    return OpenFile(BytesIO(data), len(data), "")


def thumbnail(decoder: PictureDecoder, data: bytes) -> tuple[int, int]:
    made = decoder.thumbnail(opened(data), 64, pixels=PIXELS)
    with Image.open(BytesIO(made)) as found:
        return found.size


def process(decoder: PictureDecoder) -> int | None:
    return None if decoder._process is None else decoder._process.pid


def test_one_process_makes_many_and_tells_faults_as_this_one_would(decoder: PictureDecoder) -> None:
    assert thumbnail(decoder, picture(128, 64)) == (64, 32)
    first = process(decoder)
    with pytest.raises(InvalidFile, match="no intact picture"):
        thumbnail(decoder, b"GIF89a")
    with pytest.raises(TooLarge, match="too many pixels") as caught:
        decoder.thumbnail(opened(picture(128, 64)), 64, pixels=100)
    assert caught.value.problem.given == "128 × 64"
    assert thumbnail(decoder, picture(64, 64)) == (64, 64)
    assert process(decoder) == first


def test_a_process_that_died_is_replaced(decoder: PictureDecoder) -> None:
    thumbnail(decoder, picture(8, 8))
    assert decoder._process is not None
    decoder._process.kill()
    decoder._process.wait()
    assert thumbnail(decoder, picture(8, 8)) == (8, 8)


def test_a_picture_that_takes_too_long_ends_the_process_and_nothing_else() -> None:
    decoder = PictureDecoder(seconds=0.0)
    with pytest.raises(InvalidFile, match="no intact picture"):
        thumbnail(decoder, large(4000))
    assert process(decoder) is None


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs bounds as POSIX has them")
def test_a_picture_that_takes_too_much_memory_is_refused() -> None:
    decoder = PictureDecoder(memory=300 << 20)
    with pytest.raises((TooLarge, InvalidFile)):
        thumbnail(decoder, large(6000))
    assert thumbnail(decoder, picture(8, 8)) == (8, 8)
    decoder.close()


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_what_large_pictures_took_is_given_back(decoder: PictureDecoder) -> None:
    data = large(4000)
    before = resident("self")
    for _ in range(3):
        assert thumbnail(decoder, data) == (64, 64)
    kept = process(decoder)
    assert kept is None or resident(kept) < 128 << 20
    assert resident("self") - before < 40 << 20


def large(side: int) -> bytes:
    made = BytesIO()
    Image.new("RGBA", (side, side)).save(made, "PNG", compress_level=1)
    return made.getvalue()


def resident(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
