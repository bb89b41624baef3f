"""Names of samplers and noise schedules, and which go together. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

SPACINGS = ("leading", "trailing", "linspace")
"""Ways to spread whole timesteps over the training range, as scheduler files name them."""

WHOLE_SCHEDULES = ("normal", "sgm_uniform", "simple", *SPACINGS)
"""Schedules that samplers can follow which take noise levels from the model's own table alone."""

SCHEDULE_NAMES = ("normal", "karras", "exponential", "sgm_uniform", "simple", "beta", *SPACINGS)

_ANY_LEVEL = (
    "euler",
    "euler_ancestral",
    "heun",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "uni_pc",
)
_TABLE_LEVELS = ("ddim", "ddpm", "lcm")

ALLOWED_SCHEDULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys(_ANY_LEVEL, SCHEDULE_NAMES) | dict.fromkeys(_TABLE_LEVELS, WHOLE_SCHEDULES)
)
"""By sampler: the schedules it can follow. ddim, ddpm and lcm read the model's table of
cumulative alphas, so they can't take noise levels between two of its timesteps."""

SAMPLER_NAMES = tuple(ALLOWED_SCHEDULES)

NOISE_KINDS = ("discrete", "flow")
"""Kinds of noise that models are trained on: a variance for each of a number of timesteps, or a
straight way from the picture to the noise (flow matching)."""

_SAMPLERS_OF_KIND: Mapping[str, tuple[str, ...]] = MappingProxyType({"discrete": SAMPLER_NAMES})


def check_kind(sampler: str, kind: str) -> None:
    """Refuse a sampler that can't sample models of a kind of noise.

    Raises:
        InvalidValue: On port ``sampler``, naming those that can.
    """
    if sampler not in ALLOWED_SCHEDULES:
        raise _unknown("sampler", sampler, SAMPLER_NAMES)
    fitting = _SAMPLERS_OF_KIND[kind]
    if sampler not in fitting:
        raise InvalidValue(
            f"sampler {sampler} can't sample {kind} models",
            port="sampler",
            given=sampler,
            expected=", ".join(fitting),
        )


def check_combination(sampler: str, schedule: str) -> None:
    """Refuse unknown names and pairs that make no sense.

    Raises:
        InvalidValue: On port ``sampler`` or ``schedule``, naming what is allowed.
    """
    if sampler not in ALLOWED_SCHEDULES:
        raise _unknown("sampler", sampler, SAMPLER_NAMES)
    if schedule not in SCHEDULE_NAMES:
        raise _unknown("schedule", schedule, SCHEDULE_NAMES)
    allowed = ALLOWED_SCHEDULES[sampler]
    if schedule not in allowed:
        raise InvalidValue(
            f"sampler {sampler} can't follow the {schedule} schedule",
            port="schedule",
            given=schedule,
            expected=", ".join(allowed),
            hint=f"{sampler} needs noise levels from the model's own table: choose normal.",
        )


def _unknown(port: str, name: str, names: tuple[str, ...]) -> InvalidValue:
    return InvalidValue(
        f"there is no {port} `{name}`",
        port=port,
        given=name,
        expected=", ".join(names),
        hint=did_you_mean(name, names),
    )
