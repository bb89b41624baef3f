"""Facts and checks of nodes that encode images, before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodegraph import Facts, Finding, HookInputs

from ._facts import check_encoded_size


def _sides(inputs: HookInputs) -> dict[str, int | None]:
    """Width and height of the image that is encoded, in pixels; None if unknown."""
    sides = {side: inputs.fact("image", side) for side in ("width", "height")}
    if inputs.literals.get("crop") is False:
        return sides
    cell = inputs.fact("vae", "downscale")
    if cell is None or "crop" not in inputs.literals:
        return dict.fromkeys(sides)
    return {name: side and (side // cell * cell or side) for name, side in sides.items()}


def _known(facts: Mapping[str, Any]) -> Facts:
    return {name: value for name, value in facts.items() if value is not None}


def encoded_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Size, batch and format of the latents of images."""
    made = {"channels": inputs.fact("vae", "channels"), "format": inputs.fact("vae", "format")}
    batch = {"batch": inputs.fact("image", "batch")}
    return {"latent": _known({**_sides(inputs), **batch, **made})}


def unmasked_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """As `encoded_outputs`, of latents without a noise mask."""
    return {"latent": {**encoded_outputs(inputs)["latent"], "masked": False}}


def inpaint_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of InpaintConditioning: those of the latent, and the family of the prompt."""
    family = {"family": inputs.fact("conditioning", "family")}
    return {**encoded_outputs(inputs), "conditioning": _known(family)}


def image_conditioning_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of ImageConditioning. Its latent is empty."""
    family = {"family": inputs.fact("conditioning", "family")}
    return {"latent": _known(_sides(inputs)), "conditioning": _known(family)}


def check_croppable(inputs: HookInputs) -> Iterator[Finding]:
    """Find images that the VAE cannot encode, or that need too much memory.

    If images are cropped, sides that are not multiples of the VAE's cell are accepted, unless they
    are smaller than one cell.
    """
    cell = inputs.fact("vae", "downscale") or 1
    crops = inputs.literals.get("crop") is not False
    for finding in check_encoded_size(inputs):
        sides = [inputs.fact("image", side) or cell for side in ("width", "height")]
        if crops and finding.code == "wrong-size" and min(sides) >= cell:
            continue
        yield finding
