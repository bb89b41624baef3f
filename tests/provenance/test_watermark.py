"""The watermark: read after changes of a picture, and not in pictures without one."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.provenance.watermark import embed_watermark, read_watermark
from nodegraph.provenance.watermarked_files import read_file_watermark, watermark_file
from tests.provenance.files import image_bytes, png_with

PAYLOAD = 0xC0FF_EE42
FIRST = [-1.1006, 0.0196, 1.2635, 1.8916]
LATER = [-0.4891, -0.2399, -0.1818, -0.2331]
"""Values of the tile of 2026."""
Floats = NDArray[np.float32]


def clouds(seed: int, side: int = 512) -> Floats:
    """A picture with the spectrum of photographs."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    noise = np.fft.rfft2(random.standard_normal((side, side)))
    cloud = np.fft.irfft2(noise / np.maximum(frequency, 1 / side) ** 1.4, (side, side))
    values = np.clip(cloud / (cloud.std() * 5) + 0.5, 0, 1)
    return np.repeat(values[..., None], 3, axis=2).astype(np.float32)


def to_image(values: Floats) -> Image.Image:
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def to_values(image: Image.Image) -> Floats:
    return np.asarray(image.convert("RGB"), np.float32) / np.float32(255)


def jpeg(image: Image.Image, quality: int = 75) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.fixture(scope="module")
def marked() -> Image.Image:
    return to_image(embed_watermark(clouds(1), PAYLOAD))


def test_a_watermark_is_hardly_seen() -> None:
    original = clouds(1)
    changed = embed_watermark(original, PAYLOAD)
    assert changed.dtype == np.float32
    assert -10 * np.log10(np.mean((changed - original) ** 2)) > 36
    assert np.abs(changed - original).max() < 0.08


def test_an_unchanged_picture_keeps_it(marked: Image.Image) -> None:
    reading = read_watermark(to_values(marked))
    assert (reading.payload, reading.scale) == (PAYLOAD, 1.0)
    assert reading.strength > 8


@pytest.mark.parametrize("quality", [75, 60])
def test_jpeg_keeps_it(quality: int, marked: Image.Image) -> None:
    assert read_watermark(to_values(jpeg(marked, quality))).payload == PAYLOAD


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5])
def test_resizing_keeps_it(factor: float, marked: Image.Image) -> None:
    side = round(512 * factor)
    reading = read_watermark(to_values(marked.resize((side, side), Image.Resampling.LANCZOS)))
    assert reading.payload == PAYLOAD
    assert reading.scale == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("box", [(13, 7, 499, 493), (60, 3, 503, 446)], ids=["10 %", "25 %"])
def test_cropping_keeps_it(box: tuple[int, int, int, int], marked: Image.Image) -> None:
    assert read_watermark(to_values(marked.crop(box))).payload == PAYLOAD


def test_several_changes_keep_it(marked: Image.Image) -> None:
    changed = jpeg(marked.crop((60, 3, 503, 446)).resize((332, 332)))
    assert read_watermark(to_values(changed)).payload == PAYLOAD


@pytest.mark.parametrize("payload", [0, 1, 0xFFFF_FFFF, 2026])
def test_each_payload_comes_back(payload: int) -> None:
    assert read_watermark(embed_watermark(clouds(2, 320), payload)).payload == payload


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_plain_area_can_be_marked(level: float) -> None:
    plain = np.full((300, 400, 3), level, np.float32)
    values = to_values(to_image(embed_watermark(plain, PAYLOAD)))
    assert read_watermark(values).payload == PAYLOAD


def test_transparency_stays() -> None:
    values = np.concatenate([clouds(3, 300), np.full((300, 300, 1), 0.25, np.float32)], axis=2)
    changed = embed_watermark(values, PAYLOAD)
    assert np.array_equal(changed[..., 3], values[..., 3])
    assert read_watermark(changed).payload == PAYLOAD


def test_pictures_without_a_watermark_have_none() -> None:
    random = np.random.default_rng(5)
    plain = np.full((300, 300, 3), 0.5, np.float32)
    noise = random.random((300, 400, 3)).astype(np.float32)
    rows, columns = np.mgrid[0:384, 0:384]
    board = np.repeat((((rows // 64) + (columns // 64)) % 2)[..., None], 3, 2).astype(np.float32)
    for picture in (plain, noise, board, *(clouds(seed, 300) for seed in range(10, 40))):
        assert read_watermark(picture).payload is None


def test_the_pattern_is_the_same_everywhere() -> None:
    # A picture that was marked by another version, or on another machine, must stay readable.
    from nodegraph.provenance.watermark import _payload_tile

    tile = _payload_tile(2026)
    assert tile.shape == (128, 128)
    assert tile[0, :4] == pytest.approx(FIRST, abs=1e-3)
    assert tile[77, 100:104] == pytest.approx(LATER, abs=1e-3)


def test_what_can_not_be_marked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="too small"):
        embed_watermark(np.zeros((255, 300, 3), np.float32), 1)
    with pytest.raises(InvalidValue, match="more than 32 bits"):
        embed_watermark(clouds(1, 300), 1 << 32)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(InvalidFile):
        watermark_file(tmp_path / "text.png", tmp_path / "out.png", 1)
    Image.fromarray(np.zeros((300, 300), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InvalidValue, match="16 bits"):
        watermark_file(tmp_path / "deep.png", tmp_path / "out.png", 1)
    frames = [Image.new("RGB", (300, 300), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidFile, match="2 frames"):
        watermark_file(tmp_path / "moving.png", tmp_path / "out.png", 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_a_file_gets_a_watermark_in_its_own_format(kind: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(image_bytes(kind, 320))
    watermark_file(source, target, PAYLOAD)
    with Image.open(target) as opened:
        assert (opened.format, opened.size) == (kind, (320, 320))
    reading = read_file_watermark(target)
    assert reading is not None
    assert reading.payload == PAYLOAD


def test_a_marked_file_keeps_its_texts(tmp_path: Path) -> None:
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    source.write_bytes(png_with({"workflow": '{"a": "ü"}', "nodegraph": "1"}, 300))
    watermark_file(source, target, PAYLOAD)
    with Image.open(target) as opened:
        assert opened.text == {"workflow": '{"a": "ü"}', "nodegraph": "1"}  # type: ignore[attr-defined]


def test_files_that_are_no_images_have_no_watermark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    assert read_file_watermark(tmp_path / "a.txt") is None
