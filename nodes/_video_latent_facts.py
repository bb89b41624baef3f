"""Checks of nodes that encode and decode videos. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.families.family_checks import check_one_sound, check_one_video
from nodegraph.families.registry import get_latent_format
from nodegraph.media.images.memory_checks import check_memory, vae_bytes

from ._facts import (
    check_encoded_size,
    check_sides,
    check_tiles,
    error_to_finding,
    vae_findings,
)


def check_decoded_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of images, batches of videos, video latents that do not fit in memory, and invalid
    tiles.
    """
    yield from vae_findings(inputs, "videos", "VAEDecodeAudio")
    try:
        check_one_video(inputs.fact("latent", "batch") or 1)
    except InvalidValue as error:
        yield error_to_finding("latent", error)
    yield from check_tiles(inputs)
    yield from _room(inputs, "latent")


def check_decoded_sound(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs without sound, and batches of sounds."""
    yield from vae_findings(inputs, "sound", "VAEDecode")
    try:
        check_one_sound(inputs.fact("latent", "batch") or 1)
    except InvalidValue as error:
        yield error_to_finding("latent", error)


def combined_sound_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the latent of a video with sound."""
    names = ("width", "height", "batch", "frames", "channels", "format")
    known = {name: inputs.fact("video", name) for name in names}
    return {
        "latent": {
            "has_sound": True,
            **{name: value for name, value in known.items() if value is not None},
        }
    }


def check_encoded_sound(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs without sound."""
    yield from vae_findings(inputs, "sound", "VAEEncode")


def check_encoded_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of images, and videos that the VAE cannot encode or that do not fit in memory."""
    findings = [*vae_findings(inputs, "videos", "VAEEncodeAudio")]
    if findings:
        yield from findings
        return
    yield from check_tiles(inputs)
    yield from _room(inputs, "video")
    yield from check_sides(inputs, "video", "VAE", inputs.fact("vae", "downscale"))
    temporal, form = inputs.fact("vae", "temporal"), inputs.fact("vae", "format")
    yield from check_frames("video", inputs.fact("video", "frames"), temporal, form)


def check_film(inputs: HookInputs) -> Iterator[Finding]:
    """Find first frames and frame counts that the VAE cannot encode."""
    yield from check_encoded_size(inputs)
    yield from check_frame_count(inputs)


FRAMES_PER_REFERENCE = 4
"""Frames of the latent frame that a reference image of Wan VACE takes."""


def controlled_video_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size and length of VaceConditioning's latent, as far as the references are known."""
    literals, references = inputs.literals, 0
    if "reference" in inputs.facts:
        references = inputs.fact("reference", "batch")
    known: dict[str, Any] = {name: literals.get(name) for name in ("width", "height")}
    frames = literals.get("frames")
    if frames is not None and references is not None:
        known["frames"] = frames + references * FRAMES_PER_REFERENCE
    return {"latent": {name: value for name, value in known.items() if value is not None}}


def check_frame_count(inputs: HookInputs) -> Iterator[Finding]:
    """Find frame counts that the VAE cannot encode."""
    temporal, form = inputs.fact("vae", "temporal"), inputs.fact("vae", "format")
    yield from check_frames("frames", inputs.literals.get("frames"), temporal, form)


def check_camera_frames(inputs: HookInputs) -> Iterator[Finding]:
    """Find camera paths of a length that the VAE cannot encode, and images of another size."""
    frames = inputs.fact("camera", "frames")
    yield from check_frames("camera", frames, inputs.fact("vae", "temporal"))
    sizes = [
        tuple(inputs.fact(port, side) for side in ("width", "height"))
        for port in ("image", "camera")
    ]
    if None not in sizes[0] + sizes[1] and sizes[0] != sizes[1]:
        yield Finding(
            "image",
            "the first image must have the size of the camera's path",
            f"{sizes[0][0]} x {sizes[0][1]} pixels",
            f"{sizes[1][0]} x {sizes[1][1]} pixels",
            "Put a ResizeImage before this node.",
            code="wrong-size",
        )


def check_frames(
    port: str, frames: int | None, step: int | None, form: str | None = None
) -> Iterator[Finding]:
    """Find frame counts that a model or VAE does not support.

    Args:
        step: Frames per latent frame. 0 for image models. None if unknown.
        form: Name of the latent format. None if unknown.
    """
    if frames is None or step is None:
        return
    if form is None:
        below = (frames - 1) // step * step + 1 if step else 1
        nearest: tuple[int, ...] = (below,) if below == frames else (below, below + step)
    else:
        nearest = get_latent_format(form).nearest_frames(frames)
    if frames in nearest:
        return
    hint = None if step else "The model is for images: use EmptyLatent, VAEEncode and VAEDecode."
    is_sound = form is not None and get_latent_format(form).is_sound
    yield Finding(
        port,
        "the model does not support this number of frames",
        f"{frames} frames",
        "sound" if is_sound else " or ".join(map(str, nearest)) if step else "one image",
        "The model is for sound: use EmptyMusicLatent, or VAEEncodeAudio." if is_sound else hint,
        code="wrong-size",
    )


def _room(inputs: HookInputs, port: str) -> Iterator[Finding]:
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    frames = inputs.fact(port, "frames")
    if None in (width, height, frames):
        return
    try:
        check_memory(width, height, frames, vae_bytes(width, height, frames), port=port)
    except InvalidValue as error:
        yield error_to_finding(port, error)
