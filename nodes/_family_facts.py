"""Checks of conditioning nodes by the family of the prompt or the encoder. Imports no torch.

They find a node of another family before a text encoder or a diffusion model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.family_checks import (
    check_animates_characters,
    check_first_images,
    check_follows_camera,
    check_follows_driving_video,
    check_follows_tracks,
    check_frame_inside,
    check_free_frame,
    check_generates_music,
    check_has_second_expert,
    check_one_image_prompt,
    check_reads_image_prompt,
    check_reads_images,
    check_reads_references,
    check_sampled_area,
    check_song_text,
    check_starts_with_image,
    check_takes_control_image,
    check_takes_control_videos,
    check_takes_guides,
    check_takes_keyframes,
    check_takes_last_image,
    check_takes_references,
    check_vae_format,
)
from nodegraph.families.index import INDEX
from nodegraph.families.needed_media import DRIVING_VIDEO, STAGE_C_LATENT
from nodegraph.families.registry import FAMILIES, family_with_vae

from ._conditioning_facts import check_area
from ._encoded_facts import check_croppable, image_conditioning_outputs
from ._prompt_facts import check_references
from ._sampling_facts import check_findings
from ._video_latent_facts import (
    check_camera_frames,
    check_film,
    check_frame_count,
    controlled_video_facts,
)


def check_first_picture(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without image-to-video models, and sizes that the VAE cannot encode."""
    checks = [check_starts_with_image]
    if is_linked(inputs, "last_image"):
        checks.append(check_takes_last_image)
    yield from _prompt_findings(inputs, _first_picture_findings, *checks)


