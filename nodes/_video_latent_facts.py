"""What the nodes between videos and latents check before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs, InvalidValue
from nodegraph.media.images.memory_checks import check_memory, vae_bytes

from ._facts import check_encoded_size, check_sides, check_tiles, error_to_finding


def check_decoded_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents of videos that there isn't enough memory for, and faulty tiles."""
    yield from check_tiles(inputs)
    yield from _room(inputs, "latent")


def check_encoded_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find videos that the VAE can't encode, or that there isn't enough memory for."""
    yield from check_tiles(inputs)
    yield from _room(inputs, "video")
    yield from check_sides(inputs, "video", "VAE", inputs.fact("vae", "downscale"))
    yield from check_frames("video", inputs.fact("video", "frames"), inputs.fact("vae", "temporal"))


def check_film(inputs: HookInputs) -> Iterator[Finding]:
    """Find first pictures that the VAE can't encode, and numbers of frames that it can't."""
    yield from check_encoded_size(inputs)
    yield from check_frames("frames", inputs.literals.get("frames"), inputs.fact("vae", "temporal"))


def check_frames(port: str, frames: int | None, step: int | None) -> Iterator[Finding]:
    """Find numbers of frames that a model or VAE can't work on.

    Args:
        step: Frames that share a latent frame, 0 of what works on pictures alone; None if unknown.
    """
    if frames is None or step is None or (frames - 1) % (step or frames + 1) == 0:
        return
    below = (frames - 1) // step * step + 1 if step else 1
    yield Finding(
        port,
        "the model can't work on that many frames",
        f"{frames} frames",
        f"{below} or {below + step}" if step else "a picture",
        None if step else "It works on pictures: use EmptyLatent, VAEEncode and VAEDecode.",
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
