"""Frame rates: exact ones for what people and files say, and those that show all frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    import numpy as np
    from av.packet import Packet
    from numpy.typing import NDArray

SLOWEST, FASTEST = Fraction(1, 1000), Fraction(1000)
"""Frames a second."""
_NTSC = Fraction(1000, 1001)
_SCANNED = 256 << 20
"""Bytes that are read at most to find out when frames are shown."""
_LARGEST = 1001
"""Denominator of rates that stand for no other."""
_NEAR = Fraction(1, 10)
"""Of a frame's length, that clocks of milliseconds may be off."""
_DEFAULT_RATE = Fraction(25)
"""Where a file tells none."""
_UNEVEN = Fraction(1001, 1000)
"""How many times the mean rate FFmpeg's guess is at least where frames come unevenly."""
_CLOSE = Fraction(1, 200_000)
"""Of a rate, that clocks of milliseconds or nanoseconds may be off."""
_REDUCED = Fraction(1, 30_000) + _CLOSE
"""Of a rate, that a Matroska's may be off: FFmpeg reads it as a fraction of numbers up to 30,000.

The best such fraction of a rate r has a denominator of at least 1 and the next one more than
30,000 / r, so it is off by less than r / 30,000.
"""


USUAL = (Fraction(24), Fraction(25), Fraction(30), Fraction(50), Fraction(60))
"""Frames a second. More than the last is read only where FFmpeg's guess says so."""
_PLAUSIBLE, _FAST = 210, 70
"""A guess above the first is no frame rate where the mean is below the second.

FFmpeg has the same limits, in av_guess_frame_rate: beyond them it guessed the file's clock.
"""
_OFF = 1 / 10
"""Of the time between even frames, that one may be off."""
_FEW = 1 / 100
"""Of the frames, that a rate may leave out."""
_TOO_SOON = 7 / 10
"""Of the time between two ticks, within which a frame belongs to a higher rate.

Cameras are less exact than clocks: their frames come a little early and late, and one or the other
has no tick of its own, at FFmpeg's constant rate as well.
"""


