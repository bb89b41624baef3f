"""Audio: load, save, trim, mix, resample and draw it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Audio, Context, File, Image, Range, node

from ._audio_facts import check_audio, check_mixed, loaded_audio_facts, resampled_audio_facts
from ._credentials import warn_if_changed
from ._facts import check_result_name, image_state
from ._result_files import result_name, save_picture, save_result

_SAME = {"rate": "audio.rate", "channels": "audio.channels"}


@node(
    category="audio",
    lane="io",
    infer=loaded_audio_facts,
    validate=check_audio,
    fingerprint=image_state,
    tags=("open", "read", "sound", "music", "voice"),
)
def LoadAudio(
    ctx: Context,
    path: Annotated[str, File("audio")],
    start: Annotated[float, Range(0, 1_000_000)] = 0.0,
    seconds: Annotated[float, Range(0, 1_000_000)] = 0.0,
) -> Audio:
    """Read audio from a file.

    The start and length select a part of a long file, so that the rest is not read into memory.

    Args:
        path: WAV, FLAC, OGG, MP3, M4A and others, or a video. Relative paths start from the inputs
            folder.
        start: Seconds to skip at the beginning.
        seconds: Maximum length to read, in seconds. 0 reads all.
    """
    from nodegraph.media.audio.codec import read_audio

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    loaded = read_audio(
        file,
        start=start,
        seconds=seconds,
        names=environment.readable is None,
        check_cancelled=ctx.check_cancelled,
    )
    warn_if_changed(ctx, file)
    return loaded


@node(
    category="audio",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "sound", "music", "wav", "flac"),
)
def SaveAudio(
    ctx: Context,
    audio: Audio,
    name: str = "audio",
    format: Literal["flac", "wav", "ogg"] = "flac",
    quality: Annotated[int, Range(1, 100), Advanced()] = 75,
    picture: Annotated[bool, Advanced()] = True,
) -> None:
    """Write audio to the output folder, with the workflow that made it.

    Files are numbered: song_00001.flac. A file with the same content is not written again.

    Args:
        audio: Audio with up to eight channels.
        name: Start of the file name. songs/song makes a subfolder. Placeholders like %date% are
            filled in as in SaveImage.
        format: FLAC is lossless at 24 bits. WAV keeps every bit and is larger. OGG (Opus) is small.
        quality: Quality of OGG.
        picture: Also write an image of the waveform.
    """
    from nodegraph.media.audio.codec import AUDIO_SUFFIXES, encode_audio
    from nodegraph.media.audio.visualization import waveform_image

    total = audio.waveform.shape[-1]
    texts = ctx.file_metadata()
    content = encode_audio(
        audio, format, quality, texts, on_progress=lambda done: ctx.progress(done, total)
    )
    if format != "wav" and audio.waveform.abs().max() > 1:
        ctx.log(f"{format} clips samples above 1. Put an AmplifyAudio before this node.", "warning")
    name = result_name(ctx, name)
    save_result(ctx, name, AUDIO_SUFFIXES[format], content, kind="audio")
    if picture:
        save_picture(ctx, name, waveform_image(audio))


@node(category="audio", facts={"audio": _SAME}, tags=("cut", "crop", "shorten"))
def TrimAudio(
    audio: Audio,
    start: Annotated[float, Range(0, 1_000_000)] = 0.0,
    seconds: Annotated[float, Range(0, 1_000_000)] = 0.0,
) -> Audio:
    """Cut a part out of audio.

    Args:
        audio: Audio of any length.
        start: Seconds to skip at the beginning.
        seconds: Maximum length to keep, in seconds. 0 keeps all.
    """
    from nodegraph.media.audio.transforms import trim

    return trim(audio, start=start, seconds=seconds)


@node(category="audio", tags=("concatenate", "append", "sequence"))
def JoinAudio(
    audios: list[Audio],
    last: Audio | None = None,
    gap: Annotated[float, Range(0, 3600)] = 0.0,
) -> Audio:
    """Concatenate audio clips.

    Args:
        audios: One clip, or several in order. All need the same sample rate, and the same number of
            channels or one channel.
        last: A clip to append at the end.
        gap: Seconds of silence between two clips.
    """
    from nodegraph.media.audio.transforms import concatenate

    return concatenate([*audios, *([] if last is None else [last])], gap=gap)


@node(
    category="audio",
    facts={"audio": {"rate": "audio.rate"}},
    validate=check_mixed,
    tags=("overlay", "background", "music"),
)
def MixAudio(
    audio: Audio,
    other: Audio,
    level: Annotated[float, Range(0, 100, step=0.05)] = 1.0,
    start: Annotated[float, Range(0, 1_000_000)] = 0.0,
) -> Audio:
    """Mix two audio clips, so that both play at once. The result ends with the later one.

    Args:
        audio: The first clip; its level does not change.
        other: The second clip, with the same sample rate, and the same number of channels or one
            channel.
        level: Factor for the samples of the second clip.
        start: Second at which the second clip begins.
    """
    from nodegraph.media.audio.transforms import mix

    return mix(audio, other, level=level, start=start)


@node(category="audio", facts={"audio": _SAME}, tags=("volume", "gain", "louder", "normalize"))
def AmplifyAudio(
    audio: Audio, decibels: Annotated[float, Range(-100, 100)] = 0.0, normalize: bool = False
) -> Audio:
    """Make audio louder or softer.

    Args:
        audio: The audio to change.
        decibels: Gain. 6 doubles the sample values, -6 halves them.
        normalize: First scale the audio so that its loudest sample is 1.
    """
    from nodegraph.media.audio.transforms import amplify

    return amplify(audio, decibels=decibels, normalize=normalize)


@node(category="audio", infer=resampled_audio_facts, tags=("rate", "convert", "hertz"))
def ResampleAudio(audio: Audio, rate: Annotated[int, Range(1_000, 384_000)] = 48_000) -> Audio:
    """Convert audio to another sample rate. Length and pitch do not change.

    Args:
        audio: Audio with 1,000 to 384,000 samples per second.
        rate: New sample rate, in samples per second.
    """
    from nodegraph.media.audio.transforms import resample

    return resample(audio, rate)


@node(category="audio", tags=("waveform", "picture", "plot"))
def DrawAudio(
    audio: Audio,
    width: Annotated[int, Range(16, 8192)] = 1024,
    height: Annotated[int, Range(16, 8192)] = 256,
) -> Image:
    """Draw the waveform of audio.

    Args:
        audio: The audio. Its channels are drawn below each other.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
    """
    from nodegraph.media.audio.visualization import waveform_image

    return waveform_image(audio, width, height)
