"""Sounds from diffusion models: conditioning and decoding."""

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
    """Conditioning for a sound model: a text, or kind, pitch and length.

    Inputs that are left out are not conditioned.

    Args:
        text: Description, for example "a violin at A4, 0.5 s". It sets what the other inputs leave
            open.
        kind: Instrument, animal, machine or noise.
        pitch: A note, for example A4 or C#5, or a frequency, for example 440 Hz.
        seconds: Length in seconds until the sound is silent.
    """
    from nodegraph.families.sounds import sound_conditioning

    sound = requested_sound(text, kind, pitch, seconds)
    if sound.out_of_range_note:
        ctx.log(f"{sound.out_of_range_note}: the sound may not match it", "warning")
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
    """Decode latents of a sound model to audio, one sound per item.

    Args:
        latent: Latents from a KSampler with a sound model, for example tiny/sounds.
        rounds: Number of Griffin-Lim iterations, which fit the phases to the spectrogram. Few
            iterations sound hoarse.
        seed: Seed of the initial phases.
    """
    from nodegraph.families.items.latents import all_items
    from nodegraph.families.sounds import decode_sounds

    return decode_sounds(all_items(latent, "sounds"), rounds=rounds, seed=seed)