def _first_picture_findings(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of other models, wrong numbers of images, and sizes that the VAE cannot encode."""
    family, form = (
        FAMILIES.get(inputs.fact("conditioning", "family") or ""),
        inputs.fact("vae", "format"),
    )
    if family is not None and form is not None:
        family = family_with_vae(family, form)
        findings = [*check_findings(check_vae_format, "vae", family, form)]
        count, frames = inputs.fact("image", "batch"), inputs.literals.get("frames")
        if not findings and count is not None and frames is not None:
            findings = [*check_findings(check_first_images, "image", family, count, frames)]
        if findings:
            yield from findings
            return
    yield from check_film(inputs)


def check_tracks(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that follow tracks, and sizes that the VAE cannot encode."""
    yield from _prompt_findings(inputs, check_film, check_follows_tracks)


def check_camera(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that follow a camera, and paths that do not fit."""
    yield from _prompt_findings(inputs, check_camera_frames, check_follows_camera)


def check_animation(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that animate characters, and sizes that the VAE cannot
    encode.
    """
    yield from _prompt_findings(inputs, check_film, check_animates_characters)


def check_driving_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that follow a video, and sizes that the VAE cannot encode."""
    yield from _prompt_findings(inputs, check_film, check_follows_driving_video)


def check_reference_latents(inputs: HookInputs) -> Iterator[Finding]:
    """Find families whose models take no reference images, and a node without an effect."""
    yield from _prompt_findings(inputs, check_references, check_takes_references)


def check_image_to_follow(inputs: HookInputs) -> Iterator[Finding]:
    """Find families whose models take no control image, and sizes that the VAE cannot encode."""
    yield from _prompt_findings(inputs, check_croppable, check_takes_control_image)


def check_second_expert(inputs: HookInputs) -> Iterator[Finding]:
    """Find families whose models have one denoiser."""
    yield from _prompt_findings(inputs, _no_findings, check_has_second_expert)


def check_limited_area(inputs: HookInputs) -> Iterator[Finding]:
    """Find empty areas, shares above 1, and areas of sound that are sampled alone."""
    yield from check_area(inputs)
    family = FAMILIES.get(inputs.fact("conditioning", "family") or "")
    if family is not None and inputs.literals.get("sampled") == "area":
        yield from check_findings(check_sampled_area, "sampled", family)


def check_song_encoder(inputs: HookInputs) -> Iterator[Finding]:
    """Find text encoders of families that generate no music, and texts that these need."""
    family = FAMILIES.get(inputs.fact("encoder", "family") or "")
    if family is None:
        return
    yield from check_findings(check_generates_music, "encoder", family, code="wrong-family")
    for port, name in (("caption", "tags"), ("lyrics", "lyrics")):
        text = inputs.literals.get(port)
        if text is not None:
            findings = check_findings(check_song_text, port, family, name, text)
            yield from (replace(finding, port=port) for finding in findings)


def frame_guide_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of a latent with a guide more: those of the latent, and the frames of its guides."""
    names = ("width", "height", "batch", "frames", "channels", "format")
    known = {name: inputs.fact("latent", name) for name in names}
    kept = {name: value for name, value in known.items() if value is not None}
    taken = tuple(inputs.fact("latent", "guides") or ())
    start = _guide_start(inputs)
    return {"latent": {**kept, "guides": (*taken, _UNKNOWN if start is None else start)}}


def check_frame_guide(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of models without frame guides, and frames that have a guide or are outside."""
    form = inputs.fact("vae", "format")
    findings = []
    if form is not None:
        families = [FAMILIES[name] for name, entry in INDEX.items() if entry.latent == form]
        if families and not any(family.takes_guides for family in families):
            findings = [*check_findings(check_takes_guides, "vae", families[0], 1)]
    if findings:
        yield from (replace(item, port="vae", code="wrong-family") for item in findings)
        return
    outside = [*check_frame_port(inputs)]
    yield from outside
    taken, start = inputs.fact("latent", "guides") or (), _guide_start(inputs)
    if not outside and start is not None:
        yield from check_findings(
            partial(check_free_frame, what="guide"), "frame", start, _known(taken)
        )


_UNKNOWN = -1
"""Frame of a guide or keyframe that is not known before the run, or that others may share."""


def _known(frames: Sequence[int]) -> list[int]:
    return [frame for frame in frames if frame != _UNKNOWN]


def _guide_start(inputs: HookInputs) -> int | None:
    """Frame that a guide begins at; None if it is unknown or may have several guides."""
    start = _start_frame(inputs)
    if start == 0 and inputs.literals.get("append") is not False:
        # Several control videos may be beside the video.
        return None
    if not start or inputs.fact("image", "batch") == 1:
        return start
    # A clip after frame 0 is moved to the beginning of a latent frame.
    temporal = inputs.fact("vae", "temporal")
    return start if temporal and (start - 1) % temporal == 0 else None


def _start_frame(inputs: HookInputs) -> int | None:
    """Frame from 0 that `frame` means; None if it is unknown or outside of the video."""
    frame, frames = inputs.literals.get("frame"), inputs.fact("latent", "frames")
    if frame is None or (frame < 0 and frames is None):
        return None
    start = int(frame if frame >= 0 else frame + frames)
    return start if start >= 0 else None


def keyframe_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of a prompt with a keyframe more: its family, and the frames of its keyframes."""
    known = inputs.facts.get("conditioning", {})
    facts = {"family": known["family"]} if "family" in known else {}
    start = _start_frame(inputs)
    start = _UNKNOWN if start is None else start
    kinds = {"image": ("image", "vae"), "sound": ("audio", "audio_vae")}
    frames = {
        f"{kind}_frames": (
            *(known.get(f"{kind}_frames") or ()),
            *([start] if all(is_linked(inputs, port) for port in ports) else ()),
        )
        for kind, ports in kinds.items()
    }
    return {"conditioning": {**facts, **frames}}


def first_image_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A prompt with a first image, and the size of that."""
    facts = _with_medium(inputs, "first image")["conditioning"]
    size = inputs.fact("image", "width"), inputs.fact("image", "height")
    return {"conditioning": facts if None in size else {**facts, "first_image_size": size}}


def vace_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of VaceConditioning."""
    return {**controlled_video_facts(inputs), **_with_medium(inputs, "VACE context")}


def control_video_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A prompt with a control video."""
    return _with_medium(inputs, "control video")


def camera_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A prompt with a camera path."""
    return _with_medium(inputs, "camera path")


def animation_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A prompt with the poses and the face of a character."""
    return _with_medium(inputs, "animation")


def driving_video_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A prompt with a driving video."""
    return _with_medium(inputs, DRIVING_VIDEO)


def stage_b_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A prompt with the latent of stage C."""
    return _with_medium(inputs, STAGE_C_LATENT)


def reference_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A prompt with reference images, if a latent is linked."""
    has_latent = is_linked(inputs, "latent")
    facts = _with_medium(inputs, "references" if has_latent else None)["conditioning"]
    before = inputs.fact("conditioning", "reference_images")
    added = inputs.fact("latent", "batch") if has_latent else 0
    counted = {
        "prompt_images": inputs.fact("conditioning", "prompt_images"),
        "reference_images": None if before is None or added is None else before + added,
    }
    known = {name: count for name, count in counted.items() if count is not None}
    return {"conditioning": {**facts, **known}}


def control_image_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of ImageConditioning."""
    outputs = image_conditioning_outputs(inputs)
    shown = _with_medium(inputs, "control image")["conditioning"]
    return {**outputs, "conditioning": {**outputs.get("conditioning", {}), **shown}}


def _with_medium(inputs: HookInputs, medium: str | None) -> dict[str, Facts]:
    known = tuple(inputs.fact("conditioning", "media") or ())
    return {"conditioning": {"media": known if medium is None else (*known, medium)}}


def check_control_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without models that take control videos, and wrong frame counts."""
    yield from _prompt_findings(inputs, check_frame_count, check_takes_control_videos)


def check_keyframe(inputs: HookInputs) -> Iterator[Finding]:
    """Find families without keyframes, frames outside of the video, and missing VAEs."""
    yield from _prompt_findings(inputs, _keyframe_findings, check_takes_keyframes)
    has_image = is_linked(inputs, "image") and is_linked(inputs, "vae")
    has_sound = is_linked(inputs, "audio") and is_linked(inputs, "audio_vae")
    if not has_image and not has_sound:
        yield Finding(
            "image",
            "a keyframe needs an image with a VAE, or audio with a VAE for sound",
            hint="Link image and vae, or audio and audio_vae.",
            code="missing-input",
        )


def _keyframe_findings(inputs: HookInputs) -> Iterator[Finding]:
    """Find frames outside of the video, and frames that have such a keyframe already."""
    outside = [*check_frame_port(inputs)]
    yield from outside
    start = _start_frame(inputs)
    if outside or start is None:
        return
    for kind, ports in (("image", ("image", "vae")), ("sound", ("audio", "audio_vae"))):
        taken = _known(inputs.fact("conditioning", f"{kind}_frames") or ())
        if all(is_linked(inputs, port) for port in ports):
            what = "keyframe" if kind == "image" else "sound"
            yield from check_findings(partial(check_free_frame, what=what), "frame", start, taken)


def _no_findings(_: HookInputs) -> Iterator[Finding]:
    return iter(())


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
    # Other families take its prompts, too, so the prompt alone does not say which one it is.
    takers = [name for name, entry in INDEX.items() if family.name in entry.accepts_prompts_of]
    families = [family, *(FAMILIES[name] for name in takers)]
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
