"""Facts and checks of the sound model nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.families import longcat_audio, minimax_music3, stable_audio, stable_audio_3
from nodegraph.families.ace_step import FEATURES, music_frames
from nodegraph.families.registry import FAMILIES
from nodegraph.media.audio.sound_kinds import (
    SOUND_KINDS,
    SoundRequest,
    parse_pitch,
    parse_sound_prompt,
)

from ._facts import error_to_finding

ANY_KIND = "any"
RATE = 16_000


def requested_sound(text: str, kind: str, pitch: str, seconds: float | None) -> SoundRequest:
    """The sound that the inputs request, and the text where they are left out."""
    parsed = parse_sound_prompt(text)
    return SoundRequest(
        parsed.kind if kind == ANY_KIND else kind,
        parse_pitch(pitch) or parsed.pitch,
        parsed.seconds if seconds is None else seconds,
    )


def sound_family(inputs: HookInputs) -> dict[str, Facts]:
    """The model family that the conditioning is for."""
    return {"conditioning": {"family": "sounds"}}


def decoded_sounds(inputs: HookInputs) -> dict[str, Facts]:
    """Sample rate and channels of the sounds."""
    return {"audios": {"rate": RATE, "channels": 1}}


def check_requested_sound(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid texts and pitches, and values outside the training range."""
    literals = inputs.literals
    text, pitch, kind = literals.get("text"), literals.get("pitch"), literals.get("kind")
    if text is None or pitch is None or kind not in (ANY_KIND, *SOUND_KINDS):
        return
    try:
        request = requested_sound(text, kind, pitch, literals.get("seconds"))
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "text", error)
        return
    if request.out_of_range_note:
        yield Finding(
            "pitch", f"{request.out_of_range_note}: the sound may not match it", is_warning=True
        )


def check_decoded_sounds(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents of other models."""
    known = inputs.fact("latent", "format")
    if known not in (None, "sounds"):
        hint = "Sample with a sound model, for example tiny/sounds."
        yield Finding("latent", "the latent is not from a sound model", str(known), "sounds", hint)


MUSIC_FAMILIES = (
    "ace-step",
    "stable-audio",
    "stable-audio-3",
    "minimax-music3",
    "longcat-audio",
)
"""Families whose latents are music alone."""


def music_size(family: str, seconds: float) -> tuple[int, int]:
    """Width and height of the latent of a length, for one of `MUSIC_FAMILIES`."""
    if family == "stable-audio":
        return stable_audio.sound_frames(seconds), stable_audio.CHANNELS
    if family == "stable-audio-3":
        return stable_audio_3.sound_frames_3(seconds), stable_audio_3.CHANNELS
    if family == "minimax-music3":
        return minimax_music3.song_latent_frames(seconds), minimax_music3.CHANNELS
    if family == "longcat-audio":
        return longcat_audio.CHANNELS, longcat_audio.longcat_frames(seconds)
    return FEATURES, music_frames(seconds)


def music_latent(inputs: HookInputs) -> dict[str, Facts]:
    """Size and number of the pieces of an empty latent of music."""
    names = "seconds", "family", "batch_size"
    seconds, family, count = (inputs.literals.get(name) for name in names)
    known: dict[str, object] = {} if count is None else {"batch": count}
    if seconds is not None and family in MUSIC_FAMILIES:
        width, height = music_size(family, seconds)
        form = FAMILIES[family].latent.name
        known |= {"width": width, "height": height, "format": form}
    return {"latent": known}


def empty_audio_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of an empty latent of the sound of a video of LTX-2."""
    count = inputs.literals.get("batch_size")
    known: dict[str, object] = {} if count is None else {"batch": count}
    return {"latent": {**known, "format": FAMILIES["ltx2"].latent.name, "without_video": True}}
