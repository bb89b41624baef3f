"""Between which noise levels a schedule runs. Imports no torch."""

from __future__ import annotations

from nodegraph.errors import InvalidValue

ROUNDING = 1.001
"""Levels this much above the model's greatest are taken to be rounded ones."""


def resolve_sigma_range(
    own: tuple[float, float], greatest: float, high: float | None, low: float | None
) -> tuple[float, float]:
    """The ends that somebody chose, the model's own where nothing was.

    Args:
        own: Greatest and least level of the schedule with this model.
        greatest: Noise level that the model knows.
    Raises:
        InvalidValue: They are the wrong way round, or above what the model knows; on port
            ``sigma_max`` or ``sigma_min``.
    """
    if high is not None:
        check_sigma(high, greatest, "sigma_max")
    first, last = own[0] if high is None else high, own[1] if low is None else low
    if last > first:
        raise InvalidValue(
            "the least noise level has to be below the greatest",
            port="sigma_max" if low is None else "sigma_min",
            given=f"{first:g} down to {last:g}",
            hint="Leave both out for the model's own.",
        )
    return first, last


def check_sigma(level: float, greatest: float, port: str) -> None:
    """Refuse noise levels above what a model knows.

    Raises:
        InvalidValue: On the port.
    """
    if level > greatest * ROUNDING:
        raise InvalidValue(
            "the model knows no noise level as high",
            port=port,
            given=f"{level:g}",
            expected=f"at most {greatest:g}",
        )
