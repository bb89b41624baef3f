"""Names of notes, and the pitches that they stand for. Imports no torch."""

from __future__ import annotations

import math
import re

from nodegraph.errors import InvalidValue

_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SHIFTS = {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}
_NOTE = re.compile(r"([a-g])([#♯b♭]?)(-?\d)", re.IGNORECASE)
_HERTZ = re.compile(r"(\d+(?:\.\d+)?)\s*(k?)(?:hz|hertz)?", re.IGNORECASE)
PITCH_WORDS = re.compile(
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


def pitch_of(text: str) -> float | None:
    """Hz of a note or of a frequency: "A4", "c#5", "Eb3", "440", "440 Hz", "1.2 kHz".

    Returns:
        None for an empty text.
    Raises:
        InvalidValue: It is neither.
    """
    asked = text.strip()
    if not asked:
        return None
    note, hertz = _NOTE.fullmatch(asked), _HERTZ.fullmatch(asked)
    if note:
        letter, shift, octave = note.groups()
        number = _STEPS[letter.lower()] + _SHIFTS[shift.lower()] + 12 * (int(octave) + 1)
        return float(A4 * 2 ** ((number - A4_NUMBER) / 12))
    if hertz and float(hertz[1]):
        return float(hertz[1]) * (1000 if hertz[2] else 1)
    raise InvalidValue(
        "this is no pitch",
        port="pitch",
        given=text,
        expected="a note, such as A4 or C#5, or a frequency, such as 440 Hz",
    )
