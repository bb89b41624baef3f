"""How many steps a sampling walks. Imports no torch."""

from __future__ import annotations

from nodegraph.errors import InvalidValue

MAX_STEPS = 10_000


def steps_walked(steps: int, denoise: float) -> int:
    """How many of a schedule's steps are walked.

    Raises:
        InvalidValue: A number is out of range, or no step is left.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise InvalidValue(
            "the number of steps is out of range",
            port="steps",
            given=str(steps),
            expected=f"1 to {MAX_STEPS}",
        )
    if not 0 <= denoise <= 1:
        raise InvalidValue(
            "denoise is out of range", port="denoise", given=str(denoise), expected="0 to 1"
        )
    walked = int(steps * denoise)
    if walked == 0:
        raise InvalidValue(
            f"denoise {denoise:g} of {steps} steps leaves none to walk",
            port="denoise",
            given=f"{denoise:g}",
            expected=f"at least {1 / steps:g}",
            hint="Raise denoise, or the number of steps.",
        )
    return walked


def last_step(steps: int, denoise: float, end_step: int | None) -> int:
    """After which step a sampling stops: after the last one walked, unless it is to stop before.

    Raises:
        InvalidValue: A number is out of range, or no step is left.
    """
    walked = steps_walked(steps, denoise)
    if end_step is None:
        return walked
    if not 1 <= end_step <= walked:
        raise InvalidValue(
            f"it is no step of the {walked} that are walked",
            port="end_step",
            given=str(end_step),
            expected=f"1 to {walked}, or nothing",
            hint="Leave it out to walk all of them.",
        )
    return end_step
