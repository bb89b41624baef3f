"""How many steps a sampling walks. Imports no torch."""

from __future__ import annotations

from nodegraph.errors import InvalidValue

MAX_STEPS = 10_000

DENOISE_STEPS = ("share", "all")
"""Ways to count the steps of a sampling whose denoise is below 1: that share of them is walked, or
all of them over that share of a longer schedule."""
WHOLLY_DENOISED = 0.9999
"""Above it, denoise is 1 where all steps are walked; as in ComfyUI."""


def sampled_steps(steps: int, denoise: float) -> int:
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


def schedule_and_sampled_steps(
    steps: int, denoise: float, counted: str = "share"
) -> tuple[int, int]:
    """How many steps a schedule has, and how many of them, from its end, are walked.

    Args:
        counted: One of `DENOISE_STEPS`. ``share``: int(steps · denoise) of the steps, as
            `strength` does in diffusers. ``all``: the last of int(steps / denoise), as in ComfyUI.
    Raises:
        InvalidValue: A number is out of range, or no step is left.
    """
    if counted not in DENOISE_STEPS:
        raise InvalidValue(
            f"there is no denoise_steps `{counted}`",
            port="denoise_steps",
            given=counted,
            expected=", ".join(DENOISE_STEPS),
        )
    if counted == "share":
        return steps, sampled_steps(steps, denoise)
    sampled_steps(steps, 1.0)
    if not 0 < denoise <= 1:
        raise InvalidValue(
            "denoise is out of range",
            port="denoise",
            given=f"{denoise:g}",
            expected="above 0, to 1",
        )
    schedule_steps = steps if denoise > WHOLLY_DENOISED else int(steps / denoise)
    if schedule_steps > MAX_STEPS:
        raise InvalidValue(
            f"{steps} steps over {denoise:g} of a schedule are {schedule_steps} steps of the whole",
            port="denoise",
            given=f"{denoise:g}",
            expected=f"at most {MAX_STEPS} steps of the whole",
            hint="Raise denoise, or take fewer steps.",
        )
    return schedule_steps, steps


def last_step(steps: int, denoise: float, end_step: int | None, counted: str = "share") -> int:
    """After which step a sampling stops: after the last one walked, unless it is to stop before.

    Args:
        counted: See `schedule_and_sampled_steps`.
    Raises:
        InvalidValue: A number is out of range, or no step is left.
    """
    _, walked = schedule_and_sampled_steps(steps, denoise, counted)
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


def step_window(steps: int, start: int, end: int | None) -> tuple[int, int]:
    """Between which steps of a schedule a part of it is walked.

    Args:
        start: Steps that come before; `end`: the last one that is walked, None for the last.
    Raises:
        InvalidValue: A number is out of range, or no step is left.
    """
    sampled_steps(steps, 1.0)
    last = steps if end is None else end
    if not 1 <= last <= steps:
        raise InvalidValue(
            f"it is no step of the {steps} of the schedule",
            port="end_step",
            given=str(last),
            expected=f"1 to {steps}, or nothing",
            hint="Leave it out to walk to the last one.",
        )
    if not 0 <= start < last:
        raise InvalidValue(
            "there is no step between the first and the last",
            port="start_step",
            given=f"{start}, with {last} the last",
            expected=f"0 to {last - 1}",
        )
    return start, last


def check_split_step(steps: int, step: int) -> None:
    """Refuse to cut steps where one of the parts would be empty.

    Raises:
        InvalidValue: On port ``step``.
    """
    if not 0 < step < steps:
        raise InvalidValue(
            f"a schedule of {steps} steps can't be cut there",
            port="step",
            given=str(step),
            expected=f"1 to {steps - 1}" if steps > 1 else "a longer schedule",
            hint="Each part needs a step at least.",
        )


def split_step(steps: int, denoise: float) -> int:
    """Where steps are cut so that a share of them lies behind.

    Args:
        denoise: The share: int(steps · denoise) steps.
    Raises:
        InvalidValue: One of the parts would be empty; on port ``denoise``.
    """
    behind = sampled_steps(steps, denoise)
    if behind == steps:
        raise InvalidValue(
            f"denoise {denoise:g} of {steps} steps leaves none before",
            port="denoise",
            given=f"{denoise:g}",
            expected="below 1",
            hint="Lower denoise, or leave the node out.",
        )
    return steps - behind
