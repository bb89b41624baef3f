"""Schedules as values: segments that can be cut, joined and reversed. Imports no torch.

A schedule is a description: what its levels are is known once a model, a sampler and a size are
(`nodegraph.sampling.schedules.levels_for`). So it can be cut, joined and turned round by arithmetic
on steps alone, and parts that are joined again are the very schedule that was cut.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from nodegraph.core.ports import port_type
from nodegraph.errors import InvalidValue
from nodegraph.families.sampler_names import SCHEDULE_PLUGINS, check_schedule
from nodegraph.families.schedule_checks import (
    LEVELS,
    check_formula_parameters,
    check_levels,
    check_schedule_exists,
    check_split_step,
    sampled_steps,
    schedule_and_sampled_steps,
)


@dataclass(frozen=True, slots=True)
class ScheduleSegment:
    """Some consecutive steps of a law.

    Attributes:
        law: How levels are laid: a schedule's name, or another of `families.sigma_curves`.
        steps: Of the whole law.
        first, last: The steps that are walked: from level `first` to level `last`, of 0 to `steps`.
        begin: Where a sampling of the whole law begins, above 0 where part of an image is kept:
            how far a sampling got is counted from there.
        numbers: Of the law, as sorted (name, number) pairs; what is left out is its own.
        levels: Of the law `LEVELS`: sigmas, falling, one more than there are steps.
        factor: On all levels.
        rises: Walked the other way, from little noise to much.
        closed: The last step leads to no noise at all.
        dropped: The law is laid over one step more, and the last level above 0 left out.
        start: In place of the level of the first step; None: the law's own.
        release: Of the package or pack that brings the law: results count by it.
    """

    law: str
    steps: int
    first: int
    last: int
    begin: int = 0
    numbers: tuple[tuple[str, float], ...] = ()
    levels: tuple[float, ...] = ()
    factor: float = 1.0
    rises: bool = False
    closed: bool = False
    dropped: bool = False
    start: float | None = None
    release: str = ""

    @property
    def length(self) -> int:
        """Steps that are walked."""
        return self.last - self.first

    def part(self, start: int, end: int) -> ScheduleSegment:
        """Some of the steps that are walked, in the order in which they are."""
        kept = replace(
            self,
            closed=self.closed and end == self.length,
            start=self.start if start == 0 else None,
        )
        if self.rises:
            return replace(kept, first=self.last - end, last=self.last - start)
        return replace(kept, first=self.first + start, last=self.first + end)

    def joined(self, following: ScheduleSegment) -> ScheduleSegment | None:
        """Both in one, if the other begins where this one ends."""
        low, high = (following, self) if self.rises else (self, following)
        moved = replace(
            following, first=self.first, last=self.last, closed=self.closed, start=self.start
        )
        alike = following.start is None and moved == self
        if self.closed or not alike or low.last != high.first:
            return None
        return replace(self, first=low.first, last=high.last, closed=following.closed)

    def scaled(self, factor: float) -> ScheduleSegment:
        """The same with all levels times a number."""
        start = None if self.start is None else self.start * factor
        return replace(self, factor=self.factor * factor, start=start)


def _dumped(schedule: Schedule) -> bytes:
    return json.dumps([asdict(stretch) for stretch in schedule.segments]).encode()


def _loaded(data: bytes) -> Schedule:
    def read(saved: dict[str, object]) -> ScheduleSegment:
        pairs: Iterable[tuple[str, float]] = saved["numbers"]  # type: ignore[assignment]
        levels: Iterable[float] = saved["levels"]  # type: ignore[assignment]
        numbers = tuple((name, number) for name, number in pairs)
        return ScheduleSegment(**{**saved, "numbers": numbers, "levels": tuple(levels)})  # type: ignore[arg-type]

    return Schedule(tuple(read(item) for item in json.loads(data)))


@port_type(color="#7ec699", dumps=_dumped, loads=_loaded)
@dataclass(frozen=True, slots=True)
class Schedule:
    """The noise levels that a sampling walks, as a value.

    Attributes:
        stretches: One after the other, at least one, each of at least one step; those that go on
            where the one before ends are one.
    """

    segments: tuple[ScheduleSegment, ...]

    @property
    def steps(self) -> int:
        """Steps that are walked."""
        return sum(stretch.length for stretch in self.segments)

    @property
    def spacings(self) -> tuple[str, ...]:
        """How the levels of its stretches are laid."""
        return tuple(stretch.law for stretch in self.segments)

    @property
    def rises(self) -> bool:
        """Whether some of it leads from little noise to much."""
        return any(stretch.rises for stretch in self.segments)

    def part(self, start: int, end: int) -> Schedule:
        """Some of its steps.

        Args:
            start, end: 0 ≤ start < end ≤ steps.
        Raises:
            InvalidValue: There are no such steps; on port ``step``.
        """
        if not 0 <= start < end <= self.steps:
            raise InvalidValue(
                f"the schedule has {self.steps} steps and no segment between these",
                port="step",
                given=f"{start} to {end}",
                expected=f"0 to {self.steps}, the first below the second",
            )
        stretches: list[ScheduleSegment] = []
        gone = 0
        for stretch in self.segments:
            low, high = max(start - gone, 0), min(end - gone, stretch.length)
            if low < high:
                stretches.append(stretch.part(low, high))
            gone += stretch.length
        return Schedule(tuple(stretches))

    def split(self, step: int) -> tuple[Schedule, Schedule]:
        """The steps before a step and those from there on.

        Raises:
            InvalidValue: One of the two would be empty; on port ``step``.
        """
        check_split_step(self.steps, step)
        return self.part(0, step), self.part(step, self.steps)

    def then(self, following: Schedule) -> Schedule:
        """Both, one after the other."""
        stretches = list(self.segments)
        for stretch in following.segments:
            joined = stretches[-1].joined(stretch)
            stretches[-1:] = [stretches[-1], stretch] if joined is None else [joined]
        return Schedule(tuple(stretches))

    def flipped(self) -> Schedule:
        """The same levels in the other order.

        Raises:
            InvalidValue: Its last step was made to lead to no noise; on port ``schedule``.
        """
        if any(stretch.closed or stretch.start is not None for stretch in self.segments):
            raise InvalidValue(
                "a schedule whose first level was set, or whose last step does not end at "
                "zero noise, cannot be reversed",
                port="schedule",
            )
        turned = (replace(item, rises=not item.rises) for item in reversed(self.segments))
        return Schedule(tuple(turned))

    def scaled(self, factor: float) -> Schedule:
        """All levels times a number.

        Raises:
            InvalidValue: It isn't above 0; on port ``factor``.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise InvalidValue(
                "levels can be scaled only by a number above 0", port="factor", given=f"{factor:g}"
            )
        return Schedule(tuple(item.scaled(factor) for item in self.segments))

    def started(self, sigma: float) -> Schedule:
        """The same with another first level.

        Raises:
            InvalidValue: It isn't above 0, or the schedule rises; on port ``sigma``.
        """
        if not (math.isfinite(sigma) and sigma > 0) or self.rises:
            raise InvalidValue(
                "only a descending schedule can start at another level above 0",
                port="sigma",
                given=f"{sigma:g}",
            )
        first, *others = self.segments
        return Schedule((replace(first, start=float(sigma)), *others))

    def closed(self) -> Schedule:
        """The same, but the last step leads to no noise at all."""
        *before, last = self.segments
        return Schedule((*before, replace(last, closed=last.last < last.steps)))


