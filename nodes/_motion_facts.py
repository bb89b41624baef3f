"""What nodes of pictures in motion know and check before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.items.motions import FRAMES, FRAMES_PER_SECOND, SIDE, check_latents

from ._facts import check_transparency, error_to_finding


def motion_family(inputs: HookInputs) -> dict[str, Facts]:
    """For which models it is."""
    return {"conditioning": {"family": "motions"}}


def decoded_videos(inputs: HookInputs) -> dict[str, Facts]:
    """Size, number and rate of the frames that a model makes."""
    known = {"width": SIDE, "height": SIDE, "frames": FRAMES, "rate": float(FRAMES_PER_SECOND)}
    return {"videos": known}


def check_moved(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of other latents, and what no frames begin with."""
    yield from _check_vae(inputs)
    pictures = inputs.fact("image", "batch") or 1
    if pictures != 1:
        yield Finding(
            "image",
            "frames begin with a single picture",
            f"{pictures} pictures",
            "1",
            "ImageList takes a batch apart: what follows then runs for each.",
        )
    yield from check_transparency(inputs)


def check_decoded_motions(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents of something else, and VAEs of others."""
    yield from _check_vae(inputs)
    known = inputs.fact("latent", "format")
    if known not in (None, "motions"):
        hint = "Sample with a model of pictures in motion, such as tiny/motions."
        yield Finding("latent", "this latent isn't of frames", str(known), "motions", hint)


def _check_vae(inputs: HookInputs) -> Iterator[Finding]:
    known = [inputs.fact("vae", name) for name in ("format", "channels", "downscale")]
    if None in known:
        return
    try:
        check_latents(*known)
    except NodegraphError as error:
        yield error_to_finding("vae", error)
