"""Facts and checks of the motion model nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.items.motions import FRAMES, FRAMES_PER_SECOND, SIDE, check_latents

from ._facts import check_transparency, error_to_finding


def motion_family(inputs: HookInputs) -> dict[str, Facts]:
    """The model family that the conditioning is for."""
    return {"conditioning": {"family": "motions"}}


def decoded_videos(inputs: HookInputs) -> dict[str, Facts]:
    """Size, number and rate of the frames."""
    known = {"width": SIDE, "height": SIDE, "frames": FRAMES, "rate": float(FRAMES_PER_SECOND)}
    return {"videos": known}


def check_moved(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of another latent format, and invalid first frames."""
    yield from _check_vae(inputs)
    pictures = inputs.fact("image", "batch") or 1
    if pictures != 1:
        yield Finding(
            "image",
            "the first frame needs a single image",
            f"{pictures} images",
            "1",
            "Use ImageList to split a batch. The nodes after it then run for each image.",
        )
    yield from check_transparency(inputs)


def check_decoded_motions(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents and VAEs of other models."""
    yield from _check_vae(inputs)
    known = inputs.fact("latent", "format")
    if known not in (None, "motions"):
        hint = "Sample with a motion model, for example tiny/motions."
        yield Finding(
            "latent", "the latent is not from a motion model", str(known), "motions", hint
        )


def _check_vae(inputs: HookInputs) -> Iterator[Finding]:
    known = [inputs.fact("vae", name) for name in ("format", "channels", "downscale")]
    if None in known:
        return
    try:
        check_latents(*known)
    except NodegraphError as error:
        yield error_to_finding("vae", error)
