"""Twenty kinds of sounds, each a formula of pitch and length; what is left to chance is small."""

import math
from collections.abc import Callable

import numpy as np

from nodegraph.media.audio.sound_kinds import SOUND_KINDS, SOUND_SECONDS
from training.items.sounds.waves import (
    SAMPLES,
    TIMES,
    Wave,
    band_noise,
    held,
    partials,
    phase,
    string,
    struck,
    wobble,
)

PEAK = 0.9

Formula = Callable[[np.random.Generator, float, float], Wave]
"""Of chance, pitch in Hz and length in seconds."""


def _bell(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    multiples = (0.5, 1, 1.19, 1.5, 2, 2.74, 3.76)
    fades = [seconds * share for share in (0.9, 0.7, 0.5, 0.4, 0.35, 0.2, 0.12)]
    return partials(pitch, multiples, (0.4, 1, 0.5, 0.4, 0.6, 0.3, 0.2), fades) * struck(seconds)


def _drum(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    falling = pitch * (1 + 1.5 * np.exp(-TIMES / 0.02))
    fades = [seconds * share for share in (0.25, 0.12, 0.08)]
    skin = partials(falling, (1, 1.59, 2.14), (1, 0.4, 0.2), fades)
    return (skin + 0.15 * band_noise(rng, 500, 4000) * np.exp(-TIMES / 0.02)) * struck(seconds)


def _bird(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    chirps = max(1, round(4.5 * seconds * rng.uniform(0.8, 1.2)))
    # the last gap, 0.3 of a chirp, is not part of it
    place = TIMES / seconds * (chirps - 0.3) % 1
    moving = pitch * (1 + 0.35 * np.sin(2 * math.pi * place))
    loud = np.sin(math.pi * np.clip(place / 0.7, 0, 1)) ** 2
    return np.asarray(np.sin(phase(moving)) * loud * held(seconds, 0.005, 0.005))


def _engine(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    moving = pitch * wobble(rng.uniform(2, 5), 0.02)
    orders = range(1, 12)
    growl = np.tanh(2 * partials(moving, orders, [1 / order for order in orders]))
    stroke = 1 + 0.4 * np.sin(phase(moving) / 2)
    return np.asarray(growl * stroke * held(seconds, 0.05, 0.05))


def _plucked_string(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    return string(rng, pitch, 0.996) * struck(seconds)


def _harp(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    fade = np.exp(-TIMES / (0.7 * seconds))
    return np.asarray(string(rng, pitch, 0.9995, soft=True) * fade * struck(seconds))


def _flute(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    tone = partials(pitch * wobble(5, 0.006), (1, 2, 3), (1, 0.25, 0.08))
    return (tone + 0.06 * band_noise(rng, pitch, 4 * pitch)) * held(seconds, 0.08, 0.12)


def _organ(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    pipes = partials(pitch, (0.5, 1, 2, 3, 4, 8), (0.5, 1, 0.7, 0.4, 0.35, 0.15))
    return pipes * held(seconds, 0.03, 0.05)


def _violin(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    vibrato = 0.012 * np.sin(2 * math.pi * 6 * TIMES) * np.clip(3 * TIMES, 0, 1)
    orders = range(1, 16)
    bowed = partials(pitch * (1 + vibrato), orders, [1 / order for order in orders])
    return bowed * held(seconds, 0.12, 0.1)


def _clarinet(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    orders = range(1, 14, 2)
    return partials(pitch, orders, [1 / order for order in orders]) * held(seconds, 0.04, 0.08)


def _trumpet(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    total = np.zeros(SAMPLES)
    for order in range(1, 12):
        # the higher a partial, the later it comes
        loud = held(seconds, 0.02 + 0.012 * order, 0.08) / (1 + 0.15 * (order - 3) ** 2)
        total += partials(pitch, (order,), (1,)) * loud
    return total


def _piano(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    orders = range(1, 12)
    stretched = [order * math.sqrt(1 + 4e-4 * order**2) for order in orders]
    levels = [order**-1.2 for order in orders]
    fades = [0.8 * seconds * order**-0.6 for order in orders]
    return partials(pitch, stretched, levels, fades) * struck(seconds)


def _marimba(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    fades = [seconds * share for share in (0.25, 0.07, 0.025)]
    return partials(pitch, (1, 3.93, 9.2), (1, 0.35, 0.1), fades) * struck(seconds)


def _siren(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    cycles = max(1, round(2 * seconds))
    moving = pitch * wobble(cycles / seconds, 0.3)
    return np.asarray(np.tanh(1.5 * np.sin(phase(moving))) * held(seconds, 0.02, 0.02))


def _laser(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    falling = pitch * (0.25 + 2.5 * np.exp(-TIMES / (0.12 * seconds)))
    fade = np.exp(-TIMES / (0.25 * seconds))
    return np.asarray(np.tanh(2 * np.sin(phase(falling))) * fade * struck(seconds))


def _alarm(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    beeps = max(1, round(4 * seconds))
    # beeps and one pause less than these, all as long
    loud = TIMES / seconds * (2 * beeps - 1) % 2 < 1
    return np.asarray(np.sign(np.sin(phase(pitch))) * loud * held(seconds, 0.005, 0.005))


def _whistle(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    rising = pitch * (1 + 0.25 * TIMES / seconds)
    breath = 0.03 * band_noise(rng, 1000, 6000)
    return np.asarray((np.sin(phase(rising)) + breath) * held(seconds, 0.05, 0.1))


def _frog(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    orders = range(1, 20)
    levels = [math.exp(-(((order * pitch - 1200) / 500) ** 2)) + 0.1 for order in orders]
    croaks = np.sin(2 * math.pi * 14 * TIMES) > -0.2
    return partials(pitch, orders, levels) * croaks * held(seconds, 0.02, 0.05)


def _wind(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    gusts = 1 + 0.5 * np.sin(2 * math.pi * 1.5 * TIMES + rng.uniform(0, 6))
    air = band_noise(rng, 0.9 * pitch, 1.1 * pitch)
    return np.asarray(air * gusts * held(seconds, 0.2 * seconds, 0.2 * seconds))


def _rattle(rng: np.random.Generator, pitch: float, seconds: float) -> Wave:
    shaken = TIMES * rng.uniform(9, 13) % 1
    seeds = band_noise(rng, 0.8 * pitch, 1.25 * pitch)
    return np.asarray(seeds * np.exp(-6 * shaken) * held(seconds, 0.01, 0.05))


FORMULAS: dict[str, Formula] = {
    "bell": _bell,
    "drum": _drum,
    "bird": _bird,
    "engine": _engine,
    "plucked string": _plucked_string,
    "harp": _harp,
    "flute": _flute,
    "organ": _organ,
    "violin": _violin,
    "clarinet": _clarinet,
    "trumpet": _trumpet,
    "piano": _piano,
    "marimba": _marimba,
    "siren": _siren,
    "laser": _laser,
    "alarm": _alarm,
    "whistle": _whistle,
    "frog": _frog,
    "wind": _wind,
    "rattle": _rattle,
}
NAMES = tuple(SOUND_KINDS)


def sound(kind: str, pitch: float, seconds: float, rng: np.random.Generator) -> Wave:
    """A sound whose loudest sample is 0.9; SAMPLES of them, silent after `seconds`."""
    wave = FORMULAS[kind](rng, pitch, seconds)
    return np.asarray(wave * (PEAK / np.abs(wave).max()))


def drawn(kind: str, rng: np.random.Generator) -> tuple[float, float]:
    """A pitch in Hz, evenly by octaves, and a length in seconds, evenly."""
    low, high = SOUND_KINDS[kind]
    pitch = low * (high / low) ** rng.random()
    return float(pitch), float(rng.uniform(*SOUND_SECONDS))
