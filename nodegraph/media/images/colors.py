"""Colors as texts. Imports neither torch nor numpy, as texts are checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

Color = tuple[float, float, float, float]
"""Red, green, blue and alpha, in 0..1."""

EXPECTED = "#rrggbb, rgb(255, 128, 0), hsl(30, 100%, 50%) or a name, for example orange"
_SHARES = re.compile(r"rgb\(\s*" + r"\s*,\s*".join([r"(\d{1,3}(?:\.\d{1,9})?)%"] * 3) + r"\s*\)")
_SEPARATORS = re.compile(r"[;\s|]+(?![^(]*\))|,(?![^(]*\))")


def parse_color(text: str, port: str = "color") -> Color:
    """A color as CSS writes them: ``#f80``, ``#ff8800``, ``#ff880080``, ``orange``, ``hsl(…)``.

    Of ``rgb(50%, 12.5%, 0%)`` the shares are taken as they are, others in steps of 1 / 255.

    Raises:
        InvalidValue: It is none.
    """
    if shares := _SHARES.fullmatch(text.strip()):
        first, second, third = (min(float(share) / 100, 1.0) for share in shares.groups())
        return first, second, third, 1.0
    from PIL import ImageColor

    from nodegraph.core.suggest import did_you_mean

    try:
        red, green, blue, *alpha = ImageColor.getrgb(text.strip())
    except ValueError as error:
        hint = did_you_mean(text.strip().lower(), list(ImageColor.colormap))
        raise InvalidValue(
            f"there is no color {text[:80]!r}", port=port, expected=EXPECTED, hint=hint
        ) from error
    return red / 255, green / 255, blue / 255, (alpha[0] / 255 if alpha else 1.0)


def color_levels(text: str, port: str = "color") -> tuple[float, float, float]:
    """Red, green and blue in 0..1 of a color.

    Raises:
        InvalidValue: It is none.
    """
    red, green, blue, _ = parse_color(text, port)
    return red, green, blue


def parse_colors(text: str, port: str = "colors", *, least: int = 2) -> list[Color]:
    """Colors that stand one after the other, with spaces, commas or line ends between.

    Raises:
        InvalidValue: One of them is none, or there are too few.
    """
    colors = [parse_color(part, port) for part in _SEPARATORS.split(text.strip()) if part]
    if len(colors) < least:
        raise InvalidValue(
            "there are too few colors",
            port=port,
            given=repr(text[:80]),
            expected=f"{least} or more, for example black #ff8800 white",
        )
    return colors


def paint(color: Color, channels: int) -> Tensor:
    """A color as the values of a pixel, shape (channels,): gray by its luma."""
    import torch

    if channels == 1:
        return torch.tensor([0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]])
    return torch.tensor(color[:channels], dtype=torch.float32)


def hex_color(values: Sequence[float]) -> str:
    """Red, green and blue in 0..1 as ``#rrggbb``."""
    return "#" + "".join(f"{round(min(max(value, 0), 1) * 255):02x}" for value in values[:3])
