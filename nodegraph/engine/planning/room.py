"""Whether a node has room on its device: told before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Fit = Literal["", "whole", "parts", "small", "none"]
"""How a node has room. ``whole``: its weights beside its work. ``parts``: its weights stay at the
host and come in parts, to the same results. ``small``: so, and work is done in tiles or one by one,
which may change results a little. ``none``: not even that. Empty where it isn't known."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """The memory of a device.

    Attributes:
        total: Bytes that it has.
        free: Of these, what may be taken if all weights went that nobody uses.
        budget: Bytes of weights that it may hold; None if nobody said so.
        rate: Bytes of weights a second that come there from the host; None where they don't lie
            apart, so that nothing comes in parts.
    """

    total: int
    free: int
    budget: int | None = None
    rate: float | None = None


RoomOf = Callable[[str], DeviceMemory | None]
"""The memory of a device by its name; None where it can't be told."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What a node needs of its device, in bytes.

    Attributes:
        weights: That it computes with.
        parts: Of these, the most that is there at once if they come in parts.
        work: Besides.
        least: The same at the smallest footprint.
    """

    weights: int
    parts: int
    work: int
    least: int


def fit_of(need: MemoryNeed, room: DeviceMemory) -> Fit:
    """How a node has room on a device."""
    has_budget = room.budget is None or need.weights <= room.budget
    if has_budget and need.weights + need.work <= room.free:
        return "whole"
    parts = need.weights if room.rate is None else need.parts
    if room.rate is not None and parts + need.work <= room.free:
        return "parts"
    return "small" if parts + need.least <= room.free else "none"
