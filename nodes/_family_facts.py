"""Checks of conditioning nodes by the family of the prompt or the encoder. Imports no torch.

They find a node of another family before a text encoder or a diffusion model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nodegraph import Finding, HookInputs, InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.family_checks import (
    check_follows_camera,
    check_follows_tracks,
    check_frame_inside,
    check_generates_music,
    check_one_image_prompt,
    check_reads_image_prompt,
    check_reads_images,
    check_reads_references,
    check_song_text,
    check_starts_with_image,
    check_takes_control_videos,
    check_takes_keyframes,
    check_takes_last_image,
)
from nodegraph.families.registry import FAMILIES

from ._sampling_facts import check_findings
from ._video_latent_facts import check_camera_frames, check_film, check_frame_count


def check_first_picture(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without image-to-video models, and sizes that the VAE cannot encode."""
    checks = [check_starts_with_image]
    if is_linked(inputs, "last_image"):
        checks.append(check_takes_last_image)
    yield from _prompt_findings(inputs, check_film, *checks)


def check_tracks(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that follow tracks, and sizes that the VAE cannot encode."""
    yield from _prompt_findings(inputs, check_film, check_follows_tracks)


def check_camera(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that follow a camera, and paths that do not fit."""
    yield from _prompt_findings(inputs, check_camera_frames, check_follows_camera)


def check_control_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that take control videos, and wrong frame counts."""
    yield from _prompt_findings(inputs, check_frame_count, check_takes_control_videos)


def check_keyframe(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without keyframes, frames outside of the video, and missing VAEs."""
    yield from _prompt_findings(inputs, check_frame_port, check_takes_keyframes)
    has_image = is_linked(inputs, "image") and is_linked(inputs, "vae")
    has_sound = is_linked(inputs, "audio") and is_linked(inputs, "audio_vae")
    if not has_image and not has_sound:
        yield Finding(
            "image",
            "a keyframe needs an image with a VAE, or audio with a VAE for sound",
            hint="Link image and vae, or audio and audio_vae.",
            code="missing-input",
        )


def check_references_to_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find text encoders of other families, a lack of references, and wrong frame counts."""
    family = FAMILIES.get(inputs.fact("encoder", "family") or "")
    if family is not None:
        yield from check_findings(check_reads_references, "encoder", family, code="wrong-family")
    if not is_linked(inputs, "images") and not is_linked(inputs, "videos"):
        yield Finding(
            "images",
            "there is no image and no video to refer to",
            hint="Link an image or a video. Without references, use EncodePrompt.",
            code="missing-input",
        )
    yield from check_frame_count(inputs)


def check_edit_encoder(inputs: HookInputs) -> Iterator[Finding]:
    """Find text encoders that take no images."""
    family = FAMILIES.get(inputs.fact("encoder", "family") or "")
    if family is not None:
        yield from check_findings(check_reads_images, "encoder", family, code="wrong-family")


def check_image_encoder(inputs: HookInputs) -> Iterator[Finding]:
    """Find encoders that take no image in place of a text, and several images."""
    family = FAMILIES.get(inputs.fact("encoder", "family") or "")
    if family is not None:
        yield from check_findings(check_reads_image_prompt, "encoder", family, code="wrong-family")
    yield from check_findings(check_one_image_prompt, "image", inputs.fact("image", "batch") or 1)


def check_music_encoder(inputs: HookInputs) -> Iterator[Finding]:
    """Find text encoders of families that generate no music, and texts that these need."""
    family = FAMILIES.get(inputs.fact("encoder", "family") or "")
    if family is None:
        return
    yield from check_findings(check_generates_music, "encoder", family, code="wrong-family")
    for port in ("tags", "lyrics"):
        text = inputs.literals.get(port)
        if text is not None:
            yield from check_findings(check_song_text, port, family, port, text)


def check_frame_port(inputs: HookInputs) -> Iterator[Finding]:
    """Find frames outside of the video."""
    frame, frames = inputs.literals.get("frame"), inputs.fact("latent", "frames")
    if frame is not None and frames is not None:
        yield from check_findings(check_frame_inside, "frame", frame, frames)


def is_linked(inputs: HookInputs, port: str) -> bool:
    """Whether an optional port has a link."""
    return inputs.literals.get(port, ...) is not None


def _prompt_findings(
    inputs: HookInputs,
    otherwise: Callable[[HookInputs], Iterator[Finding]],
    *checks: Callable[[Family], None],
) -> Iterator[Finding]:
    """Findings of checks of the prompt's family, or else those of another check.

    Sizes and frame counts of a family that does not support the node at all would mislead.
    """
    family = FAMILIES.get(inputs.fact("conditioning", "family") or "")
    if family is None:
        yield from otherwise(inputs)
        return
    # Some families take each other's prompts, so the prompt alone does not say which one it is.
    families = [family, *(FAMILIES[name] for name in family.accepts_prompts_of)]
    findings = [
        finding
        for check in checks
        if not any(map(_passes(check), families))
        for finding in check_findings(check, "conditioning", family, code="wrong-family")
    ]
    yield from findings or otherwise(inputs)


def _passes(check: Callable[[Family], None]) -> Callable[[Family], bool]:
    def passes(family: Family) -> bool:
        try:
            check(family)
        except InvalidValue:
            return False
        return True

    return passes
