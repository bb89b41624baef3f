"""Check a schedule's arguments: steps, denoise, sigma formulas and their numbers.

`nodegraph.sampling.schedules` and `nodegraph.sampling.flow_schedules` compute the schedules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue
from nodegraph.families.sampler_names import (
    FLOW_SCHEDULE_NAMES,
    FURTHER_LAWS,
    SAMPLER_RECORDS,
    SCHEDULE_NAMES,
    SCHEDULE_PLUGINS,
    TABLE_SCHEDULES,
    check_combination,
    check_sampler,
    follows_any_level,
    sampler_record,
)

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
            f"denoise {denoise:g} of {steps} steps leaves no step to run",
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
            f"{steps} steps over {denoise:g} of a schedule need {schedule_steps} steps in "
            "the whole schedule",
            port="denoise",
            given=f"{denoise:g}",
            expected=f"at most {MAX_STEPS} steps in the whole schedule",
            hint="Raise denoise, or use fewer steps.",
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
            f"the step is not one of the {walked} that run",
            port="end_step",
            given=str(end_step),
            expected=f"1 to {walked}, or nothing",
            hint="Leave it out to run all of them.",
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
            f"the step is not one of the {steps} of the schedule",
            port="end_step",
            given=str(last),
            expected=f"1 to {steps}, or nothing",
            hint="Leave it out to run to the last step.",
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
            f"a schedule of {steps} steps cannot be split there",
            port="step",
            given=str(step),
            expected=f"1 to {steps - 1}" if steps > 1 else "a longer schedule",
            hint="Each part needs at least one step.",
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
            f"denoise {denoise:g} of {steps} steps leaves no step before the split",
            port="denoise",
            given=f"{denoise:g}",
            expected="below 1",
            hint="Lower denoise, or remove the node.",
        )
    return steps - behind


LEVELS = "levels"
"""The law of levels that are named one by one."""
TURBO = "sd_turbo"
TURBO_STEPS = 10
"""Timesteps that Stable Diffusion Turbo was distilled on, evenly spaced."""

SCHEDULES = (*SCHEDULE_NAMES, *FURTHER_LAWS)

FLOW_LAWS = (*FLOW_SCHEDULE_NAMES, "polyexponential", "laplace", LEVELS)
"""Those that flow models can follow."""
TABLE_FORMULAS = (*TABLE_SCHEDULES, TURBO)
"""Those that samplers can follow which take noise levels from the model's own table alone."""

INVERSION_SAMPLERS = tuple(name for name, record in SAMPLER_RECORDS.items() if record["may_rise"])
"""Samplers that can walk from little noise to much: those that neither draw noise nor look back."""

_ABOVE = (1e-6, 1e6)
_ENDS = {"high": _ABOVE, "low": _ABOVE}
FORMULA_PARAMETERS: Mapping[str, Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "karras": {"rho": (0.1, 100.0), **_ENDS},
        "exponential": _ENDS,
        "polyexponential": {"rho": (0.01, 100.0), **_ENDS},
        "laplace": {"mu": (-10.0, 10.0), "scale": (0.01, 10.0), **_ENDS},
        "vp": {"beta_range": (0.0, 1000.0), "beta_min": (1e-4, 1000.0), "least": (1e-6, 0.5)},
        "beta": {"alpha": (0.05, 1.0), "beta": (0.05, 1.0)},
        TURBO: {"skipped": (0.0, TURBO_STEPS - 1.0)},
    }
)
"""By law: the numbers that it uses, with the least and the greatest."""


def check_schedule_exists(law: str) -> None:
    """Refuse laws that there aren't.

    Raises:
        InvalidValue: On port ``schedule``.
    """
    if law not in SCHEDULES and law not in SCHEDULE_PLUGINS:
        schedules = (*SCHEDULES, *SCHEDULE_PLUGINS)
        raise InvalidValue(
            f"there is no schedule `{law}`",
            port="schedule",
            given=law,
            expected=", ".join(schedules),
            hint=did_you_mean(law, schedules),
        )


