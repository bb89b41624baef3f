"""What sounds are put together of: partials, envelopes, noise, strings; 16,000 samples a second."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from nodegraph.media.audio.mel import SOUND_MEL

Wave = NDArray[np.float64]

RATE = SOUND_MEL.rate
SAMPLES = SOUND_MEL.samples
TIMES: Wave = np.arange(SAMPLES) / RATE
"""In seconds from the beginning."""
_HIGHEST = 0.475 * RATE
"""Partials above it, in Hz, are left out: they would come back mirrored."""
_END = 0.02
"""In seconds: how long a sound that fades takes to be cut off."""


def phase(pitch: Wave | float) -> Wave:
    """The angle, in radians, of a pitch in Hz that may move."""
    turned: Wave = np.cumsum(np.broadcast_to(pitch, (SAMPLES,)))
    return 2 * math.pi / RATE * turned


def partials(
    pitch: Wave | float,
    multiples: Sequence[float],
    levels: Sequence[float],
    fades: Sequence[float] = (),
) -> Wave:
    """Sines at multiples of a pitch.

    Args:
        fades: Seconds in which each falls to 1 / e; none fade if there are none.
    """
    angle, highest = phase(pitch), float(np.max(pitch))
    total = np.zeros(SAMPLES)
    for place, (multiple, level) in enumerate(zip(multiples, levels, strict=True)):
        if multiple * highest > _HIGHEST:
            continue
        sine = level * np.sin(multiple * angle)
        total += sine * np.exp(-TIMES / fades[place]) if fades else sine
    return total


def held(seconds: float, attack: float, release: float) -> Wave:
    """An envelope that rises, stays, and has fallen to silence after so many seconds."""
    rise, fall = np.clip(TIMES / attack, 0, 1), np.clip((seconds - TIMES) / release, 0, 1)
    return np.asarray(rise * fall)


def struck(seconds: float, attack: float = 0.003) -> Wave:
    """An envelope of what fades by itself: up at once, cut off after so many seconds."""
    return held(seconds, attack, _END)


def wobble(rate: float, depth: float) -> Wave:
    """1 and a sine about it, so many times a second."""
    return np.asarray(1 + depth * np.sin(2 * math.pi * rate * TIMES))


def band_noise(rng: np.random.Generator, low: float, high: float) -> Wave:
    """White noise between two frequencies in Hz."""
    edges = [max(20.0, low), min(0.49 * RATE, high)]
    sections = butter(2, edges, "bandpass", fs=RATE, output="sos")
    return np.asarray(sosfilt(sections, rng.standard_normal(SAMPLES)))


def string(rng: np.random.Generator, pitch: float, keep: float, *, soft: bool = False) -> Wave:
    """A plucked string: noise that goes round and is smoothed and softened each time.

    An all-pass makes the way round as long as the pitch wants, to parts of a sample.

    Args:
        keep: What is left of it after each way round.
        soft: Plucked with a finger: little above the third partial.
    Source: Karplus & Strong 1983, Jaffe & Smith 1983, Computer Music Journal 7 (2).
    """
    # averaging two neighbours delays by half a sample
    way = RATE / pitch - 0.5
    whole = int(way)
    allpass = (1 - (way - whole)) / (1 + (way - whole))
    burst = np.zeros(SAMPLES)
    burst[:whole] = rng.uniform(-1, 1, whole)
    if soft:
        sections = butter(2, 2.5 * pitch, "lowpass", fs=RATE, output="sos")
        burst = sosfilt(sections, burst)
    ahead, back = np.zeros(whole + 3), np.zeros(whole + 3)
    ahead[:2] = back[:2] = 1, allpass
    back[whole:] -= 0.5 * keep * np.array([allpass, 1 + allpass, 1])
    return np.asarray(lfilter(ahead, back, burst))
