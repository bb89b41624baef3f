"""What inputs of several nodes for pictures take."""

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
"""Where in a picture something is put, or what of it is kept."""
