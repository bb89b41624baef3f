"""What a picture shows: its background, where its objects are, how large, of what colour, what.

Colours, places and sizes are read from pixels; only the naming of objects is the classifier's.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.captions import POSITIONS
from training.classifier import Classifier
from training.objects import PALETTE
from training.pixels import Pixels
from training.recolour import HUES, hue_distance, main_hue, to_hsv
from training.scenes import SIDES, TRIANGLE, Placement, pair_places, place_of

Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the picture's width and height."""

_BORDER = 2
"""Width in pixels of the frame that counts as background."""
_DIFFERENT = 28
"""How far, of 255, one channel of a pixel must be from the background's to be an object's."""
_COMPANY = 4
"""So many of the nine pixels round one must be an object's, else it is a speck."""
_PLAIN, _PLAIN_SHARE = 24, 0.95
"""A background is plain if this share of the frame is no further than so from its median."""
_FILLED = 0.85
"""Share of a crop's side that its object takes up; a glyph in a scene may be larger by 8 %."""
_WHOLE = 0.7
"""Objects of this side and more are looked at in the whole picture."""
_TOLERANCE = 0.05
"""Share of the ink that may lie outside of the objects asked for."""


def background_rgb(picture: Pixels) -> npt.NDArray[np.float64]:
    """Median colour of the picture's frame, (3,), 0 to 255."""
    return np.asarray(np.median(_frame(picture), axis=0), np.float64)


def _frame(picture: Pixels) -> Pixels:
    inner = np.zeros(picture.shape[:2], bool)
    inner[_BORDER:-_BORDER, _BORDER:-_BORDER] = True
    return picture[~inner]


def background(picture: Pixels) -> str:
    """The palette colour nearest to the picture's background."""
    seen = background_rgb(picture)
    return min(PALETTE, key=lambda name: float(np.abs(PALETTE[name] - seen).sum()))


def is_plain(picture: Pixels) -> bool:
    """Whether nearly all of the picture's frame has one colour."""
    far = np.abs(_frame(picture) - background_rgb(picture)).max(axis=1)
    return bool((far <= _PLAIN).mean() >= _PLAIN_SHARE)


def ink(picture: Pixels) -> Mask:
    """Where the picture differs from its background, (height, width), without specks."""
    differs = np.abs(picture - background_rgb(picture)).max(axis=2) > _DIFFERENT
    padded = np.pad(differs, 1).astype(np.uint8)
    height, width = differs.shape
    company = sum(
        padded[down : down + height, right : right + width]
        for down in range(3)
        for right in range(3)
    )
    mask: Mask = differs & (company >= _COMPANY)
    return mask


def ink_box(picture: Pixels) -> Box | None:
    """What encloses all ink; None if there is none."""
    mask = ink(picture)
    if not mask.any():
        return None
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    height, width = mask.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def position(picture: Pixels, size: str) -> str:
    """The place of `POSITIONS` nearest to the middle of the ink, "nowhere" if there is none.

    Args:
        size: Of the object; where the places are depends on it.
    """
    box = ink_box(picture)
    if box is None:
        return "nowhere"
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2

    def distance(name: str) -> float:
        there = place_of(name, size)
        return float(np.hypot(there[0] - x, there[1] - y))

    return min(POSITIONS, key=distance)


def size(picture: Pixels) -> str:
    """The size of `SIDES` nearest to the longer side of the ink, "none" if there is none."""
    box = ink_box(picture)
    if box is None:
        return "none"
    side = max(box[2] - box[0], box[3] - box[1])
    return min(SIDES, key=lambda name: abs(SIDES[name] - side))


def object_hue(picture: Pixels) -> float | None:
    """The main hue of the ink in degrees; None if it has no colour to speak of."""
    hue, saturation, value = to_hsv(picture.astype(np.float32) / 255.0)
    return main_hue(hue, saturation, value, ink(picture).astype(np.float32))


def colour_name(degrees: float) -> str:
    """The colour of `HUES` nearest to a hue."""
    hue = np.array([degrees], np.float32)
    return min(HUES, key=lambda name: float(hue_distance(hue, HUES[name])[0]))


def crop(picture: Pixels, centre: tuple[float, float], side: float, pixels: int = 0) -> Pixels:
    """A square around `centre`, all in shares of the picture, (pixels, pixels, 3).

    It is moved inwards where it would reach beyond the picture.

    Args:
        pixels: Side of the result; 0 is the picture's height.
    """
    height, width = picture.shape[:2]
    half = min(side, 1.0) / 2
    x, y = (min(max(value, half), 1.0 - half) for value in centre)
    box = ((x - half) * width, (y - half) * height, (x + half) * width, (y + half) * height)
    image = Image.fromarray(picture)
    sides = (pixels or height, pixels or height)
    return np.asarray(image.resize(sides, Image.Resampling.BILINEAR, box=box))


def look_at(picture: Pixels, placement: Placement, pixels: int) -> Pixels:
    """The part of a picture in which an object should be, as the classifier wants it."""
    if placement.side >= _WHOLE:
        return crop(picture, (0.5, 0.5), 1.0, pixels)
    return crop(picture, (placement.x, placement.y), placement.side / _FILLED, pixels)


def look_at_ink(picture: Pixels, pixels: int) -> Pixels:
    """The part of a picture where there is ink, wherever that is; else the whole picture."""
    box = ink_box(picture)
    if box is None:
        return crop(picture, (0.5, 0.5), 1.0, pixels)
    side = max(box[2] - box[0], box[3] - box[1]) / _FILLED
    return crop(picture, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), side, pixels)


def all_looks(picture: Pixels, pixels: int) -> Pixels:
    """Every part where a scene of any kind has an object, (9, pixels, pixels, 3).

    The whole, the ink, two places side by side, two above each other, and three.
    """
    whole = crop(picture, (0.5, 0.5), 1.0, pixels)
    centres = (*pair_places(stacked=False), *pair_places(stacked=True), *TRIANGLE)
    parts = [crop(picture, centre, 0.54, pixels) for centre in centres]
    return np.stack([whole, look_at_ink(picture, pixels), *parts])


def nothing_else(picture: Pixels, placements: tuple[Placement, ...]) -> bool:
    """Whether (nearly) all ink lies where the objects should be.

    An object may be 8 % larger and 5 % of the picture off its place, about as in training.
    """
    mask = ink(picture)
    height, width = mask.shape
    total = int(mask.sum())
    for item in placements:
        half = item.side * 1.08 / 2 + 0.05
        rows = slice(max(0, round((item.y - half) * height)), round((item.y + half) * height))
        columns = slice(max(0, round((item.x - half) * width)), round((item.x + half) * width))
        mask[rows, columns] = False
    return int(mask.sum()) <= _TOLERANCE * total


def named_right(model: Classifier, pictures: Pixels, labels: list[int], top: int = 1) -> list[bool]:
    """For each picture, whether its label is among the classifier's `top` first answers."""
    ranks = model.probabilities(pictures).argsort(axis=1)[:, ::-1][:, :top]
    return [label in row for label, row in zip(labels, ranks, strict=True)]
