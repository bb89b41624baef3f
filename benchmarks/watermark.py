"""The invisible watermark: how often it is read after changes of a picture, how often by mistake,
and how much it changes a picture.

Pictures are photographs of scikit-image, samples that nodegraph ships with, and synthetic ones.
Those without a watermark are new synthetic ones, and random parts of the others.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
from common import Figure, options, show
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nodegraph.provenance.watermark import SMALLEST_SIDE, embed_watermark, read_watermark

Floats = NDArray[np.float32]
Change = Callable[[Image.Image, np.random.Generator], Image.Image]
_ROOT = Path(__file__).parents[1]
_PHOTOS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png"),
    *("motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg"),
)
"""Pictures that are installed with scikit-image, some of them only where pooch fetched them."""
_SIDES = (1024, 512)
"""Longer side that pictures are reduced to."""


def to_image(values: Floats) -> Image.Image:
    """An image of 8 bits."""
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def to_values(image: Image.Image) -> Floats:
    """float32 in 0..1, shape (height, width, 3)."""
    return np.asarray(image.convert("RGB"), np.float32) / np.float32(255)


def jpeg(quality: int) -> Change:
    """Compress a picture."""

    def change(image: Image.Image, random: np.random.Generator) -> Image.Image:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def resized(factor: float) -> Change:
    """Make a picture larger or smaller."""
    return lambda image, random: image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS
    )


def cropped(share: float) -> Change:
    """Cut off a share of a picture's area, anywhere."""

    def change(image: Image.Image, random: np.random.Generator) -> Image.Image:
        side = (1 - share) ** 0.5
        width, height = int(image.width * side), int(image.height * side)
        left = int(random.integers(image.width - width + 1))
        top = int(random.integers(image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    return change


def chained(*changes: Change) -> Change:
    """Make several changes, one after the other."""

    def change(image: Image.Image, random: np.random.Generator) -> Image.Image:
        for each in changes:
            image = each(image, random)
        return image

    return change


CHANGES: Mapping[str, Change] = {
    "unchanged": chained(),
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "resized to 0.5": resized(0.5),
    "resized to 0.75": resized(0.75),
    "resized to 1.5": resized(1.5),
    "10 % cropped": cropped(0.10),
    "25 % cropped": cropped(0.25),
    "50 % cropped": cropped(0.50),
    "25 % cropped, to 0.75, JPEG 75": chained(cropped(0.25), resized(0.75), jpeg(75)),
}


def synthetic(random: np.random.Generator, side: int = 512) -> Image.Image:
    """A picture of one of six kinds: clouds, waves, a gradient, shapes, a grid, noise."""
    kind = int(random.integers(6))
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side
    if kind == 0:
        frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
        noise = np.fft.rfft2(random.standard_normal((side, side)))
        slope = random.uniform(0.8, 2.2)
        cloud = np.fft.irfft2(noise / np.maximum(frequency, 1 / side) ** slope, (side, side))
        values = cloud / (cloud.std() * 5) + 0.5
    elif kind == 1:
        angle, cycles = random.uniform(0, np.pi), random.uniform(2, 120)
        phase = (rows * np.sin(angle) + columns * np.cos(angle)) * cycles * 2 * np.pi
        values = np.sin(phase) * random.uniform(0.02, 0.4) + 0.5
    elif kind == 2:
        values = rows * random.uniform(-1, 1) + columns * random.uniform(-1, 1) + 0.5
    elif kind == 3:
        image = Image.new("L", (side, side), int(random.integers(256)))
        draw = ImageDraw.Draw(image)
        for _ in range(int(random.integers(3, 60))):
            corners = random.integers(-40, side + 40, 4)
            left, right = sorted((int(corners[0]), int(corners[2])))
            top, bottom = sorted((int(corners[1]), int(corners[3])))
            shape = draw.rectangle if random.random() < 0.5 else draw.ellipse
            shape((left, top, right, bottom), fill=int(random.integers(256)))
        values = np.asarray(image, np.float32) / 255
    elif kind == 4:
        period = float(random.uniform(4, 140))  # repeats itself, as the watermark does
        cells = np.floor(rows * side / period) + np.floor(columns * side / period)
        values = (cells % 2) * random.uniform(0.05, 0.9) + 0.05
    else:
        values = random.standard_normal((side, side)) * random.uniform(0.01, 0.3) + 0.5
    grain = random.standard_normal((side, side)) * random.uniform(0, 0.03)
    tint = random.uniform(0.6, 1.0, 3).astype(np.float32)
    return to_image(np.clip((values + grain)[..., None] * tint, 0, 1).astype(np.float32))


def photographs() -> Iterator[tuple[str, Image.Image]]:
    """Pictures of scikit-image and of this repository that are large enough."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    files = [folder / name for name in _PHOTOS if (folder / name).is_file()]
    files += sorted((_ROOT / "docs" / "images").glob("*.webp"))
    files += sorted((_ROOT / "nodes" / "examples").glob("*.webp"))
    files += sorted((_ROOT / "workflows").glob("*.webp"))
    for file in files:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        if min(image.size) >= SMALLEST_SIDE:
            yield file.name, image


def sources(count: int, random: np.random.Generator) -> Iterator[Image.Image]:
    """Pictures to mark: each photograph at two sizes, then synthetic ones."""
    left = count
    for _, image in photographs():
        for side in _SIDES:
            reduced = image.copy()
            reduced.thumbnail((side, side))
            if min(reduced.size) >= SMALLEST_SIDE and left:
                left -= 1
                yield reduced
    for _ in range(left):
        yield synthetic(random)


def robustness(count: int) -> Iterator[Figure]:
    """How often the payload is read after changes, and how much the watermark changes pictures."""
    from skimage.metrics import structural_similarity

    random = np.random.default_rng(1)
    read: Counter[str] = Counter()
    total, signal, similarity = 0, [], []
    for image in sources(count, random):
        payload = int(random.integers(1 << 32))
        original = to_values(image)
        marked = to_image(embed_watermark(original, payload))
        values = to_values(marked)
        signal.append(-10 * float(np.log10(np.mean((values - original) ** 2))))
        similarity.append(
            float(structural_similarity(original, values, channel_axis=2, data_range=1))
        )
        total += 1
        for name, change in CHANGES.items():
            read[name] += read_watermark(to_values(change(marked, random))).payload == payload
    for name in CHANGES:
        share = 100 * read[name] / total
        yield Figure(f"read, {name}", share, "%", aim=_AIMS.get(name), more_is_better=True)
    yield Figure("pictures", total, "")
    yield Figure("PSNR, median", median(signal), "dB", aim=36, more_is_better=True)
    yield Figure("PSNR, lowest", min(signal), "dB")
    yield Figure("SSIM, median", median(similarity), "", aim=0.95, more_is_better=True)
    yield Figure("SSIM, lowest", min(similarity), "")


_AIMS = {
    **dict.fromkeys(("unchanged", "JPEG 75", "10 % cropped", "25 % cropped"), 99.0),
    **dict.fromkeys(("resized to 0.75", "resized to 1.5"), 98.0),
    "resized to 0.5": 94.0,
}
"""Percent of the pictures."""


def unmarked(count: int) -> Iterator[Image.Image]:
    """Pictures without a watermark: three of four are synthetic, others parts of photographs."""
    random = np.random.default_rng(2)
    known = [image for _, image in photographs()]
    for at in range(count):
        if at % 4:
            yield synthetic(random, int(random.integers(SMALLEST_SIDE, 400)))
            continue
        image = known[int(random.integers(len(known)))]
        side = int(random.integers(SMALLEST_SIDE, min(*image.size, 800) + 1))
        left = int(random.integers(image.width - side + 1))
        top = int(random.integers(image.height - side + 1))
        part = image.crop((left, top, left + side, top + side))
        scale = random.uniform(max(0.5, 128 / side), min(1.5, 400 / side))
        size = max(int(side * scale), 128)
        yield part.resize((size, size), Image.Resampling.BICUBIC)


def false_positives(count: int) -> Iterator[Figure]:
    """How often a watermark is read that is not there."""
    wrong, strongest = 0, 0.0
    for image in unmarked(count):
        reading = read_watermark(to_values(image))
        wrong += reading.payload is not None
        strongest = max(strongest, reading.strength)
    yield Figure("pictures without a watermark", count, "")
    yield Figure("of these, with one by mistake", wrong, "", aim=0)
    yield Figure("strongest synchronization by chance", strongest, "σ")


def figures(*, pictures: int, without: int) -> Iterator[Figure]:
    """All, as they are measured."""
    if pictures:
        yield from robustness(pictures)
    if without:
        yield from false_positives(without)


def _sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pictures", type=int, default=150, help="pictures to mark")
    parser.add_argument("--without", type=int, default=10_000, help="pictures without a watermark")


def main() -> None:
    given = options(__doc__, _sizes)
    pictures, without = (4, 12) if given.quick else (given.pictures, given.without)
    show(figures(pictures=pictures, without=without), as_json=given.json)


if __name__ == "__main__":
    main()
