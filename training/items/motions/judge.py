"""Judges of clips: what moves, and how far, by comparing with motions that are done by formula."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from nodegraph.families.items.motions import FRAMES, LEAST_AMOUNT, MOTIONS
from training.classifier import Classifier
from training.items.motions.clips import TURNED, Clip
from training.judge import background_rgb, ink_box, look_at_ink
from training.pixels import Pixels, to_tensor

Places = npt.NDArray[np.int64]
"""Of labels in their list, (n,)."""

_AMOUNTS = tuple(round(float(value), 2) for value in np.arange(LEAST_AMOUNT, 1.001, 0.05))
_LOOKED_AT = (3, 6, 9, 12, 15)
"""Frames that are compared."""
_SIDE = 32
"""Pixels of their sides then."""
_TURN, _STILL = MOTIONS.index("turn"), MOTIONS.index("still")


@dataclass(frozen=True)
class Seen:
    """What a clip is taken for.

    Attributes:
        motion: Its place in MOTIONS.
        amount: Of the motion.
    """

    motion: int
    amount: float


def seen_motion(picture: Pixels, frames: Pixels) -> Seen:
    """The motion whose doing to a picture comes nearest to what frames show.

    The picture itself is moved, turned and scaled about the middle of what isn't background, by
    each motion and amount; that with the least mean square error counts.

    Args:
        picture: What the frames were to begin with, (64, 64, 3).
        frames: (16, 64, 64, 3).
    """
    colour = torch.from_numpy(background_rgb(picture)).float() / 127.5 - 1
    thing = _small(to_tensor(picture[None])) - colour.view(3, 1, 1)
    found = _small(to_tensor(frames[list(_LOOKED_AT)])) - colour.view(3, 1, 1)
    moved = functional.grid_sample(
        thing.expand(len(_doings()), -1, -1, -1),
        functional.affine_grid(
            _about(*middle(picture)), [len(_doings()), 3, _SIDE, _SIDE], align_corners=False
        ),
        align_corners=False,
    )
    errors = (moved.view(-1, *found.shape) - found).square().mean((1, 2, 3, 4))
    return _candidates()[int(errors.argmin())]


def middle(picture: Pixels) -> tuple[float, float]:
    """Of what isn't background, as shares of the sides."""
    left, top, right, bottom = ink_box(picture) or (0.0, 0.0, 1.0, 1.0)
    return (left + right) / 2, (top + bottom) / 2


def upright(frame: Pixels, degrees: float) -> Pixels:
    """A frame turned back by so much as what it shows is turned to the right."""
    x, y = middle(frame)
    centre = x * frame.shape[1], y * frame.shape[0]
    fill = tuple(round(value) for value in background_rgb(frame).tolist())
    image = Image.fromarray(frame)
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, center=centre, fillcolor=fill)
    return np.asarray(turned)


def named(
    model: Classifier, clips: Pixels, seen: Sequence[Seen], frame: int
) -> npt.NDArray[np.int64]:
    """The places of the labels that a classifier gives to what a frame of each clip shows.

    Args:
        clips: (clips, 16, 64, 64, 3).
        seen: What each is taken for: turned things are turned back.
    """
    looks = []
    for frames, found in zip(clips, seen, strict=True):
        shown = frames[frame]
        if found.motion == _TURN:
            shown = upright(shown, TURNED * found.amount * frame / (FRAMES - 1))
        looks.append(look_at_ink(shown, model.size))
    places: Places = model.probabilities(np.stack(looks)).argmax(1)
    return places


def _small(pictures: Tensor) -> Tensor:
    return functional.interpolate(pictures, (_SIDE, _SIDE), mode="area")


@cache
def _candidates() -> list[Seen]:
    moving = (place for place in range(len(MOTIONS)) if place != _STILL)
    told = [Seen(motion, amount) for motion in moving for amount in _AMOUNTS]
    return [*told, Seen(_STILL, 1.0)]


@cache
def _doings() -> Tensor:
    """Scale, sine and cosine of the turn, and shift of each frame of each candidate, (n, 5)."""
    rows = []
    for candidate in _candidates():
        start = Clip(0, candidate.motion, candidate.amount, (0, 0, 0), 0.0, 0.0, 1.0)
        for place in _LOOKED_AT:
            clip = start.at(place / (FRAMES - 1))
            angle = math.radians(clip.turned)
            rows.append([1 / clip.side, math.sin(angle), math.cos(angle), clip.x, clip.y])
    return torch.tensor(rows)


def _about(x: float, y: float) -> Tensor:
    """From places of frames to places of the picture, as `affine_grid` takes it, (n, 2, 3).

    Args:
        x, y: About which things are scaled and turned, as shares of the sides.
    """
    scale, sine, cosine, right, down = _doings().unbind(1)
    # Sides go from -1 to 1 there, so they are 2 long.
    before = torch.tensor([2 * x - 1, 2 * y - 1])
    after = before + 2 * torch.stack([right, down], 1)
    turn = torch.stack([cosine, sine, -sine, cosine], 1).view(-1, 2, 2) * scale.view(-1, 1, 1)
    shift = before - (turn @ after[..., None])[..., 0]
    return torch.cat([turn, shift[..., None]], 2)