def exact_rate(rate: float | Fraction) -> Fraction:
    """The rate that a number stands for: 23.976 and 23.98 mean 24000/1001, and 12.5 is 25/2.

    Raises:
        InvalidValue: It is out of range.
    """
    if not SLOWEST <= rate <= FASTEST:
        raise InvalidValue(
            "the frame rate is out of range",
            port="rate",
            given=f"{float(rate):g}",
            expected=f"{float(SLOWEST):g} to {float(FASTEST):g} frames per second",
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
    with suppress(ValueError, ZeroDivisionError):
        exact = Fraction(text[:40])
        if abs(rate - exact) <= _REDUCED * exact:
            return exact
    likely = (Fraction(round(rate)), round(rate / _NTSC) * _NTSC)
    return next((near for near in likely if near and is_same_rate(rate, near)), rate)


def is_same_rate(rate: Fraction, other: Fraction) -> bool:
    """Whether two rates are one, as far as clocks can tell."""
    return abs(rate - other) <= _CLOSE * other


def round_down_rate(rate: Fraction) -> Fraction:
    """The highest rate of two decimal places that isn't above this one, which is at least 0.01."""
    return Fraction(int(rate * 100), 100)


@dataclass(frozen=True, slots=True)
class FramePart:
    """Which frames of a video are read.

    Attributes:
        first: Frames that are left out at the beginning.
        count: How many are read at most; 0 for all.
        every: Of how many one is read.
    """

    first: int = 0
    count: int = 0
    every: int = 1


ALL_FRAMES = FramePart()


class FrameTimes:
    """When the frames of a file are shown.

    Attributes:
        count: How many there are, two at least.
        span: Seconds from the first one to the last.
        end: Seconds until the last isn't shown any more, as far as the file says.
    """

    def __init__(
        self,
        ticks: Sequence[int],
        clock: Fraction,
        length: int | None,
        *,
        has_exact_lengths: bool = False,
    ) -> None:
        """Take what the packets say.

        Args:
            ticks: Of the file's clock when each is shown; two at least, in any order.
            clock: Seconds that a tick lasts.
            length: Ticks that the last one is shown; None or 0 where that isn't known.
            has_exact_lengths: Whether that is what the author chose; an MP4 has some number there.
        """
        self._ticks = sorted(ticks)
        self._clock = clock
        self._has_exact_lengths = has_exact_lengths
        self._length = clock * length if length else None
        self.count = len(self._ticks)
        self.span = (self._ticks[-1] - self._ticks[0]) * clock
        self.end = self.span + (self._length or 0)

    @classmethod
    def of_packets(
        cls, packets: Iterable[Packet[Any]], clock: Fraction, *, has_exact_lengths: bool
    ) -> FrameTimes | None:
        """What the packets of all frames say; None if they don't, or are too large to read all."""
        import av

        ticks: dict[int, int | None] = {}
        size = 0
        try:
            for packet in packets:
                # An AVI has empty ones where an image is shown on.
                if not packet.size or packet.is_discard:
                    continue
                size += packet.size
                if packet.pts is None or size > _SCANNED:
                    return None
                ticks[packet.pts] = packet.duration
        except av.FFmpegError:  # whoever decodes it tells
            return None
        if len(ticks) < 2:
            return None
        length = ticks[max(ticks)]
        return cls(list(ticks), clock, length, has_exact_lengths=has_exact_lengths)

    @property
    def mean(self) -> Fraction:
        """Frames a second, until the last begins."""
        return (self.count - 1) / self.span

    @cached_property
    def shortest(self) -> Fraction:
        """Seconds between the two that are nearest to each other."""
        return min(after - before for before, after in pairwise(self._ticks)) * self._clock

    def even_rate(self, claimed: Fraction | None, guess: Fraction | None) -> Fraction | None:
        """The rate of frames that are evenly timed; None if these aren't.

        Args:
            claimed: The mean that the file says. It is taken if it matches, as clocks round.
            guess: By FFmpeg.
        """
        mean = self.mean
        if self._is_last_cut_short(1 / mean):
            return None
        if self._has_exact_lengths:
            # FFmpeg's mean of a GIF leaves something out.
            claimed = self.count / self.end
        usual = (Fraction(round(mean)), round(mean / _NTSC) * _NTSC)
        likely = [rate for rate in (guess, *usual, mean) if rate]
        if claimed and self._is_exact(claimed):
            return claimed
        exact = [rate for rate in likely if self._is_exact(rate)]
        near = [rate for rate in likely if self.is_even_at(rate)]
        return min(exact or near, key=self._distance, default=None)

    def _is_exact(self, rate: Fraction) -> bool:
        # A quarter, as a clock may have one tick for each frame, and then one that is left out.
        return self._distance(rate) < min(self._clock, 1 / (4 * rate))

    def is_even_at(self, rate: Fraction) -> bool:
        """Whether each is shown once at a rate, close to its time."""
        return self._distance(rate) <= _OFF / rate

    def rate_to_show_all(self, guess: Fraction | None) -> Fraction:
        """A rate at which uneven frames are shown at their times, as FFmpeg's constant rate does.

        It is FFmpeg's guess up to 60, which may be too low, as FFmpeg looks at the first seconds
        alone. A higher one is often the least common multiple of several rates, such as 120 for 24
        and 30: then it is the lowest part of it that leaves no frame out.
        """
        mean = self.mean
        if guess is None or (guess > _PLAUSIBLE and mean < _FAST):
            rates = [rate for rate in USUAL if rate >= mean] or [mean]
        elif guess > USUAL[-1]:
            parts = int(guess / max(mean, USUAL[0]))
            rates = [guess / part for part in range(max(1, parts), 0, -1)]
        elif self.is_complete_at(guess):
            return guess
        else:
            higher = [2 * guess, USUAL[-1]] if guess >= USUAL[0] else USUAL
            rates = [rate for rate in higher if guess < rate <= USUAL[-1]] or [guess]
        complete = (rate for rate in rates if self.left_out(rate) <= _FEW * self.count)
        return next(complete, rates[-1])

    def is_complete_at(self, rate: Fraction) -> bool:
        """Whether a rate shows all frames, but for a few and those that a camera's jitter hides."""
        import numpy as np

        soon = np.diff(self._seconds) < _TOO_SOON / float(rate)
        return min(int(soon.sum()), self.left_out(rate)) <= _FEW * self.count

    def left_out(self, rate: Fraction) -> int:
        """How many aren't shown at a rate, as a later one has the same tick."""
        import numpy as np

        return self.count - len(np.unique(np.rint(self._seconds * float(rate))))

    def _is_last_cut_short(self, interval: Fraction) -> bool:
        # Two frames have one interval: nothing but the length of the last says that it is even.
        if self._length is None or not (self._has_exact_lengths or self.count == 2):
            return False
        return self._length < interval / 2

    def _distance(self, rate: Fraction) -> float:
        """Seconds that a frame is off its place at an even rate, at most."""
        import numpy as np

        places = np.arange(self.count) / float(rate)
        return float(np.abs(self._seconds - places).max())

    @cached_property
    def _seconds(self) -> NDArray[np.float64]:
        import numpy as np

        return (np.asarray(self._ticks) - self._ticks[0]) * float(self._clock)


def resolve_frame_rate(
    mean: Fraction | None,
    least: Fraction | None,
    text: str = "",
    length: Fraction | None = None,
    times: FrameTimes | None = None,
) -> Fraction:
    """The rate at which the frames of a file are read.

    Args:
        mean: Of its frames, if that is known.
        least: At which each of them has a tick of its own, as FFmpeg guesses it.
        text: As a text in there says, if there is one.
        length: Seconds that a frame is shown, where no mean is known.
        times: Of its frames, if they are known: what the file and FFmpeg say is checked by them.
    """
    if times is not None and not text:
        rate = times.even_rate(mean, least) or times.rate_to_show_all(least)
        return max(SLOWEST, min(FASTEST, snap_to_standard_rate(rate)))
    if not mean and not text:
        if length and not (least and abs(least * length - 1) < _NEAR):
            least = 1 / length
        elif least and least >= FASTEST:
            # Of one frame whose length isn't told, it is that of the file's clock.
            least = None
    rate = mean or least or _DEFAULT_RATE
    # Frames are even where it is about the mean, which is exact, and where nodegraph wrote them.
    if mean and least and not text and _UNEVEN * mean < least <= max(USUAL[-1], 2 * mean):
        rate = least
    return snap_to_standard_rate(rate, text)
