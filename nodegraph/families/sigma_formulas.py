"""Laws by which noise levels are laid, besides the schedules that have names. Imports no torch.

What they compute is in `schedules` and `flow_schedules` of `nodegraph.sampling`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue
from nodegraph.families.names import (
    FLOW_SCHEDULE_NAMES,
    SCHEDULE_NAMES,
    TABLE_SCHEDULES,
    check_combination,
    check_sampler,
    follows_any_level,
)
from nodegraph.families.steps import MAX_STEPS

LEVELS = "levels"
"""The law of levels that are named one by one."""
TURBO = "sd_turbo"
TURBO_STEPS = 10
"""Timesteps that Stable Diffusion Turbo was distilled on, evenly spaced."""

FURTHER_LAWS = ("polyexponential", "laplace", "vp", TURBO, LEVELS)
SCHEDULES = (*SCHEDULE_NAMES, *FURTHER_LAWS)

FLOW_LAWS = (*FLOW_SCHEDULE_NAMES, "polyexponential", "laplace", LEVELS)
"""Those that flow models can follow."""
TABLE_FORMULAS = (*TABLE_SCHEDULES, TURBO)
"""Those that samplers can follow which take noise levels from the model's own table alone."""

INVERSION_SAMPLERS = ("euler",)
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
"""By law: the numbers that it heeds, with the least and the greatest."""


def check_schedule_exists(law: str) -> None:
    """Refuse laws that there aren't.

    Raises:
        InvalidValue: On port ``schedule``.
    """
    if law not in SCHEDULES:
        raise InvalidValue(
            f"there is no schedule `{law}`",
            port="schedule",
            given=law,
            expected=", ".join(SCHEDULES),
            hint=did_you_mean(law, SCHEDULES),
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
            "the least noise level has to be below the greatest",
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
            "a schedule needs two noise levels at least"
            if len(levels) < 2
            else f"a schedule has {MAX_STEPS} steps at most",
            port="sigmas",
            given=f"{len(levels)} levels",
            expected=f"2 to {MAX_STEPS + 1}",
        )
    for index, level in enumerate(levels):
        if not (math.isfinite(level) and level >= 0):
            raise InvalidValue(
                f"level {index + 1} is no number of at least 0", port="sigmas", given=f"{level:g}"
            )
        if index and level >= levels[index - 1]:
            raise InvalidValue(
                f"level {index + 1} isn't below the one before it",
                port="sigmas",
                given=f"{levels[index - 1]:g}, {level:g}",
                expected="falling levels",
                hint="Name the noisiest first. FlipSchedule turns a schedule round.",
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
        kind: One of `nodegraph.families.names.NOISE_KINDS`.
        rises: Whether some of it leads from little noise to much.
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`.
    Raises:
        InvalidValue: On port ``sampler`` or ``schedule``, naming what is allowed.
    """
    check_sampler(sampler, kind)
    for law in schedules:
        check_schedule_exists(law)
        if law in SCHEDULE_NAMES:
            check_combination(sampler, law, kind, convention)
            continue
        able: tuple[str, ...] = FLOW_LAWS if kind == "flow" else SCHEDULES
        if not follows_any_level(sampler, kind, convention):
            able = tuple(name for name in able if name in TABLE_FORMULAS)
        if law not in able:
            raise InvalidValue(
                f"sampler {sampler} can't follow such a schedule with this model",
                port="schedule",
                given=law,
                expected=", ".join(able),
                hint="Choose normal, which is the model's own.",
            )
    if rises and sampler not in INVERSION_SAMPLERS:
        raise InvalidValue(
            f"sampler {sampler} can't walk from little noise to much",
            port="sampler",
            given=sampler,
            expected=", ".join(INVERSION_SAMPLERS),
            hint="Choose euler, or leave FlipSchedule out.",
        )


def check_churn(s_churn: float | None, *, rises: bool) -> None:
    """Refuse noise that is added on the way to noise: what it leads to is the picture's no more.

    Args:
        s_churn: As of `nodegraph.sampling.sampler_options.SamplerOptions`.
        rises: Whether the schedule leads from little noise to much.
    Raises:
        InvalidValue: On port ``sampler``.
    """
    if rises and s_churn:
        raise InvalidValue(
            "s_churn adds noise of its own on the way from little noise to much",
            port="sampler",
            given=f"s_churn {s_churn:g}",
            expected="s_churn 0",
            hint="Leave s_churn out, or FlipSchedule.",
        )
