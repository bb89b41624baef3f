"""Clips of things that move: the base model's things on its backgrounds, 16 frames of 64 px.

The first frame is a picture as the base model may have drawn it, and what follows is settled by it,
by the motion and by how far the motion goes.
"""

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nodegraph.families.items.motions import FRAMES, LEAST_AMOUNT, MOTIONS, SIDE
from training.fonts import glyph
from training.objects import PALETTE
from training.pixels import Pixels

_OVERDRAWN = 2
"""Frames are drawn this many times larger, so that things move by parts of a pixel."""
_FARTHEST = 0.22
"""Share of the picture's side that a motion of amount 1 goes; a bounce goes as high."""
_GROWN, _SHRUNK = 0.45, 0.55
"""Share of its side that a thing gains and loses by amount 1."""
TURNED = 90
"""Degrees that a thing is turned by, to the right, by amount 1."""
_HOPS = 2
_SIDES = (0.40, 0.66)
_PLACES = 0.12
"""How far from the middle things begin, as a share of the picture's side."""
_JITTER = 8


@dataclass(frozen=True)
class Clip:
    """What a clip shows, before it is drawn.

    Attributes:
        index: The thing's place in the list of objects.
        motion: Its place in MOTIONS.
        amount: How far the motion goes, LEAST_AMOUNT to 1.
        rgb: The background.
        x, y: The thing's centre at the start, as shares of the picture's sides.
        side: Its side at the start, as a share of the picture's.
        turned: Degrees that it is turned by, to the right.
    """

    index: int
    motion: int
    amount: float
    rgb: tuple[int, int, int]
    x: float
    y: float
    side: float
    turned: float = 0.0

    def at(self, share: float) -> "Clip":
        """Where things are when this share of the clip is over, 0 to 1."""
        motion, far = MOTIONS[self.motion], self.amount * _FARTHEST * share
        if motion in ("left", "right"):
            return replace(self, x=self.x + (far if motion == "right" else -far))
        if motion in ("up", "down"):
            return replace(self, y=self.y + (far if motion == "down" else -far))
        if motion == "bounce":
            height = abs(math.sin(math.pi * _HOPS * share)) * self.amount * _FARTHEST
            return replace(self, y=self.y - height)
        if motion == "turn":
            return replace(self, turned=TURNED * self.amount * share)
        if motion == "grow":
            return replace(self, side=self.side * (1 + _GROWN * self.amount * share))
        if motion == "shrink":
            return replace(self, side=self.side * (1 - _SHRUNK * self.amount * share))
        return self


def random_clip(index: int, motion: int, rng: np.random.Generator) -> Clip:
    """A clip of a thing and a motion, all else being random."""
    colour = list(PALETTE.values())[int(rng.integers(len(PALETTE)))]
    if rng.random() < 0.2:
        colour = PALETTE["white"]
    jittered = np.clip(np.array(colour) + rng.integers(-_JITTER, _JITTER + 1, 3), 0, 255)
    red, green, blue = (int(value) for value in jittered)
    x, y = 0.5 + rng.uniform(-_PLACES, _PLACES, 2)
    amount = float(rng.uniform(LEAST_AMOUNT, 1.0))
    return Clip(index, motion, amount, (red, green, blue), x, y, float(rng.uniform(*_SIDES)))


def draw(clip: Clip, font: Path, code_point: int) -> Pixels:
    """The frames of a clip, (16, 64, 64, 3)."""
    frames = [clip.at(place / (FRAMES - 1)) for place in range(FRAMES)]
    return np.stack([_frame(frame, font, code_point) for frame in frames])


@cache
def _art(font: Path, code_point: int) -> Image.Image:
    """A glyph premultiplied, so that what is transparent doesn't bleed into edges when scaled."""
    return glyph(font, code_point).convert("RGBa")


def _frame(clip: Clip, font: Path, code_point: int) -> Pixels:
    whole = SIDE * _OVERDRAWN
    side = clip.side * whole
    art = _art(font, code_point)
    # From places of the frame to places of the glyph: shifted, scaled and turned in one go.
    scale, angle = art.width / side, math.radians(clip.turned)
    across, down = math.cos(angle) * scale, math.sin(angle) * scale
    x, y, middle = clip.x * whole, clip.y * whole, art.width / 2
    first = (across, down, middle - across * x - down * y)
    second = (-down, across, middle + down * x - across * y)
    matrix = (*first, *second)
    drawn = art.transform((whole, whole), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    layer: npt.NDArray[np.float32] = np.asarray(drawn.reduce(_OVERDRAWN), np.float32)
    # premultiplied: the background shows by what is left of alpha
    picture = layer[..., :3] + np.asarray(clip.rgb, np.float32) * (1 - layer[..., 3:] / 255)
    rounded: Pixels = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return rounded
