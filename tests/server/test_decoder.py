"""Images are decoded in a process that is bounded, and replaced when it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePath

import pytest
from PIL import Image

from nodegraph.errors import InvalidFile
from nodegraph.server.content.files.decoder import FileDecoder
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.responses import OpenFile
from tests.messages import raises
from tests.results.making import MAKERS
from tests.server.resources import picture

PIXELS = 64_000_000


@pytest.fixture
def decoder() -> Iterator[FileDecoder]:
    found = FileDecoder()
    yield found
    found.close()


def opened(data: bytes) -> OpenFile:
    return OpenFile(BytesIO(data), len(data), "")


def thumbnail(decoder: FileDecoder, data: bytes) -> tuple[int, int]:
    made = decoder.thumbnail(opened(data), 64, pixels=PIXELS)
    with Image.open(BytesIO(made)) as found:
        return found.size


def process(decoder: FileDecoder) -> int | None:
    return None if decoder._process is None else decoder._process.pid


def test_one_process_makes_many_and_tells_faults_as_this_one_would(decoder: FileDecoder) -> None:
    assert thumbnail(decoder, picture(128, 64)) == (64, 32)
    first = process(decoder)
    with raises(InvalidFile):
        thumbnail(decoder, b"GIF89a")
    with raises(TooLarge, given="128 \u00d7 64"):
        decoder.thumbnail(opened(picture(128, 64)), 64, pixels=100)
    assert thumbnail(decoder, picture(64, 64)) == (64, 64)
    assert process(decoder) == first


def test_an_image_is_written_in_another_format(decoder: FileDecoder) -> None:
    made = BytesIO()
    Image.new("RGBA", (128, 64), (255, 0, 0, 0)).save(made, "PNG")
    data = decoder.convert(
        opened(made.getvalue()), {"format": "webp", "quality": 90, "side": 32, "pixels": PIXELS}
    )
    with Image.open(BytesIO(data)) as shown:
        assert (shown.format, shown.size, shown.has_transparency_data) == ("WEBP", (32, 16), True)
    data = decoder.convert(
        opened(made.getvalue()), {"format": "jpeg", "quality": 90, "side": None, "pixels": PIXELS}
    )
    with Image.open(BytesIO(data)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (128, 64))
        assert shown.getpixel((0, 0)) == (255, 255, 255)
    with raises(InvalidFile):
        decoder.convert(
            opened(b"no image"), {"format": "png", "quality": 90, "side": None, "pixels": PIXELS}
        )
    with raises(TooLarge, given="128 \u00d7 64"):
        decoder.convert(
            opened(made.getvalue()), {"format": "png", "quality": 90, "side": None, "pixels": 100}
        )


def test_a_process_that_died_is_replaced(decoder: FileDecoder) -> None:
    thumbnail(decoder, picture(8, 8))
    assert decoder._process is not None
    decoder._process.kill()
    decoder._process.wait()
    assert thumbnail(decoder, picture(8, 8)) == (8, 8)


def test_a_picture_is_tried_again_when_its_process_is_ended_from_outside(
    decoder: FileDecoder,
) -> None:
    class Ending(BytesIO):
        """Ends the process as it is read for the first time."""

        has_ended = False

        def read(self, size: int | None = -1, /) -> bytes:
            if not self.has_ended and decoder._process is not None:
                self.has_ended = True
                decoder._process.kill()
                decoder._process.wait()
            return super().read(size)

    data = picture(8, 8)
    made = decoder.thumbnail(OpenFile(Ending(data), len(data), ""), 64, pixels=PIXELS)
    with Image.open(BytesIO(made)) as image:
        assert image.size == (8, 8)


def test_a_picture_that_takes_too_long_ends_the_process_and_nothing_else() -> None:
    decoder = FileDecoder(seconds=0.0)
    with raises(TooLarge, given="more than 0 s"):
        thumbnail(decoder, large(4000))
    assert process(decoder) is None


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs bounds as POSIX has them")
def test_a_picture_that_takes_too_much_memory_is_refused() -> None:
    decoder = FileDecoder(memory=300 << 20)
    with pytest.raises((TooLarge, InvalidFile)):
        thumbnail(decoder, large(6000))
    assert thumbnail(decoder, picture(8, 8)) == (8, 8)
    decoder.close()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_what_large_pictures_took_is_given_back(decoder: FileDecoder) -> None:
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


@pytest.mark.parametrize(
    "name",
    [
        "made.flac",
        pytest.param("made.glb", marks=pytest.mark.slow),
        pytest.param("made.sdf", marks=pytest.mark.slow),
        "made.json",
    ],
)
def test_what_is_no_picture_is_drawn_and_gives_its_texts(decoder: FileDecoder, name: str) -> None:
    data = MAKERS[name]({"workflow": '{"title": "T"}'})
    assert max(thumbnail(decoder, data)) == 64
    suffix = PurePath(name).suffix
    assert decoder.texts(opened(data), suffix)["workflow"] == '{"title": "T"}'
    with pytest.raises(InvalidFile) as caught:
        thumbnail(decoder, data[:-30] if name != "made.sdf" else data[:60])
    assert str(Path(decoder._folder)) not in str(caught.value)
    assert list(Path(decoder._folder).iterdir()) == []


def test_a_name_leads_nowhere(decoder: FileDecoder) -> None:
    data = MAKERS["made.flac"]({"workflow": "{}"})
    for suffix in ("/../../x", ".a/b", "", ".flac\0", "." + "a" * 500):
        assert decoder.texts(opened(data), suffix)["workflow"] == "{}"
    assert decoder.texts(opened(b"words"), ".txt") == {}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pipes can't be waited for there")
def test_a_process_that_ended_for_want_of_work_is_replaced(
    decoder: FileDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = MAKERS["made.flac"]({})
    thumbnail(decoder, data)
    idle = decoder._process
    assert idle is not None
    assert idle.stdin is not None
    idle.stdin.close()  # nobody asks any more
    idle.wait(10)
    monkeypatch.setattr(idle, "poll", lambda: None)  # it isn't noticed in time
    assert max(thumbnail(decoder, data)) == 64
    assert decoder._process is not idle


def test_transparent_pixels_are_found_in_images_of_any_kind(decoder: FileDecoder) -> None:
    def is_transparent(mode: str, color: object, **options: object) -> bool:
        made = BytesIO()
        Image.new(mode, (8, 8), color).save(made, "PNG", **options)  # type: ignore[arg-type]
        return decoder.is_transparent(opened(made.getvalue()), pixels=PIXELS)

    assert is_transparent("RGBA", (0, 0, 0, 254))
    assert is_transparent("LA", (0, 0))
    assert is_transparent("P", 0, transparency=0)
    assert not is_transparent("RGBA", (0, 0, 0, 255))
    assert not is_transparent("RGB", "white")
    assert not is_transparent("I;16", 0)
