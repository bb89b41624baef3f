"""Port types that several image nodes share."""

from __future__ import annotations

from typing import Literal

Anchor = Literal[
    "top left",
    "top",
    "top right",
    "left",
    "center",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
]
"""Where in an image something is placed, or which part of it is kept."""
BlendMode = Literal[
    "normal",
    "multiply",
    "screen",
    "overlay",
    "darken",
    "lighten",
    "color dodge",
    "color burn",
    "hard light",
    "soft light",
    "difference",
    "exclusion",
    "add",
    "subtract",
    "divide",
    "hue",
    "saturation",
    "color",
    "luminosity",
]
"""How a layer is blended with what lies below it, as in Photoshop and CSS."""
