"""Images are read whatever their mode, refused with reasons, written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import resource
import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nodegraph.errors import InvalidFile, InvalidValue, NumericalError, OutputError
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.images.images import (
    ImageFormat,
    encode_image_file,
    encode_pil,
    picture_size,
    read_frames,
    read_image,
    to_pil,
    write_atomically,
)
from nodegraph.media.images.pillow_files import allow_pixels
from tests.messages import raises
from tests.properties import examples

RED, GREEN = (255, 0, 0), (0, 255, 0)
PICTURE = torch.rand(9, 7, 3, generator=torch.Generator().manual_seed(4))
FORMATS: list[ImageFormat] = ["png", "jpeg", "webp"]


def two_pixels(mode: str = "RGB") -> Image.Image:
    """A red pixel on the left, a green one on the right."""
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), GREEN)
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "png"),
        ("P", "png"),
        ("P", "gif"),
        ("RGB", "bmp"),
        ("RGBA", "tiff"),
        ("CMYK", "tiff"),
        ("RGB", "ppm"),
        ("RGBA", "webp"),
        ("RGB", "tga"),
    ],
)
def test_colours_are_read_from_every_mode(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    two_pixels(mode).save(path, **({"lossless": True} if suffix == "webp" else {}))

    image, mask = read_image(path)

    assert image.dtype == mask.dtype == torch.float32
    assert image.tolist() == [[[[1, 0, 0], [0, 1, 0]]]]
    assert mask.tolist() == [[[0, 0]]]


@pytest.mark.parametrize("mode", ["L", "1", "I;16", "I", "F"])
def test_grays_become_three_channels(tmp_path: Path, mode: str) -> None:
    values = {
        "L": [0, 51, 255],
        "1": [0, 1, 1],
        "I;16": [0, 13107, 65535],
        "I": [0, 13107, 65535],
        "F": [0, 0.2, 1],
    }[mode]
    gray = Image.new(mode, (3, 1))
    for x, value in enumerate(values):
        gray.putpixel((x, 0), value if mode != "1" else value * 255)
    path = tmp_path / "gray.tiff"
    gray.save(path)

    image, _ = read_image(path)

    middle = 1.0 if mode == "1" else 0.2
    expected = torch.tensor([0, middle, 1])[None, None, :, None].expand(1, 1, 3, 3)
    torch.testing.assert_close(image, expected)


def test_sixteen_bit_grays_keep_their_depth(tmp_path: Path) -> None:
    levels = np.array([[1000, 1001, 1002]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")

    image, _ = read_image(tmp_path / "deep.png")

    assert len(set(image[0, 0, :, 0].tolist())) == 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_the_mask_is_one_where_the_picture_is_transparent(tmp_path: Path, mode: str) -> None:
    picture = two_pixels("RGBA")
    picture.putalpha(Image.frombytes("L", (2, 1), b"\x00\xff"))
    picture.convert(mode).save(tmp_path / "clear.png")

    _, mask = read_image(tmp_path / "clear.png")

    assert mask.tolist() == [[[1, 0]]]


def test_a_transparent_palette_entry_counts(tmp_path: Path) -> None:
    picture = two_pixels().quantize(2)
    picture.save(tmp_path / "clear.gif", transparency=picture.getpixel((0, 0)))

    _, mask = read_image(tmp_path / "clear.gif")

    assert mask.tolist() == [[[1, 0]]]


def test_a_turned_photo_is_set_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn by 90 degrees to the right.
    two_pixels().resize((32, 16), Image.Resampling.NEAREST).save(
        tmp_path / "turned.jpg", exif=exif, quality=100, subsampling=0
    )

    image, mask = read_image(tmp_path / "turned.jpg")

    assert image.shape == (1, 32, 16, 3)
    assert mask.shape == (1, 32, 16)
    torch.testing.assert_close(image[0, 0, 0], torch.tensor([1.0, 0, 0]), rtol=0, atol=0.1)
    torch.testing.assert_close(image[0, -1, 0], torch.tensor([0, 1.0, 0]), rtol=0, atol=0.1)


BROKEN_EXIF = {"no TIFF": b"garbage", "short": b"II*\0", "prefixed": b"Exif\0\0garbage"}


@pytest.mark.parametrize("broken", BROKEN_EXIF)
@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
def test_a_picture_with_broken_exif_data_is_read_as_it_lies(
    tmp_path: Path, kind: str, broken: str
) -> None:
    path = tmp_path / f"photo.{kind}"
    two_pixels().save(path, exif=BROKEN_EXIF[broken], lossless=True)
    assert picture_size(path) == (2, 1)
    assert read_image(path)[0].shape == (1, 1, 2, 3)


def test_an_animation_gives_its_first_picture(tmp_path: Path) -> None:
    second = Image.new("RGB", (2, 1), (0, 0, 255))
    two_pixels().save(tmp_path / "moving.gif", save_all=True, append_images=[second])

    assert read_image(tmp_path / "moving.gif")[0].tolist() == [[[[1, 0, 0], [0, 1, 0]]]]


def test_a_missing_file_gets_the_nearest_name(tmp_path: Path) -> None:
    two_pixels().save(tmp_path / "apple.png")

    with raises(InvalidFile):
        read_image(tmp_path / "aple.png")
    with raises(InvalidFile):
        read_image(tmp_path / "nowhere" / "apple.png")


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "PostScript"),
        (b"  <!DOCTYPE html><p>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b'{"format": "nodegraph/1"}', "JSON"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"\0\0\0\x18ftypheic", "an image (HEIC)"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "an image (HEIC)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"just words", "plain text"),
        (bytes(range(200)), "unknown binary data"),
        (b"RIFF\x04\0\0\0WAVE", "sound"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, title: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)

    with raises(InvalidFile):
        read_image(path)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with raises(InvalidFile):
        read_image(tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_a_truncated_picture_is_named(tmp_path: Path, format: ImageFormat) -> None:
    path = tmp_path / f"cut.{format}"
    data = encode_image_file(torch.rand(64, 64, 3), format)
    path.write_bytes(data[: len(data) // 2])

    with raises(InvalidFile):
        read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Of damaged EXIF that it skips.
@pytest.mark.parametrize("length", [22, 60, None])
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("png", {}),
        ("jpeg", {}),
        ("webp", {}),
        ("webp", {"lossless": True}),
        ("avif", {}),
        ("tiff", {"compression": "tiff_lzw"}),
        ("tiff", {}),
        ("gif", {}),
        ("qoi", {}),
        ("bmp", {}),
    ],
)
def test_a_picture_that_is_cut_short_is_told_in_our_words(
    tmp_path: Path, format: str, options: dict[str, object], length: int | None
) -> None:
    path = tmp_path / f"cut.{format}"
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(noise).save(path, **options)
    content = path.read_bytes()
    path.write_bytes(content[: length or len(content) // 2])

    with raises(InvalidFile) as raised:
        read_image(path)
    assert "is damaged or truncated" in str(raised.value)


def test_a_small_file_that_claims_a_huge_picture_is_refused(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0)
        + b"IDAT"
        + struct.pack(">I", zlib.crc32(b"IDAT"))
    )

    with raises(InvalidFile):
        read_image(path)


def test_the_pixel_limit_can_be_lower(tmp_path: Path) -> None:
    two_pixels().save(tmp_path / "two.png")

    with raises(InvalidFile, given="2 x 1 pixels"):
        read_image(tmp_path / "two.png", max_pixels=1)


def late_exif_png(path: Path, *, is_deep: bool = False) -> Path:
    """One that lies on its side, as EXIF data say that stand behind the pixels."""
    content = encode_image_file(torch.rand(1, 2, 5, 3), bits=16 if is_deep else 8)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = b"eXIf" + exif.tobytes()[6:]
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    path.write_bytes(content[:-12] + chunk + content[-12:])
    return path


@pytest.mark.parametrize("is_deep", [False, True])
def test_exif_behind_the_pixels_of_a_png_counts(tmp_path: Path, is_deep: bool) -> None:
    path = late_exif_png(tmp_path / "late.png", is_deep=is_deep)
    assert picture_size(path) == (2, 5)
    assert read_image(path)[0].shape == (1, 5, 2, 3)


@pytest.mark.parametrize("content", [b"", b"P", b"\x89", b"B", b"RIFF", b"II", b"\xff\xd8\xff"])
def test_the_beginning_of_a_picture_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with raises(InvalidFile):
        picture_size(tmp_path / "a.png")


def huge_png(path: Path, texts: dict[str, str]) -> Path:
    """A file that claims 60000 × 60000 pixels, and has none."""
    content = encode_image_file(torch.rand(1, 2, 5, 3), metadata=texts)
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    return path


def test_texts_of_a_picture_of_any_size_are_read(tmp_path: Path) -> None:
    path = huge_png(tmp_path / "huge.png", {"workflow": "{}"})
    assert read_metadata(path) == {"workflow": "{}"}
    data = bytearray(encode_image_file(torch.rand(1, 2, 5, 3), "jpeg", {"workflow": "{}"}))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", 60_000, 60_000)
    (tmp_path / "huge.jpg").write_bytes(data)
    assert read_metadata(tmp_path / "huge.jpg") == {"workflow": "{}"}


def huge_webp(path: Path) -> Path:
    """A file that claims 16000 × 12000 pixels, with texts; few of the pixels are there."""
    data = bytearray(encode_image_file(torch.rand(1, 2, 5, 3), "webp", {"workflow": "{}"}))
    canvas = data.index(b"VP8X") + 12
    data[canvas : canvas + 6] = b"".join(
        (side - 1).to_bytes(3, "little") for side in (16000, 12000)
    )
    frame = data.index(b"\x9d\x01\x2a") + 3
    data[frame : frame + 4] = struct.pack("<HH", 16000, 12000)
    path.write_bytes(data)
    return path


def huge_gif(path: Path) -> Path:
    """A file whose first image reaches far beyond its screen, and has few of its pixels."""
    buffer = BytesIO()
    Image.new("P", (4, 4)).save(buffer, "GIF", comment=b'{"workflow": "{}"}')
    data = bytearray(buffer.getvalue())
    extent = data.index(b",\0\0\0\0\4\0\4\0") + 5
    data[extent : extent + 4] = struct.pack("<HH", 16000, 12000)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("made", [huge_webp, huge_gif])
def test_what_pillow_itself_finds_too_large_is_refused_like_any_picture(
    tmp_path: Path, made: Callable[[Path], Path]
) -> None:
    path, before = made(tmp_path / "huge"), Image.MAX_IMAGE_PIXELS
    for read in (picture_size, read_image, read_frames):
        with raises(
            InvalidFile, given="16000 x 12000 pixels", expected="at most 89,478,485 pixels"
        ):
            read(path)
    assert picture_size(path, max_pixels=16000 * 12000) == (16000, 12000)
    assert read_metadata(path) == {"workflow": "{}"}
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_picture_beyond_the_others_of_an_animation_is_refused(tmp_path: Path, side: int) -> None:
    path = tmp_path / "late.gif"
    first, second = (Image.new("RGB", (4, 4), color) for color in (RED, GREEN))
    first.save(path, "GIF", save_all=True, append_images=[second])
    data = bytearray(path.read_bytes())
    extent = data.rindex(b",\0\0\0\0\4\0\4\0") + 5
    data[extent : extent + 4] = struct.pack("<HH", side, side)
    path.write_bytes(data)

    assert read_image(path)[0].shape == (1, 4, 4, 3)
    with raises(InvalidFile):
        read_frames(path)


def test_a_page_beyond_the_others_of_a_file_is_refused(tmp_path: Path) -> None:
    pages = [Image.new("L", (side, side)) for side in (2, 9)]
    pages[0].save(tmp_path / "late.tiff", save_all=True, append_images=pages[1:])
    with raises(InvalidFile, given="9 x 9 pixels", expected="at most 80 pixels"):
        read_image(tmp_path / "late.tiff", frame=1, max_pixels=80)


def test_pillows_own_limit_is_back_once_nobody_needs_another() -> None:
    own = Image.MAX_IMAGE_PIXELS
    assert own is not None
    first, second, less = (allow_pixels(pixels) for pixels in (2 * own, 3 * own, 1))
    for each in (first, second, less):
        each.__enter__()
    second.__exit__(None, None, None)
    assert 2 * own == Image.MAX_IMAGE_PIXELS
    first.__exit__(None, None, None)
    assert own == Image.MAX_IMAGE_PIXELS
    less.__exit__(None, None, None)
    assert own == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("theirs", [None, 7_000, 3_000, 5_000])
def test_a_limit_that_is_set_while_pictures_are_read_stays(
    monkeypatch: pytest.MonkeyPatch, theirs: int | None
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    with allow_pixels(5_000):
        Image.MAX_IMAGE_PIXELS = theirs
        with allow_pixels(4_000):
            assert Image.MAX_IMAGE_PIXELS is None or Image.MAX_IMAGE_PIXELS >= 5_000
    assert theirs == Image.MAX_IMAGE_PIXELS
    with allow_pixels(float("inf")):
        Image.MAX_IMAGE_PIXELS = theirs
    assert theirs == Image.MAX_IMAGE_PIXELS


def test_the_pixel_limit_can_be_higher(tmp_path: Path) -> None:
    path = tmp_path / "large.ppm"
    path.write_bytes(b"P6 60000 60000 255\n")

    with raises(InvalidFile):
        picture_size(path)
    assert picture_size(path, max_pixels=60_000**2) == (60_000, 60_000)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Of damaged EXIF that it skips.
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.integers(0), st.binary(min_size=1))))
def test_damaged_files_raise_errors_of_ours_only(
    tmp_path_factory: pytest.TempPathFactory,
    kind: ImageFormat,
    damages: list[tuple[int, bytes]],
) -> None:
    content = bytearray(encode_image_file(PICTURE, kind, {"workflow": "{}"}))
    for place, damage in damages:
        start = place % len(content)
        content[start : start + len(damage)] = damage
    path = tmp_path_factory.mktemp("fuzz") / f"picture.{kind}"
    path.write_bytes(bytes(content))

    for read in (read_image, read_metadata):
        with suppress(InvalidFile):
            read(path)


def test_eight_bit_pictures_survive_writing_and_reading(tmp_path: Path) -> None:
    levels = torch.randint(0, 256, (1, 9, 7, 3)).float() / 255
    write_atomically(tmp_path / "a.png", encode_image_file(levels))

    assert torch.equal(read_image(tmp_path / "a.png")[0], levels)


def test_values_are_rounded_and_clipped() -> None:
    values = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 2.0])
    image = values[None, :, None].expand(1, 5, 3)

    assert [pixel[0] for pixel in np.asarray(to_pil(image))[0]] == [0, 0, 1, 255, 255]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_channels_decide_the_mode(channels: int, mode: str) -> None:
    assert to_pil(torch.zeros(1, 2, 3, channels)).mode == mode
    assert to_pil(torch.zeros(2, 3, channels)).size == (3, 2)


@pytest.mark.parametrize("shape", [(2, 2, 2, 3), (2, 2), (2, 2, 5), (0, 2, 3)])
def test_what_is_no_single_picture_is_refused(shape: tuple[int, ...]) -> None:
    with raises(InvalidValue):
        to_pil(torch.zeros(shape))


def test_pixels_that_are_not_numbers_are_told() -> None:
    with pytest.raises(NumericalError):
        to_pil(torch.full((2, 2, 3), float("nan")))


@pytest.mark.parametrize("format", FORMATS)
def test_texts_are_kept_and_bytes_repeat(tmp_path: Path, format: ImageFormat) -> None:
    image = torch.rand(16, 16, 3)
    texts = {
        "workflow": json.dumps({"prompt": "Fuchs 狐 🦊 \n"}, ensure_ascii=False),
        "nodegraph": "0.1.0",
    }

    data = encode_image_file(image, format, texts, quality=80)

    assert data == encode_image_file(image, format, texts, quality=80)
    path = tmp_path / "picture"
    path.write_bytes(data)
    assert read_metadata(path) == texts
    assert read_image(path)[0].shape == (1, 16, 16, 3)


def test_foreign_metadata_is_no_fault(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0hello"
    two_pixels().save(tmp_path / "photo.jpg", exif=exif)

    assert read_metadata(tmp_path / "photo.jpg") == {}


@pytest.mark.parametrize(
    ("format", "quality"),
    [("gif", 90), ("jpeg", 0), ("jpeg", 101)],
)
def test_settings_out_of_range_are_refused(format: ImageFormat, quality: int) -> None:
    with raises(InvalidValue):
        encode_image_file(torch.zeros(2, 2, 3), format, quality=quality)


def test_jpeg_drops_transparency() -> None:
    assert encode_image_file(torch.zeros(2, 2, 4), "jpeg").startswith(b"\xff\xd8")


def test_pillow_pictures_are_encoded_too() -> None:
    assert encode_pil(two_pixels()).startswith(b"\x89PNG")


def test_an_existing_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    write_atomically(path, b"new")

    assert path.read_bytes() == b"new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_leaves_the_old_file_and_says_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with raises(OutputError) as caught:
        write_atomically(path, b"new")

    assert isinstance(caught.value.__cause__, OSError)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits on file size are a POSIX matter")
def test_a_file_over_the_limit_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match=r"File too large.*5.0 kB to write"):
            write_atomically(tmp_path / "a.png", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with raises(OutputError):
        write_atomically(tmp_path / "nowhere" / "a.png", b"new")
