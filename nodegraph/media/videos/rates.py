"""Frame rates: exact ones for what people and files say."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

from nodegraph.errors import InvalidValue

SLOWEST, FASTEST = Fraction(1, 1000), Fraction(1000)
"""Frames a second."""
_NTSC = Fraction(1000, 1001)
_LARGEST = 1001
"""Denominator of rates that stand for no other."""
_NEAR = Fraction(1, 10)
"""Of a frame's length, that clocks of milliseconds may be off."""
_DEFAULT_RATE = Fraction(25)
"""Where a file tells none."""
_UNEVEN, _MOST = Fraction(1001, 1000), 3
"""How many times the mean rate is that of frames that come unevenly, and at most is taken."""
_CLOSE = Fraction(1, 200_000)
"""Of a rate, that clocks of milliseconds or nanoseconds may be off."""


def exact_rate(rate: float | Fraction) -> Fraction:
    """The rate that a number stands for: 23.976 and 23.98 mean 24000/1001, and 12.5 is 25/2.

    Raises:
        InvalidValue: It is out of range.
    """
    if not SLOWEST <= rate <= FASTEST:
        raise InvalidValue(
            "there is no such frame rate",
            port="rate",
            given=f"{float(rate):g}",
            expected=f"{float(SLOWEST):g} to {float(FASTEST):g} frames a second",
        )
    near = round(rate / _NTSC) * _NTSC
    # As it is written, with two or three places: 23.98, 29.97, 59.94, 14.985.
    if rate % 1 and any(round(float(near), places) == rate for places in (2, 3)):
        return near
    return Fraction(rate).limit_denominator(_LARGEST)


def snap_to_standard_rate(rate: Fraction, text: str = "") -> Fraction:
    """The rate that a file means: containers keep it in milli- or nanoseconds, a bit off.

    Args:
        rate: As the container has it.
        text: As a text in there says, if there is one.
    """
    likely = [Fraction(round(rate)), round(rate / _NTSC) * _NTSC]
    with suppress(ValueError, ZeroDivisionError):
        likely.insert(0, Fraction(text[:40]))
    for near in likely:
        if near and abs(rate - near) <= _CLOSE * near:
            return near
    return rate


def resolve_frame_rate(
    mean: Fraction | None,
    least: Fraction | None,
    text: str = "",
    length: Fraction | None = None,
) -> Fraction:
    """The rate at which the frames of a file are read.

    Args:
        mean: Of its frames, if that is known.
        least: At which each of them has a tick of its own, as FFmpeg guesses it.
        text: As a text in there says, if there is one.
        length: Seconds that a frame is shown, where no mean is known.
    """
    if not mean and not text:
        if length and not (least and abs(least * length - 1) < _NEAR):
            least = 1 / length
        elif least and least >= FASTEST:
            # Of one frame whose length isn't told, it is that of the file's clock.
            least = None
    rate = mean or least or _DEFAULT_RATE
    # Frames are even where it is about the mean, which is exact, and where nodegraph wrote them.
    if mean and least and not text and _UNEVEN * mean < least <= _MOST * mean:
        rate = least
    return snap_to_standard_rate(rate, text)
