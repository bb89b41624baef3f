"""Colours by name or number."""

from __future__ import annotations

from nodegraph.errors import InvalidValue


def color_levels(color: str, port: str = "color") -> tuple[float, float, float]:
    """Red, green and blue in 0..1 of a colour such as ``#ff8800`` or ``orange``.

    Raises:
        InvalidValue: It is none.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(color.strip())[:3]
    except ValueError as error:
        raise InvalidValue(
            f"no colour is called {color!r}",
            port=port,
            expected="#rrggbb, or a name such as white or orange",
        ) from error
    return red / 255, green / 255, blue / 255
