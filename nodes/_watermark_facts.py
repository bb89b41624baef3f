"""Checks of watermark nodes, before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs

_SMALLEST = 256
"""As in `nodegraph.provenance.watermark`, which imports numpy."""


def check_room(inputs: HookInputs) -> Iterator[Finding]:
    """Find images that are too small for a watermark."""
    width, height = inputs.fact("image", "width"), inputs.fact("image", "height")
    sides = [side for side in (width, height) if side is not None]
    if sides and min(sides) < _SMALLEST:
        yield Finding(
            "image",
            "the image is too small for a watermark",
            f"{width} x {height} pixels",
            f"at least {_SMALLEST} pixels on each side",
        )
