"""Options of samplers, such as eta and s_noise: ranges, defaults, checks. Imports no torch.

A node fills `SamplerOptions` with the values that are set. `resolve_options` adds the sampler's
defaults for the others, and refuses options that the sampler does not have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from nodegraph.errors import InvalidValue
from nodegraph.families.sampler_names import NOISE_KINDS, SAMPLER_RECORDS, sampler_record


@dataclass(frozen=True, slots=True)
class SamplerOptions:
    """Options of a sampler. None is the sampler's default; see `SAMPLER_OPTIONS`.

    Attributes:
        eta: Fraction of the noise that is replaced by fresh noise: 0 for none, 1 for all.
        s_noise: Factor on all noise that is drawn during the sampling.
        s_churn: Noise that is added before steps, in total over the sampling. It is distributed
            evenly over the steps and raises sigma by a factor of up to sqrt(2) in each.
        s_tmin, s_tmax: The range of noise levels (sigma of an unscaled latent) in which noise is
            added, or steps are repeated.
        order: Order of the method: the number of predictions that a step uses.
        gamma: How far a slope is extrapolated from the previous one: 1 is `euler`.
        repeats: How often the steps from s_tmax down to s_tmin are repeated.
        s_noise_end: Value of s_noise in the last step; it changes linearly over the steps. By
            default s_noise is constant.
        noise_clip: Noise is clipped to this number of standard deviations. 0 disables it.
    """

    eta: float | None = None
    s_noise: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    order: int | None = None
    gamma: float | None = None
    repeats: int | None = None
    s_noise_end: float | None = None
    noise_clip: float | None = None


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """All options with a value; options that a sampler does not have are set to have no effect."""

    eta: float = 1.0
    s_noise: float = 1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    order: int = 0
    gamma: float = 1.0
    repeats: int = 0
    s_noise_end: float = 1.0
    noise_clip: float = 0.0


OPTION_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "eta": (0.0, 1.0),
        "s_noise": (0.0, 10.0),
        "s_churn": (0.0, 1000.0),
        "s_tmin": (0.0, math.inf),
        "s_tmax": (0.0, math.inf),
        "order": (1, 4),
        "gamma": (1.0, 5.0),
        "repeats": (0, 20),
        "s_noise_end": (0.0, 10.0),
        "noise_clip": (0.0, 10.0),
    }
)
"""By option: least and greatest value; some samplers have a lower greatest order."""


def check_declared(method: Any) -> None:
    """Check what a sampler's decorator says of it, of `samplers.base.Method`.

    Raises:
        ValueError: An argument is not what it has to be.
    """
    for name, value in [*method.options.items(), *method.comfyui_options.items()]:
        if name not in OPTION_RANGES:
            known = ", ".join(OPTION_RANGES)
            raise ValueError(f"there is no option {name}; the options are {known}")
        least, most = OPTION_RANGES[name]
        if not isinstance(value, (int, float)) or not least <= value <= most:
            raise ValueError(f"its option {name} is {value!r}; it must be in {least:g} to {most:g}")
    if not _are_whole((method.order,), 0) or not _are_whole((method.highest_order,), 1, 4):
        orders = f"{method.order!r} and {method.highest_order!r}"
        raise ValueError(
            f"its order and highest_order are {orders}; they must be whole numbers, "
            "highest_order 1 to 4"
        )
    calls = method.evaluations
    is_pair = isinstance(calls, (tuple, list)) and len(calls) == 2
    if not (is_pair and _are_whole(calls, -math.inf) and calls[0] >= 1):
        raise ValueError(
            f"its evaluations are {calls!r}; they must be two whole numbers (a, b): n steps "
            "evaluate the model a · n + b times"
        )
    for kind, space in [*method.spaces.items(), *method.comfyui_spaces.items()]:
        if kind not in NOISE_KINDS or not callable(space):
            known = ", ".join(NOISE_KINDS)
            raise ValueError(f"its spaces have {kind}: {space!r}; they must be spaces of {known}")
    if not callable(method.draws):
        raise ValueError(f"its draws is {method.draws!r}; it must be a function")


def _are_whole(numbers: Sequence[Any], least: float, most: float = math.inf) -> bool:
    return all(isinstance(number, int) and least <= number <= most for number in numbers)


def options_of(sampler: str) -> Mapping[str, float | int]:
    """The options of a sampler with their defaults, also of samplers of packages and packs."""
    return _options_of(sampler, "options")


def _options_of(sampler: str, kind: str) -> Mapping[str, float | int]:
    record = sampler_record(sampler)
    written = {} if record is None else record[kind]
    return {name: math.inf if value is None else value for name, value in written.items()}


def _options(kind: str) -> Mapping[str, Mapping[str, float | int]]:
    """By sampler, of those that have some."""
    return MappingProxyType(
        {name: _options_of(name, kind) for name in SAMPLER_RECORDS if SAMPLER_RECORDS[name][kind]}
    )


SAMPLER_OPTIONS = _options("options")
"""By sampler: the options that it uses, with their defaults. Other samplers use none."""

COMFYUI_OPTIONS = _options("comfyui_options")
"""By sampler: what options are of themselves by ComfyUI's convention, where that is another."""


def resolve_options(
    sampler: str, options: SamplerOptions, convention: str = "diffusers"
) -> ResolvedOptions:
    """Resolve the options of a sampler; missing ones have the sampler's defaults.

    Args:
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`.
    Raises:
        InvalidValue: An option is out of range, or the sampler does not have it. The port has the
            option's name.
    """
    heeded = options_of(sampler)
    chosen = {field.name: getattr(options, field.name) for field in fields(options)}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    for name, value in chosen.items():
        if name not in heeded:
            raise _unheeded(sampler, name, value, tuple(heeded))
        _check_range(sampler, name, value)
    own = _options_of(sampler, "comfyui_options") if convention == "comfyui" else {}
    numbers: dict[str, Any] = {**heeded, **own, **chosen}
    if "s_noise_end" in heeded and "s_noise_end" not in chosen:
        numbers["s_noise_end"] = numbers["s_noise"]
    if numbers.get("s_tmin", 0) > numbers.get("s_tmax", math.inf):
        raise InvalidValue(
            "s_tmin is above s_tmax, so no noise level lies between them",
            port="s_tmin",
            given=f"{numbers['s_tmin']:g}",
            expected=f"at most {numbers['s_tmax']:g}",
        )
    return ResolvedOptions(**numbers)


def _check_range(sampler: str, name: str, value: float) -> None:
    least, most = OPTION_RANGES[name]
    if name == "order":
        record = sampler_record(sampler)
        most = most if record is None else record["highest_order"]
    if math.isnan(value) or not least <= value <= most:
        raise InvalidValue(
            f"{name} is out of range for sampler {sampler}",
            port=name,
            given=f"{value:g}",
            expected=f"{least:g} to {most:g}" if most < math.inf else f"at least {least:g}",
        )


def _unheeded(sampler: str, name: str, value: float, heeded: tuple[str, ...]) -> InvalidValue:
    able = [other for other, taken in SAMPLER_OPTIONS.items() if name in taken]
    return InvalidValue(
        f"sampler {sampler} has no option {name}",
        port=name,
        given=f"{value:g}",
        expected=f"no value; its options are {', '.join(heeded)}" if heeded else "nothing",
        hint=f"Samplers with this option: {', '.join(able)}.",
    )
