"""An image's tones by a curve through points."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from nodegraph import Finding, HookInputs, Image, Panel, Range, Widget, node, port_type

TONES = Panel("tones", "Tones", "How many pixels have which tone.")

Curve = Annotated[Sequence[Sequence[float]], Widget("curve")]
"""Points from left to right, each of a tone in 0..1 and the one that it becomes."""
STRAIGHT = ((0.0, 0.0), (1.0, 1.0))


@port_type(color="#e0af68")
@dataclass(frozen=True)
class ToneMap:
    """Points of a tone curve, from left to right."""

    points: tuple[tuple[float, float], ...]


def check(inputs: HookInputs) -> Iterator[Finding]:
    """Say what is wrong with a curve before anything runs."""
    points = inputs.literals.get("curve", STRAIGHT)
    if len(points) < 2 or any(len(point) != 2 for point in points):
        yield Finding("curve", "needs two points or more", expected="[[0, 0], [1, 1]], say")
        return
    if any(not 0 <= value <= 1 for point in points for value in point):
        yield Finding("curve", "leaves the square of 0 to 1", given=str(points))
    if any(after[0] <= point[0] for point, after in pairwise(points)):
        yield Finding("curve", "goes back", given=str(points), hint="Sort its points from left.")


@node(category="image/adjust", tags=("levels", "contrast"), validate=check)
def ToneCurve(
    image: Image,
    curve: Curve = STRAIGHT,
    channel: Literal["all", "red", "green", "blue"] = "all",
) -> Image:
    """Change an image's tones by a curve.

    The curve goes smoothly through its points and never beyond two neighbors; left of the first
    point and right of the last it is level.

    Args:
        curve: Points from left to right, each a tone in 0..1 and what becomes of it.
        channel: What it changes.
    """
    if channel == "all":
        return smooth(image, curve)
    at = ("red", "green", "blue").index(channel)
    changed = image.clone()
    changed[..., at] = smooth(image[..., at], curve)
    return changed


@node(category="image/adjust", validate=check)
def DrawToneMap(curve: Curve = STRAIGHT) -> ToneMap:
    """Draw a tone curve for several images.

    Args:
        curve: Points from left to right, each a tone in 0..1 and the tone that it becomes.
    """
    return ToneMap(tuple((float(x), float(y)) for x, y in curve))


@node(category="image/adjust")
def ApplyToneMap(
    image: Image, tones: ToneMap, strength: Annotated[float, Range(0, 1, step=0.05)] = 1.0
) -> Image:
    """Change an image's tones by a drawn curve.

    Args:
        image: Input image.
        tones: Curve to apply.
        strength: Share of the curve; 0 changes nothing.
    """
    return image + strength * (smooth(image, tones.points) - image)


def smooth(tones: Image, curve: Sequence[Sequence[float]]) -> Image:
    """What a curve makes of tones: cubic between its points, monotone where they are.

    Source: Fritsch and Butland 1984, doi:10.1137/0905021.
    """
    import torch

    x, y = torch.tensor(curve, dtype=torch.float32).T.contiguous()
    width, slope = x.diff(), y.diff() / x.diff()
    before, after = slope[:-1], slope[1:]
    harmonic = 3 * (width[:-1] + width[1:])
    bent = harmonic / ((2 * width[1:] + width[:-1]) / before + (width[1:] + 2 * width[:-1]) / after)
    inner = torch.where(before * after > 0, bent, torch.zeros_like(bent))
    steep = torch.cat([slope[:1], inner, slope[-1:]])
    level = tones.clamp(float(x[0]), float(x[-1]))
    at = (torch.searchsorted(x, level.contiguous()) - 1).clamp(0, len(width) - 1)
    t, span = (level - x[at]) / width[at], width[at]
    left = (1 + 2 * t) * (1 - t) ** 2 * y[at] + t * (1 - t) ** 2 * span * steep[at]
    right = t**2 * (3 - 2 * t) * y[at + 1] + t**2 * (t - 1) * span * steep[at + 1]
    return (left + right).clamp(0, 1)
