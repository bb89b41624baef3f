"""Sounds and music from diffusion models: conditioning, empty latents and decoding."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Audio,
    Choices,
    Conditioning,
    Context,
    InvalidValue,
    Latent,
    PromptText,
    Range,
    Seed,
    TextEncoder,
    Vae,
    node,
)
from nodegraph.families.prompts import MUSIC_TASKS
from nodegraph.families.registry import FAMILIES
from nodegraph.media.audio.sound_kinds import SOUND_KINDS

from ._family_facts import check_music_encoder, check_song_encoder
from ._memory import prompt_estimate
from ._sound_facts import (
    ANY_KIND,
    MUSIC_FAMILIES,
    check_decoded_sounds,
    check_requested_sound,
    decoded_sounds,
    music_latent,
    music_size,
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
    text: Annotated[str, PromptText()] = "",
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


Seconds = Annotated[float, Range(0.04, 1000)]


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "encoder.family"}},
    validate=check_music_encoder,
    estimate=prompt_estimate,
    tags=("music", "song", "lyrics", "tags", "TextEncodeAceStepAudio1.5", "text to audio"),
)
def EncodeMusicPrompt(
    ctx: Context,
    encoder: TextEncoder,
    tags: Annotated[str, PromptText()] = "",
    lyrics: Annotated[str, PromptText()] = "",
    seconds: Seconds = 60.0,
    bpm: Annotated[int, Range(0, 1000)] = 0,
    key: str = "",
    time_signature: str = "",
    language: str = "en",
    task: Annotated[str, Choices(MUSIC_TASKS)] = MUSIC_TASKS[0],
    source: Audio | None = None,
    start: Annotated[float, Range(0, 1000)] = 0.0,
    end: Annotated[float, Range(0, 1000)] = 0.0,
    track: str = "",
    reference: Audio | None = None,
    vae: Vae | None = None,
) -> Conditioning:
    """Encode tags and lyrics for a model that generates music, such as ACE-Step 1.5.

    Stable Audio reads tags and seconds alone.

    To edit music, link it as source and choose a task. Sample its latent, from VAEEncodeAudio, with
    denoise 1.

    Args:
        encoder: The text encoder of the model to sample.
        tags: Style, instruments, mood and voice.
        lyrics: The words of the song, with section marks such as [verse] and [chorus] on lines of
            their own. [inst] and no words give instrumental music.
        seconds: Length of the music, as for EmptyMusicLatent. The model reads it as text.
        bpm: Beats per minute. 0 leaves it to the model.
        key: Key and scale, for example C major. Empty leaves it to the model.
        time_signature: Beats of a bar, for example 4 or 3. Empty leaves it to the model.
        language: Code of the language of the lyrics, for example en, de or zh.
        task: text2music generates from words alone. repaint generates a part of the source anew,
            cover a new version of it. extract gives one of its tracks, lego a track to add to it,
            complete the tracks that it lacks.
        source: Audio to edit. Its length replaces seconds.
        start, end: Part of the source to generate anew, in seconds, for repaint and lego. An end of
            0 is the end of the source.
        track: Name of a track, for example vocals or drums. complete takes several with commas
            between.
        reference: Audio whose timbre the music gets.
        vae: The VAE of the model, for source and reference, and if LoadTextEncoder loaded the
            encoder from files, which lack the latents of silence.
    """
    from nodegraph.families.prompts import MusicPrompt
    from nodegraph.models.conditioning import encode_music

    edited = None if source is None else _encoded(ctx, vae, source, is_reference=False)
    heard = None if reference is None else _encoded(ctx, vae, reference, is_reference=True)
    length = seconds if source is None else source.waveform.shape[-1] / source.rate
    prompt = MusicPrompt(
        tags, lyrics, length, bpm, key, time_signature, language, task, track, start, end
    )
    silence = None if vae is None else _silence(ctx, vae)
    with ctx.weights(encoder, calls_only=True) as text_model:
        return encode_music(
            text_model,
            prompt,
            source=edited,
            reference=heard,
            silence=silence,
            warn=lambda message: ctx.log(message, "warning"),
        )


class ComposedSong(NamedTuple):
    """A song as conditioning, and its length."""

    conditioning: Conditioning
    seconds: float


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "encoder.family"}},
    validate=check_song_encoder,
    estimate=prompt_estimate,
    tags=(
        *("music", "song", "lyrics", "caption", "text to audio", "compose"),
        *("MiniMaxMusic3TextEncode", "MiniMax Music"),
    ),
)
def EncodeSongPrompt(
    ctx: Context,
    encoder: TextEncoder,
    caption: Annotated[str, PromptText()] = "",
    lyrics: Annotated[str, PromptText()] = "",
    seconds: Annotated[float, Range(0.04, 360)] = 60.0,
    seed: Annotated[int, Seed()] = 0,
    cfg: Annotated[float, Range(0, 100, step=0.1), Advanced()] = 1.5,
    top_k: Annotated[int, Range(1, 16384), Advanced()] = 50,
) -> ComposedSong:
    """Compose a song with the language model of MiniMax Music 3, as conditioning for a KSampler.

    Link its length to an EmptyMusicLatent of family minimax-music3. The language model writes 25
    frames per second, so a song takes far longer than a prompt of other models.

    Args:
        encoder: The text encoder of the model to sample.
        caption: Description of the music: genre, tempo, mood, voice, instruments and arrangement.
        lyrics: The words of the song, with section marks such as [verse] and [chorus] on lines of
            their own. Text behind a mark on its line is dropped. [intro] and [inst] need no words.
        seconds: Greatest length in seconds. The model may end the song earlier.
        seed: Seed of the composing. Another seed gives another song.
        cfg: Guidance scale of the language model. Higher values follow caption and lyrics more.
        top_k: Draw each audio code from this many of the likeliest.
    """
    from nodegraph.families.base import SECONDS
    from nodegraph.families.prompts import MusicPrompt
    from nodegraph.models.conditioning import encode_music

    prompt = MusicPrompt(
        caption, lyrics, seconds, seed=seed, cfg=cfg, top_k=top_k, on_step=ctx.progress
    )
    with ctx.weights(encoder) as text_model:
        conditioning = encode_music(
            text_model, prompt, warn=lambda message: ctx.log(message, "warning")
        )
    known = conditioning.entries[0].tensors.get(SECONDS)
    return ComposedSong(conditioning, seconds if known is None else float(known[0, 1]))


def _silence(ctx: Context, vae: Vae) -> Latent:
    from nodegraph.models.vae import encode_silence

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return encode_silence(autoencoder)


def _encoded(ctx: Context, vae: Vae | None, audio: Audio, *, is_reference: bool) -> Latent:
    """The latent of audio; of a reference, that of its timbre.

    Raises:
        InvalidValue: There is no VAE.
    """
    from nodegraph.models.vae import encode_reference, encode_sound

    if vae is None:
        raise InvalidValue(
            "a source or a reference needs the VAE of the model",
            port="vae",
            hint="Link the VAE output of LoadModel.",
        )
    with ctx.weights(vae, calls_only=True) as autoencoder:
        return (encode_reference if is_reference else encode_sound)(autoencoder, audio)


@node(
    category="latent",
    infer=music_latent,
    tags=(
        *("music", "song", "sound", "empty latent", "silence"),
        *("EmptyAceStep1.5LatentAudio", "EmptyLatentAudio", "EmptyMiniMaxMusic3LatentAudio"),
    ),
)
def EmptyMusicLatent(
    seconds: Seconds = 60.0,
    batch_size: Annotated[int, Range(1, 4096)] = 1,
    family: Annotated[str, Choices(MUSIC_FAMILIES)] = MUSIC_FAMILIES[0],
) -> Latent:
    """Empty latent of music or sound: its length for the model that generates it.

    Args:
        seconds: Length in seconds, rounded to latent frames of the model.
        batch_size: Number of pieces.
        family: The model family: ACE-Step 1.5, Stable Audio Open, Stable Audio 3, MiniMax Music 3
            or LongCat-AudioDiT.
    """
    width, height = music_size(family, seconds)
    return Latent(None, width, height, batch_size, format=FAMILIES[family].latent.name)
