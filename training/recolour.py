"""Objects in other colours: the main hue of a glyph turned to another, all else kept."""

import numpy as np
import numpy.typing as npt

HUES: dict[str, float] = {
    "red": 0.0,
    "orange": 28.0,
    "yellow": 50.0,
    "green": 120.0,
    "blue": 215.0,
    "purple": 275.0,
    "pink": 330.0,
}
"""Colours that an object can be given, and their HSV hue in degrees."""

_BRIGHT = {"orange": 0.9, "yellow": 0.95, "pink": 0.95, "red": 0.8}
"""Least mean HSV value with which these colours are still called by their name."""
_SOFT = {"pink": 0.5}
"""Mean HSV saturation of these colours."""
_SATURATED, _LIT = 0.3, 0.2
_NEAR, _FAR = 40.0, 65.0
"""Degrees from the main hue up to which a pixel turns fully, and from which it stays."""

Floats = npt.NDArray[np.float32]


def to_hsv(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """Hue in degrees 0..360, saturation and value 0..1, of (..., 3) in 0..1."""
    high, low = rgb.max(-1), rgb.min(-1)
    span = high - low
    safe = np.where(span > 0, span, 1.0)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    hue = np.select(
        [high == red, high == green],
        [(green - blue) / safe % 6.0, (blue - red) / safe + 2.0],
        (red - green) / safe + 4.0,
    )
    saturation = np.where(high > 0, span / np.where(high > 0, high, 1.0), 0.0)
    return (hue * 60.0).astype(np.float32), saturation.astype(np.float32), high


def to_rgb(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    """The opposite of `to_hsv`, (..., 3) in 0..1."""
    steps = (np.array([5.0, 3.0, 1.0], np.float32) + hue[..., None] / 60.0) % 6.0
    ramp = np.clip(np.minimum(steps, 4.0 - steps), 0.0, 1.0)
    rgb: Floats = (value[..., None] * (1.0 - saturation[..., None] * ramp)).astype(np.float32)
    return rgb


def hue_distance(first: Floats, second: float) -> Floats:
    """Degrees between hues the short way round, 0..180."""
    distance: Floats = np.abs((first - second + 180.0) % 360.0 - 180.0)
    return distance


def main_hue(hue: Floats, saturation: Floats, value: Floats, weight: Floats) -> float | None:
    """The hue, in degrees, round which most of the colourful weight lies; None if there is none."""
    counted = weight * ((saturation > _SATURATED) & (value > _LIT))
    if counted.sum() <= 0.02 * weight.sum():
        return None
    bins = np.bincount((hue / 6.0).astype(int).ravel() % 60, counted.ravel(), 60)
    smooth = sum(np.roll(bins, shift) for shift in range(-3, 4))
    middle = float(np.argmax(smooth) * 6.0 + 3.0)
    # The window slides over a narrow peak without change, so its middle is only near the peak's.
    away = (hue - middle + 180.0) % 360.0 - 180.0
    near = counted * (np.abs(away) <= 42.0)
    return float((middle + (away * near).sum() / near.sum()) % 360.0)


def recolour(picture: Floats, colour: str) -> Floats:
    """A glyph with its main hue turned to `colour`; hues far from the main one stay.

    Args:
        picture: Straight (not premultiplied) RGBA, (h, w, 4), 0..1.
        colour: One of `HUES`.
    """
    hue, saturation, value = to_hsv(picture[..., :3])
    alpha = picture[..., 3]
    main = main_hue(hue, saturation, value, alpha)
    if main is None:
        return picture
    turned = np.clip((_FAR - hue_distance(hue, main)) / (_FAR - _NEAR), 0.0, 1.0)
    # Grey has no hue to turn; white highlights and black tyres should stay as light as they are.
    colourful = turned * np.clip(saturation / _SATURATED, 0.0, 1.0)
    part = turned * alpha * (saturation > _SATURATED)
    total = max(float(part.sum()), 1e-6)
    new_hue = (hue + turned * (HUES[colour] - main)) % 360.0
    if colour in _BRIGHT:
        gain = max(1.0, _BRIGHT[colour] / max(float((value * part).sum()) / total, 0.1))
        value = np.minimum(1.0, value * (1.0 + colourful * (gain - 1.0)))
    if colour in _SOFT:
        gain = min(1.0, _SOFT[colour] / max(float((saturation * part).sum()) / total, 0.1))
        saturation = saturation * (1.0 + colourful * (gain - 1.0))
    changed = to_rgb(new_hue, saturation, value.astype(np.float32))
    return np.concatenate([changed, alpha[..., None]], axis=-1)
