"""What a picture shows: its background colour, where its object is, what the object is."""

import numpy as np
from PIL import Image

from training.captions import POSITIONS
from training.classifier import Classifier
from training.objects import PALETTE
from training.pixels import Pixels

_BORDER = 2
"""Width in pixels of the frame that counts as background."""
_DIFFERENT = 48
"""How far, of 255, one channel of a pixel must be from the background's to be an object's."""
PAIR_CROP = 0.5625
"""Side of the crop around each of two objects, as a share of the picture's side."""
PAIR_LEFT, PAIR_RIGHT = (0.26, 0.5), (0.74, 0.5)
SMALL_CROP = 0.5


def background_rgb(picture: Pixels) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Median colour of the picture's frame, (3,), 0 to 255."""
    inner = np.zeros(picture.shape[:2], bool)
    inner[_BORDER:-_BORDER, _BORDER:-_BORDER] = True
    return np.asarray(np.median(picture[~inner], axis=0), np.float64)


def background(picture: Pixels) -> str:
    """The palette colour nearest to the picture's background."""
    seen = background_rgb(picture)
    return min(PALETTE, key=lambda name: float(np.abs(PALETTE[name] - seen).sum()))


def position(picture: Pixels) -> str:
    """The named place nearest to the centre of all that differs from the background."""
    differs = np.abs(picture - background_rgb(picture)).max(axis=2) > _DIFFERENT
    if not differs.any():
        return "nowhere"
    rows, columns = np.nonzero(differs)
    x, y = columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]
    return min(
        POSITIONS, key=lambda name: abs(POSITIONS[name][0] - x) + abs(POSITIONS[name][1] - y)
    )


def crop(picture: Pixels, centre: tuple[float, float], side: float) -> Pixels:
    """A square around `centre`, both as shares of the picture, scaled up to the whole size."""
    size = picture.shape[0]
    half = side / 2
    box = tuple(size * value for value in _box(centre, half))
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image)


def _box(centre: tuple[float, float], half: float) -> tuple[float, float, float, float]:
    x, y = (min(max(value, half), 1.0 - half) for value in centre)
    return x - half, y - half, x + half, y + half


def named_right(judge: Classifier, pictures: Pixels, labels: list[int], top: int = 1) -> list[bool]:
    """For each picture, whether its label is among the judge's `top` first answers."""
    ranks = judge.rank(pictures)[:, :top].tolist()
    return [label in row for label, row in zip(labels, ranks, strict=True)]
