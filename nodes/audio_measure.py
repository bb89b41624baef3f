"""Measure, compare and draw audio by its frequencies."""

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
    """Draw a mel spectrogram: the frequencies of audio over time, low frequencies at the bottom.

    Args:
        audio: The audio. Its channels are drawn below each other.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        decibels: Dynamic range: this far below a full-scale sine, sound is drawn as silence.
    """
    from nodegraph.media.audio.visualization import spectrogram_image

    return spectrogram_image(audio, width, height, decibels)


class AudioMeasures(NamedTuple):
    """Measurements of audio."""

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
    """Measure audio: duration, peak, loudness (LUFS), pitch, note and brightness.

    Peak is in decibels, 0 for a full-scale sine. Pitch is the median over all moments that have a
    pitch, and 0 if there is none. Brightness is the spectral centroid in Hz.

    Args:
        audio: The audio. Pitch and note are only meaningful for a single instrument or voice.
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
    """Distances between two audio clips."""

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
    """Measure how different two audio clips are: spectrum, timbre, pitch and loudness.

    Log-spectral distance and mel-cepstral distortion are in decibels, 0 for the same audio. The
    differences of pitch and loudness are in cents and LU, positive if the other clip is higher or
    louder. Cents are 0 if one clip has no pitch.

    Args:
        audio: The reference.
        other: Audio with the same sample rate. Both are compared from their beginning.
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
