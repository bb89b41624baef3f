"""Audio measured, compared and drawn by its frequencies."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Audio, Context, Image, Range, node

from ._audio_facts import check_mixed


@node(category="audio", tags=("spectrum", "frequencies", "mel", "picture", "plot", "sonogram"))
def DrawSpectrogram(
    audio: Audio,
    width: Annotated[int, Range(16, 8192)] = 1024,
    height: Annotated[int, Range(16, 8192)] = 256,
    decibels: Annotated[float, Range(10, 180), Advanced()] = 60.0,
) -> Image:
    """Draw which frequencies audio has over time, low ones at the bottom, as ears space them.

    Args:
        audio: Its channels are drawn below each other.
        width: In pixels.
        height: In pixels.
        decibels: How far below a full sine it is drawn as silence.
    """
    from nodegraph.media.audio.visualization import spectrogram_image

    return spectrogram_image(audio, width, height, decibels)


class AudioMeasures(NamedTuple):
    """Figures of audio."""

    seconds: float
    peak: float
    loudness: float
    pitch: float
    note: str
    brightness: float
    text: str


@node(
    category="audio",
    tags=("LUFS", "loudness", "pitch", "duration", "peak", "spectral centroid", "info", "tuner"),
)
def AudioStatistics(ctx: Context, audio: Audio) -> AudioMeasures:
    """Tell how long, loud and high audio is: peak, LUFS, pitch and note, brightness.

    Peak is in decibels, 0 for a full sine; pitch is the median of all moments that have one, 0
    where none has; brightness is the spectral centroid in Hz.

    Args:
        audio: One instrument or voice, for its pitch to say something.
    """
    from nodegraph.media.audio.metrics import measure_audio

    figures = measure_audio(audio)
    ctx.log(figures.text)
    return AudioMeasures(
        figures.seconds,
        figures.peak,
        figures.loudness,
        figures.pitch or 0.0,
        figures.note,
        figures.brightness,
        figures.text,
    )


class AudioDistance(NamedTuple):
    """How far audio is apart."""

    spectral: float
    cepstral: float
    cents: float
    louder: float
    text: str


@node(
    category="audio",
    validate=check_mixed,
    tags=("difference", "similarity", "LSD", "MCD", "quality", "metrics", "perceptual"),
)
def CompareAudio(ctx: Context, audio: Audio, other: Audio) -> AudioDistance:
    """Measure how far two pieces of audio are apart: spectrum, timbre, pitch, loudness.

    Log-spectral distance and mel-cepstral distortion are in decibels, 0 for the same audio; by how
    many cents and LU the other one is higher and louder; 0 cents where one has no pitch.

    Args:
        audio: What it is measured against.
        other: Of the same rate; both are compared from their beginnings on.
    """
    from nodegraph.media.audio.metrics import compare_audio

    distance = compare_audio(audio, other)
    ctx.log(distance.text)
    return AudioDistance(
        distance.spectral,
        distance.cepstral,
        distance.cents or 0.0,
        distance.loudness_difference,
        distance.text,
    )