def named_schedule(
    name: str,
    steps: int,
    denoise: float = 1.0,
    counted: str = "share",
    *,
    dropped: bool = False,
) -> Schedule:
    """The schedule of a name.

    Args:
        name: One of `nodegraph.families.sampler_names.all_schedule_names`.
        steps: Of the whole schedule, 1 to 10000.
        denoise: Part that is walked, above 0 to 1.
        counted: How many steps that is; see `schedule_and_sampled_steps`.
        dropped: See `ScheduleSegment`.
    Raises:
        InvalidValue: There is no such schedule, a number is out of range, or no step is left.
    """
    check_schedule(name)
    total_steps, walked = schedule_and_sampled_steps(steps, denoise, counted)
    first = total_steps - walked
    plugin = SCHEDULE_PLUGINS.get(name)
    whole = ScheduleSegment(name, total_steps, first, total_steps, begin=first, dropped=dropped)
    return Schedule((replace(whole, release="" if plugin is None else plugin.read_release()),))


def numbered_schedule(law: str, steps: int, numbers: Mapping[str, float | None]) -> Schedule:
    """The schedule of a law with numbers of one's own.

    Args:
        numbers: By name; None is the law's own.
    Raises:
        InvalidValue: There is no such law, or a number is out of range.
    """
    check_schedule_exists(law)
    sampled_steps(steps, 1.0)
    chosen_numbers = {name: float(number) for name, number in numbers.items() if number is not None}
    check_formula_parameters(law, chosen_numbers)
    return Schedule(
        (ScheduleSegment(law, steps, 0, steps, numbers=tuple(sorted(chosen_numbers.items()))),)
    )


def listed_schedule(levels: Iterable[float]) -> Schedule:
    """The schedule of levels that are named one by one.

    Args:
        levels: Sigmas, falling, at least two; with table models of an unscaled latent, with flow
            models 0 to 1. The last one may be 0.
    Raises:
        InvalidValue: They don't fall, aren't numbers, or are too few; on port ``sigmas``.
    """
    sigmas = tuple(float(level) for level in levels)
    check_levels(sigmas)
    steps = len(sigmas) - 1
    return Schedule((ScheduleSegment(LEVELS, steps, 0, steps, levels=sigmas),))


def ordered_schedule(levels: Iterable[float]) -> Schedule:
    """The schedule of levels that fall, or that rise to turn a clean latent into a noisy one.

    Raises:
        InvalidValue: See `listed_schedule`.
    """
    sigmas = tuple(float(level) for level in levels)
    if len(sigmas) > 1 and sigmas[0] < sigmas[-1]:
        return listed_schedule(reversed(sigmas)).flipped()
    return listed_schedule(sigmas)
