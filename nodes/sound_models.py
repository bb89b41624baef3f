"""Sounds by diffusion: what to ask for, and what came of it."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Audio, Choices, Conditioning, Context, Latent, Range, Seed, node
from nodegraph.media.audio.sound_kinds import SOUND_KINDS

from ._sound_facts import (
    ANY_KIND,
    check_decoded_sounds,
    check_requested_sound,
    decoded_sounds,
    requested_sound,
    sound_family,
)


@node(
    category="conditioning",
    infer=sound_family,
    validate=check_requested_sound,
    tags=("sounds", "audio", "text to audio", "music", "instrument", "effects", "prompt", "note"),
)
def SoundConditioning(
    ctx: Context,
    text: str = "",
    kind: Annotated[str, Choices((ANY_KIND, *SOUND_KINDS))] = ANY_KIND,
    pitch: str = "",
    seconds: Annotated[float, Range(0.1, 1, step=0.05)] | None = None,
) -> Conditioning:
    """What a sound is to be like, in words or by kind, pitch and length; the rest is left open.

    Args:
        text: Such as "a violin at A4, 0.5 s"; it counts for what the other inputs leave open.
        kind: Instrument, animal, machine or noise.
        pitch: A note, such as A4 or C#5, or a frequency, such as 440 Hz.
        seconds: Until it is silent.
    """
    from nodegraph.families.sounds import sound_conditioning

    sound = requested_sound(text, kind, pitch, seconds)
    if sound.out_of_range_note:
        ctx.log(f"{sound.out_of_range_note}: it may not come out so", "warning")
    return sound_conditioning(sound)


@node(
    category="audio",
    infer=decoded_sounds,
    validate=check_decoded_sounds,
    numerics=True,
    tags=("sounds", "decode", "VAEDecodeAudio", "Griffin-Lim", "vocoder", "spectrogram"),
)
def DecodeSound(
    latent: list[Latent],
    rounds: Annotated[int, Range(0, 1000)] = 32,
    seed: Annotated[int, Seed(), Advanced()] = 0,
) -> list[Audio]:
    """Make sounds of latents that a model of sounds has sampled: one of each.

    Args:
        latent: One or several, of a KSampler with a model such as tiny/sounds.
        rounds: How often phases are fitted to the spectrogram (Griffin-Lim); few sound hoarse.
        seed: Of the phases that it begins with.
    """
    from nodegraph.families.items.latents import all_items
    from nodegraph.families.sounds import decode_sounds

    return decode_sounds(all_items(latent, "sounds"), rounds=rounds, seed=seed)
