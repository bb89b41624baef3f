"""What files hold comes in as it is meant: depth, profiles, print colors, frames."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.images.images import (
    AnimationFormat,
    ImageFormat,
    encode_animation,
    encode_image_file,
    read_frames,
    read_image,
)
from tests.messages import raises

DEEP = torch.rand(1, 5, 7, 4, generator=torch.Generator().manual_seed(1))
STEPS = torch.randint(0, 256, (3, 6, 8, 3), generator=torch.Generator().manual_seed(2)) / 255


def put(folder: Path, content: bytes, name: str = "picture") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_written_and_read(channels: int, tmp_path: Path) -> None:
    given = DEEP[..., :channels]
    path = put(tmp_path, encode_image_file(given[0], metadata={"workflow": "{}"}, bits=16))

    image, mask = read_image(path)

    colors = given[..., :3].expand(1, 5, 7, 3)
    torch.testing.assert_close(image, colors, rtol=0, atol=0.51 / 65535)
    assert not torch.equal(image, (colors * 255).round() / 255)
    if channels == 4:
        torch.testing.assert_close(mask, 1 - given[..., 3], rtol=0, atol=0.51 / 65535)
    assert read_metadata(path) == {"workflow": "{}"}


def test_16_bits_lie_as_the_file_says(tmp_path: Path) -> None:
    content = encode_image_file(DEEP[0, ..., :3], bits=16)
    exif = Image.Exif()
    exif[0x0112] = 6
    chunk = exif.tobytes().removeprefix(b"Exif\0\0")
    end = content.index(b"IDAT") - 4
    part = struct.pack(">I", len(chunk)) + b"eXIf" + chunk
    part += struct.pack(">I", zlib.crc32(b"eXIf" + chunk))
    path = put(tmp_path, content[:end] + part + content[end:])

    image, _ = read_image(path)

    assert image.shape == (1, 7, 5, 3)
    torch.testing.assert_close(image, DEEP[..., :3].rot90(-1, (1, 2)), rtol=0, atol=1e-5)


def deep_gray(levels: NDArray[Any], color_type: int, clear: int | None = None) -> bytes:
    """A PNG of 16 bits: gray (0) or gray with alpha (4), and the level that is transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = levels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    if clear is not None:
        parts.insert(1, chunk(b"tRNS", struct.pack(">H", clear)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("frame", [0, -1])
def test_grey_of_16_bits_may_be_transparent(frame: int, tmp_path: Path) -> None:
    levels = np.array([[0, 1, 257], [300, 65534, 65535]], np.uint16)
    colors = torch.from_numpy(levels / np.float32(65535))[None, ..., None].expand(1, 2, 3, 3)

    image, mask = read_image(put(tmp_path, deep_gray(levels, 0, clear=300)), frame=frame)
    torch.testing.assert_close(image, colors, rtol=0, atol=1e-7)
    assert mask[0].tolist() == [[0, 0, 0], [1, 0, 0]]

    both = np.stack([levels, 65535 - levels], axis=-1)
    image, mask = read_image(put(tmp_path, deep_gray(both, 4)), frame=frame)
    torch.testing.assert_close(image, colors, rtol=0, atol=1e-7)
    torch.testing.assert_close(mask, colors[..., 0], rtol=0, atol=1e-7)


def test_the_only_frame_is_as_deep_as_the_picture(tmp_path: Path) -> None:
    path = put(tmp_path, encode_image_file(DEEP[0], bits=16))
    whole, mask = read_image(path)
    assert torch.equal(read_image(path, frame=-1)[0], whole)
    assert torch.equal(read_frames(path)[1], mask)


def test_whole_numbers_of_another_range_are_no_brightness(tmp_path: Path) -> None:
    deep = np.linspace(0, 2**31 - 1, 12).reshape(3, 4).astype(np.int32)
    Image.fromarray(deep).save(tmp_path / "deep.tiff")
    with raises(InvalidValue, port="path"):
        read_image(tmp_path / "deep.tiff")
    Image.fromarray(deep // 2**15).save(tmp_path / "fits.tiff")
    assert float(read_image(tmp_path / "fits.tiff")[0].max()) == 1


def test_16_bits_are_for_png(tmp_path: Path) -> None:
    with raises(InvalidValue, port="bits", given="webp"):
        encode_image_file(DEEP[0], "webp", bits=16)


def test_a_profile_leads_to_srgb(tmp_path: Path) -> None:
    # A profile in which red and blue are exchanged would be odd: gray with another gamma is enough.
    lab = Image.new("LAB", (4, 4), (128, 128 + 60, 128))
    lab.save(tmp_path / "lab.tiff")
    image, _ = read_image(tmp_path / "lab.tiff")
    red, green, blue = image[0, 0, 0].tolist()
    assert red > blue > green


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_a_broken_profile_hurts_nothing(mode: str, tmp_path: Path) -> None:
    content = BytesIO()
    Image.new(mode, (3, 2), 0).save(content, "TIFF", icc_profile=b"no profile")
    image, _ = read_image(put(tmp_path, content.getvalue()))
    assert image.shape == (1, 2, 3, 3)


def test_pictures_in_srgb_keep_their_bits(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = BytesIO()
    pixels = (STEPS[0] * 255).round().byte().numpy()
    Image.fromarray(pixels).save(content, "PNG", icc_profile=profile)
    assert torch.equal(read_image(put(tmp_path, content.getvalue()))[0], STEPS[:1])


_P3 = {
    "rXYZ": (0.51512, 0.24120, -0.00105),
    "gXYZ": (0.29198, 0.69225, 0.04189),
    "bXYZ": (0.15710, 0.06657, 0.78407),
}
"""Primaries of Display P3, adapted to D50."""


def profile_like_srgb(gamma: float = 2.4, name: str = "sRGB", **primaries: Any) -> bytes:
    """The profile of sRGB with another curve, other primaries or another word in its texts."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", data, 128)
    for at in range(132, 132 + 12 * count, 12):
        tag, start, size = struct.unpack_from(">4sII", data, at)
        if tag.decode() in primaries:
            values = [round(value * 65536) for value in primaries[tag.decode()]]
            struct.pack_into(">3i", data, start + 8, *values)
        elif tag == b"rTRC":  # which green and blue share
            struct.pack_into(">i", data, start + 12, round(gamma * 65536))
        elif tag == b"desc":
            text = data[start : start + size]
            own = text.replace("sRGB".encode("utf-16-be"), name.encode("utf-16-be"))
            data[start : start + size] = own
    return bytes(data)


@pytest.mark.parametrize(
    ("profile", "levels"),
    [
        (profile_like_srgb(**_P3), (217, 42, 52)),
        (profile_like_srgb(gamma=1.8), (212.6, 88.1, 88.1)),
        (profile_like_srgb(name="none"), (200, 60, 60)),
    ],
)
def test_a_profile_counts_by_its_primaries_and_curve_not_by_its_name(
    profile: bytes, levels: tuple[float, float, float], tmp_path: Path
) -> None:
    content = BytesIO()
    Image.new("RGB", (4, 4), (200, 60, 60)).save(content, "PNG", icc_profile=profile)
    image, _ = read_image(put(tmp_path, content.getvalue()))
    found = (image[0, 0, 0] * 255).tolist()
    assert found == pytest.approx(levels, abs=1)


def test_16_bits_are_kept_whatever_a_profile_of_srgb_is_called(tmp_path: Path) -> None:
    content = encode_image_file(DEEP[0, ..., :3], "png", bits=16)
    profile = zlib.compress(profile_like_srgb(name="none"))
    chunk = b"iCCPx\0\0" + profile
    head = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    image, _ = read_image(put(tmp_path, content[:33] + head + content[33:]))
    assert torch.equal(image, (DEEP[..., :3] * 65535).round() / 65535)


def test_print_colours_without_a_profile_become_red_green_blue(tmp_path: Path) -> None:
    content = BytesIO()
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(content, "JPEG", quality=100)
    image, _ = read_image(put(tmp_path, content.getvalue()))
    assert image[0, 0, 0].tolist() == pytest.approx([1, 0, 0], abs=0.05)


@pytest.mark.parametrize(("format", "tolerance"), [("webp", 0), ("png", 0), ("gif", 0.2)])
def test_an_animation_comes_back_as_a_batch(
    format: AnimationFormat, tolerance: float, tmp_path: Path
) -> None:
    texts = {"workflow": "{}"}
    content = encode_animation(STEPS, 5, texts, 100, format=format)
    path = put(tmp_path, content)

    images, masks, rate = read_frames(path)

    assert images.shape == STEPS.shape
    assert float((images - STEPS).abs().mean()) <= tolerance
    assert masks.shape == (3, 6, 8)
    assert rate == pytest.approx(5)
    assert torch.equal(read_image(path, frame=-1)[0], images[2:])
    assert torch.equal(read_frames(path, 0, 5, every=2)[0], images[::2])
    assert read_metadata(path)["workflow"] == "{}"
    with raises(InvalidValue, port="frame", given="3"):
        read_image(path, frame=3)


@pytest.mark.parametrize("format", ["webp", "png", "gif"])
def test_an_animation_lasts_as_long_as_its_rate_says(
    format: AnimationFormat, tmp_path: Path
) -> None:
    """Containers count in whole hundredths or thousandths of a second, which 30 a second are no."""
    frames = torch.stack([torch.full((4, 4, 3), at / 31) for at in range(31)])
    path = put(tmp_path, encode_animation(frames, 30, format=format))
    assert read_frames(path)[2] == pytest.approx(30, rel=0.01)


def test_pages_of_other_sizes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "pages.tiff"
    Image.new("RGB", (3, 2)).save(path, save_all=True, append_images=[Image.new("RGB", (4, 4))])
    assert read_image(path, frame=1)[0].shape == (1, 4, 4, 3)
    with raises(InvalidFile, given="3 x 2, 4 x 4"):
        read_frames(path)


def test_frames_without_room_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, encode_animation(STEPS, 5))
    monkeypatch.setattr(room, "total_memory", lambda: 100)
    with raises(InvalidValue, port="path", given="8 x 6 pixels, 3 of them: about 2.3 kB"):
        read_frames(path)


@pytest.mark.parametrize("format", ["avif", "tiff"])
def test_other_formats_carry_the_workflow(format: ImageFormat, tmp_path: Path) -> None:
    flat = torch.full((8, 8, 3), 0.4)
    path = put(tmp_path, encode_image_file(flat, format, {"workflow": '{"nodes": {}}'}, 90))
    assert read_metadata(path) == {"workflow": '{"nodes": {}}'}
    torch.testing.assert_close(read_image(path)[0][0], flat, rtol=0, atol=0.02)


def test_palettes_with_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putdata([0, 1])
    content = BytesIO()
    picture.save(content, "PNG", transparency=1)
    image, mask = read_image(put(tmp_path, content.getvalue()))
    assert image[0, 0, 0].tolist() == [1, 0, 0]
    assert mask[0, 0].tolist() == [0, 1]
    assert np.isfinite(image.numpy()).all()


def test_numbers_that_are_no_brightness_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "heights.tif"
    heights = np.linspace(3, 246, 24, dtype=np.float32).reshape(4, 6)
    Image.fromarray(heights).save(path)
    with raises(InvalidValue, port="path", given="numbers from 3 to 246"):
        read_image(path)
    Image.fromarray(heights / 200).save(path)
    image, _ = read_image(path)
    torch.testing.assert_close(image[0, ..., 0], torch.from_numpy(heights / 200).clamp(0, 1))