def check_formula_parameters(law: str, numbers: Mapping[str, float]) -> None:
    """Refuse numbers out of range, and ends that are the wrong way round.

    Raises:
        InvalidValue: On the port of the number's name; ``sigma_max`` and ``sigma_min`` of ends.
    """
    heeded = FORMULA_PARAMETERS.get(law, {})
    for name, number in numbers.items():
        least, most = heeded.get(name, (math.inf, -math.inf))
        if not least <= number <= most:
            raise InvalidValue(
                f"{_PORTS.get(name, name)} is out of range",
                port=_PORTS.get(name, name),
                given=f"{number:g}",
                expected=f"{least:g} to {most:g}" if name in heeded else "nothing",
            )
    if numbers.get("low", 0) >= numbers.get("high", math.inf):
        raise InvalidValue(
            "the minimum noise level is not below the maximum",
            port="sigma_min",
            given=f"{numbers['low']:g}",
            expected=f"below {numbers['high']:g}",
        )


_PORTS = {"high": "sigma_max", "low": "sigma_min"}


def check_levels(levels: Sequence[float]) -> None:
    """Refuse levels that no sampling can walk down.

    Raises:
        InvalidValue: On port ``sigmas``.
    """
    if not 2 <= len(levels) <= MAX_STEPS + 1:
        raise InvalidValue(
            "a schedule needs at least two noise levels"
            if len(levels) < 2
            else f"a schedule has at most {MAX_STEPS} steps",
            port="sigmas",
            given=f"{len(levels)} levels",
            expected=f"2 to {MAX_STEPS + 1}",
        )
    for index, level in enumerate(levels):
        if not (math.isfinite(level) and level >= 0):
            raise InvalidValue(
                f"level {index + 1} is not a number from 0 up", port="sigmas", given=f"{level:g}"
            )
        if index and level >= levels[index - 1]:
            raise InvalidValue(
                f"level {index + 1} is not below the previous one",
                port="sigmas",
                given=f"{levels[index - 1]:g}, {level:g}",
                expected="descending levels",
                hint="Give the noisiest level first. FlipSchedule reverses a schedule.",
            )


def check_sampler_follows(
    sampler: str,
    schedules: Sequence[str],
    kind: str,
    *,
    rises: bool = False,
    convention: str = "diffusers",
) -> None:
    """Refuse laws that a sampler can't follow with models of a kind of noise.

    Args:
        kind: One of `nodegraph.families.sampler_names.NOISE_KINDS`.
        rises: Whether some of it leads from little noise to much.
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`.
    Raises:
        InvalidValue: On port ``sampler`` or ``schedule``, naming what is allowed.
    """
    check_sampler(sampler, kind)
    for law in schedules:
        check_schedule_exists(law)
        if law in SCHEDULE_NAMES or law in SCHEDULE_PLUGINS:
            check_combination(sampler, law, kind, convention)
            continue
        able: tuple[str, ...] = FLOW_LAWS if kind == "flow" else SCHEDULES
        if not follows_any_level(sampler, kind, convention):
            able = tuple(name for name in able if name in TABLE_FORMULAS)
        if law not in able:
            raise InvalidValue(
                f"sampler {sampler} cannot use such a schedule with this model",
                port="schedule",
                given=law,
                expected=", ".join(able),
                hint="Use normal, which is the model's own schedule.",
            )
    record = sampler_record(sampler)
    if rises and (record is None or not record["may_rise"]):
        raise InvalidValue(
            f"sampler {sampler} cannot run an ascending schedule",
            port="sampler",
            given=sampler,
            expected=", ".join(INVERSION_SAMPLERS),
            hint="Use euler, or remove FlipSchedule.",
        )


def check_churn(s_churn: float | None, *, rises: bool) -> None:
    """Refuse noise that is added on the way to noise: what it leads to is the image's no more.

    Args:
        s_churn: As of `nodegraph.sampling.sampler_options.SamplerOptions`.
        rises: Whether the schedule leads from little noise to much.
    Raises:
        InvalidValue: On port ``sampler``.
    """
    if rises and s_churn:
        raise InvalidValue(
            "s_churn adds noise, which an ascending schedule does not allow",
            port="sampler",
            given=f"s_churn {s_churn:g}",
            expected="s_churn 0",
            hint="Remove s_churn or FlipSchedule.",
        )
