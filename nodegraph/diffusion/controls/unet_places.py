"""Where a UNet takes what control networks add. Imports no torch."""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.controls.questions import Residuals

DOWN, MID, FEATURES = "down", "mid", "features"
"""Behind the blocks on the way down and the middle one; and inside of the former."""


def unet_options(residuals: Residuals) -> dict[str, Any]:
    """The inputs of a UNet by which it is given residuals."""
    found: dict[str, Any] = {}
    if DOWN in residuals:
        found["down_block_additional_residuals"] = list(residuals[DOWN])
        found["mid_block_additional_residual"] = residuals[MID][0]
    if FEATURES in residuals:
        # It takes them from the list.
        found["down_intrablock_additional_residuals"] = list(residuals[FEATURES])
    return found
