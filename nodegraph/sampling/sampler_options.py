"""Options of samplers, such as eta and s_noise: ranges, defaults, checks. Imports no torch.

A node fills `SamplerOptions` with what somebody set; `resolved` puts the sampler's own values in
for the rest, and refuses what it doesn't heed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from nodegraph.errors import InvalidValue
from nodegraph.families.sampler_names import SAMPLER_RECORDS, sampler_record


@dataclass(frozen=True, slots=True)
class SamplerOptions:
    """Numbers of a sampler; None is its own, as `SAMPLER_OPTIONS` has it.

    Attributes:
        eta: Part of the noise that is drawn anew: 0 draws none, 1 as much as there is.
        s_noise: Factor on all noise that is drawn on the way.
        s_churn: Noise that is added before steps, over the whole sampling; spread evenly over its
            steps, it raises sigma by a factor of up to sqrt(2) in each.
        s_tmin, s_tmax: Between these noise levels, sigma of an unscaled latent, it is added, or
            the walk is repeated.
        order: Of the method: how many predictions a step looks at.
        gamma: How far a slope is followed past the one before it: 1 is `euler`.
        repeats: How often the way from s_tmax down to s_tmin is walked again.
        s_noise_end: What s_noise comes to in the last step, on a line over the steps; of itself it
            stays.
        noise_clip: Noise is held within so many of its standard deviations; 0: it isn't.
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
    """The same with every number there; where a sampler doesn't heed one, what changes nothing."""

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


def options_of(sampler: str) -> Mapping[str, float | int]:
    """The options that a sampler takes, with its own values; also of a package's or a pack's."""
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
"""By sampler: the options that it heeds and what they are of themselves. Others heed none."""

COMFYUI_OPTIONS = _options("comfyui_options")
"""By sampler: what options are of themselves by ComfyUI's convention, where that is another."""


def resolve_options(
    sampler: str, options: SamplerOptions, convention: str = "diffusers"
) -> ResolvedOptions:
    """A sampler's numbers, its own where none was given.

    Args:
        convention: One of `nodegraph.sampling.sampling_parts_estimate.CONVENTIONS`.
    Raises:
        InvalidValue: One is out of range, or the sampler doesn't heed it; on the port of the
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
            "s_tmin is above s_tmax, so there is nothing between them",
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
        f"sampler {sampler} doesn't heed {name}",
        port=name,
        given=f"{value:g}",
        expected=f"nothing; it heeds {', '.join(heeded)}" if heeded else "nothing",
        hint=f"Samplers that heed {name}: {', '.join(able)}.",
    )
