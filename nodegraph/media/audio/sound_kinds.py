"""Kinds of sounds that the embedded model was taught, asked for in words; names of notes.

Imports no torch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from types import MappingProxyType

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SHIFTS = {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}
_NOTE = re.compile(r"([a-g])([#♯b♭]?)(-?\d)", re.IGNORECASE)
_HERTZ = re.compile(r"(\d+(?:\.\d+)?)\s*(k?)(?:hz|hertz)?", re.IGNORECASE)
PITCH_PATTERN = re.compile(
    r"(?<![\w#♯♭.])(?:[A-Ga-g][#♯b♭]?-?\d(?!\w)|\d+(?:\.\d+)?\s*k?(?:hz|hertz)\b)", re.IGNORECASE
)
"""Finds a pitch among other words; a bare number isn't one."""
A4, A4_NUMBER = 440.0, 69
"""Concert pitch in Hz, and its number in MIDI."""


def note_name(hertz: float) -> str:
    """The nearest note and how many cents it is away: "A4", "C#5 +12"."""
    exact = A4_NUMBER + 12 * math.log2(hertz / A4)
    number = round(exact)
    cents = round(100 * (exact - number))
    name = f"{_NAMES[number % 12]}{number // 12 - 1}"
    return f"{name} {cents:+d}" if cents else name


def parse_pitch(text: str) -> float | None:
    """Hz of a note or of a frequency: "A4", "c#5", "Eb3", "440", "440 Hz", "1.2 kHz".

    Returns:
        None for an empty text.
    Raises:
        InvalidValue: It is neither.
    """
    stripped = text.strip()
    if not stripped:
        return None
    note, hertz = _NOTE.fullmatch(stripped), _HERTZ.fullmatch(stripped)
    if note:
        letter, shift, octave = note.groups()
        number = _STEPS[letter.lower()] + _SHIFTS[shift.lower()] + 12 * (int(octave) + 1)
        return float(A4 * 2 ** ((number - A4_NUMBER) / 12))
    if hertz and float(hertz[1]):
        return float(hertz[1]) * (1000 if hertz[2] else 1)
    raise InvalidValue(
        "this is not a pitch",
        port="pitch",
        given=text,
        expected="a note, for example A4 or C#5, or a frequency, for example 440 Hz",
    )


SOUND_KINDS = MappingProxyType(
    {
        "bell": (300.0, 1200.0),
        "drum": (60.0, 240.0),
        "bird": (1500.0, 4000.0),
        "engine": (50.0, 160.0),
        "plucked string": (110.0, 660.0),
        "harp": (160.0, 900.0),
        "flute": (260.0, 1300.0),
        "organ": (130.0, 660.0),
        "violin": (200.0, 1000.0),
        "clarinet": (150.0, 800.0),
        "trumpet": (180.0, 800.0),
        "piano": (110.0, 900.0),
        "marimba": (160.0, 800.0),
        "siren": (400.0, 1200.0),
        "laser": (500.0, 1500.0),
        "alarm": (500.0, 1500.0),
        "whistle": (900.0, 2500.0),
        "frog": (80.0, 200.0),
        "wind": (300.0, 1200.0),
        "rattle": (1500.0, 4500.0),
    }
)
"""The lowest and the highest pitch in Hz that each was taught at; in the order of the classes."""
SOUND_SECONDS = (0.25, 1.0)
"""The shortest and the longest that were taught."""

_OTHER_WORDS = {
    "string": "plucked string",
    "guitar": "plucked string",
    "plucked": "plucked string",
    "motor": "engine",
    "car": "engine",
    "fiddle": "violin",
    "xylophone": "marimba",
    "chirp": "bird",
    "birdsong": "bird",
    "croak": "frog",
    "breeze": "wind",
    "maraca": "rattle",
    "shaker": "rattle",
    "chime": "bell",
    "recorder": "flute",
    "zap": "laser",
    "beep": "alarm",
    "beeps": "alarm",
}
_SECONDS = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(m?)(?:s|secs?|seconds?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class SoundRequest:
    """What is asked of a sound; None is left open.

    Attributes:
        kind: One of SOUND_KINDS.
        pitch: In Hz.
        seconds: Its length.
    """

    kind: str | None = None
    pitch: float | None = None
    seconds: float | None = None

    @property
    def out_of_range_note(self) -> str | None:
        """What there is in it that no sound was taught at, in words; None if there is nothing."""
        low, high = SOUND_KINDS[self.kind] if self.kind else (50.0, 4500.0)
        if self.pitch is not None and not 0.97 * low <= self.pitch <= 1.03 * high:
            return f"{self.kind or 'a sound'} was trained from {low:g} to {high:g} Hz"
        least, most = SOUND_SECONDS
        if self.seconds is not None and not least <= self.seconds <= most:
            return f"sounds were trained with {least:g} to {most:g} seconds"
        return None


def parse_sound_prompt(text: str) -> SoundRequest:
    """What a text asks for: "a violin at A4, 0.5 s"; what it doesn't tell is left open.

    Raises:
        InvalidValue: It tells neither kind nor pitch nor length.
    """
    words = text.lower()
    length = _SECONDS.search(words)
    seconds = float(length[1]) / (1000 if length[2] else 1) if length else None
    match = PITCH_PATTERN.search(_SECONDS.sub(" ", text))
    pitch = parse_pitch(match[0]) if match else None
    kind = _kind_in(words)
    if text.strip() and kind is None and pitch is None and seconds is None:
        raise InvalidValue(
            "the text names no sound that the model was trained on",
            port="text",
            given=text,
            expected=", ".join(SOUND_KINDS),
            hint=did_you_mean(max(re.findall(r"\w+", words) or [""], key=len), SOUND_KINDS),
        )
    return SoundRequest(kind, pitch, seconds)


def _kind_in(words: str) -> str | None:
    """The kind that is named first."""
    named = {name: name for name in SOUND_KINDS} | _OTHER_WORDS
    places = {
        match.start(): kind
        for name, kind in named.items()
        if (match := re.search(rf"\b{name}s?\b", words))
    }
    return places[min(places)] if places else None
