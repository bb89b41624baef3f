"""Facts and checks of nodes for parts of a sampling. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.families.flow_shift import parse_numbers
from nodegraph.families.schedule_checks import (
    LEVELS,
    TURBO,
    check_formula_parameters,
    check_split_step,
    schedule_and_sampled_steps,
    split_step,
)
from nodegraph.sampling.composed_schedules import listed_schedule
from nodegraph.sampling.sampler_options import SamplerOptions, resolve_options

from ._sampling_facts import check_findings

_OPTIONS = (
    "eta",
    "s_noise",
    "s_churn",
    "s_tmin",
    "s_tmax",
    "order",
    "gamma",
    "repeats",
    "s_noise_end",
    "noise_clip",
)


def check_options(inputs: HookInputs) -> Iterator[Finding]:
    """Find options that the sampler does not have or does not support."""
    literals = inputs.literals
    sampler = literals.get("sampler")
    if sampler is not None:
        options = SamplerOptions(**{name: literals.get(name) for name in _OPTIONS})
        yield from check_findings(resolve_options, "sampler", sampler, options)


def named_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number and spacing of the steps."""
    literals = inputs.literals
    name, steps, denoise = (literals.get(port) for port in ("schedule", "steps", "denoise"))
    known: dict[str, object] = {} if name is None else {"laws": [name]}
    if steps is not None and denoise is not None:
        try:
            counted = literals.get("denoise_steps") or "share"
            known["steps"] = schedule_and_sampled_steps(steps, denoise, counted)[1]
        except InvalidValue:
            # `check_steps` reports it.
            return {}
    return {"schedule": known}


def karras_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts("karras")


def exponential_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts("exponential")


def polyexponential_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts("polyexponential")


def laplace_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts("laplace")


def vp_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts("vp")


def beta_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts("beta")


def turbo_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts(TURBO)


def levels_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Spacing of the schedule."""
    return _schedule_facts(LEVELS)


def _schedule_facts(law: str) -> dict[str, Facts]:
    return {"schedule": {"laws": [law]}}


def check_ends(inputs: HookInputs) -> Iterator[Finding]:
    """Find a sigma_max below sigma_min."""
    high, low = (inputs.literals.get(port) for port in ("sigma_max", "sigma_min"))
    if high is not None and low is not None:
        yield from check_findings(
            check_formula_parameters, "sigma_min", "karras", {"high": high, "low": low}
        )


def listed_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of steps of listed levels."""
    text = inputs.literals.get("sigmas")
    try:
        steps = None if text is None else listed_schedule(parse_numbers(text)).steps
    except InvalidValue:
        # `check_listed` reports it.
        return {}
    return {} if steps is None else {"schedule": {"steps": steps, "laws": ["levels"]}}


def check_listed(inputs: HookInputs) -> Iterator[Finding]:
    """Find levels that are not a valid schedule."""
    text = inputs.literals.get("sigmas")
    if text is not None:
        yield from check_findings(lambda: listed_schedule(parse_numbers(text)), "sigmas")


def cut_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of steps of both parts."""
    return _cut(inputs, inputs.literals.get("step"))


def check_cut(inputs: HookInputs) -> Iterator[Finding]:
    """Find steps at which a schedule cannot be split."""
    steps, step = inputs.fact("schedule", "steps"), inputs.literals.get("step")
    if steps is not None and step is not None:
        yield from check_findings(check_split_step, "step", steps, step)


def denoised_cut_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of steps of both parts."""
    steps, denoise = inputs.fact("schedule", "steps"), inputs.literals.get("denoise")
    if steps is None or denoise is None:
        return {}
    try:
        return _cut(inputs, split_step(steps, denoise))
    except InvalidValue:
        # `check_denoised_cut` reports it.
        return {}


def check_denoised_cut(inputs: HookInputs) -> Iterator[Finding]:
    """Find shares that leave one part without a step."""
    steps, denoise = inputs.fact("schedule", "steps"), inputs.literals.get("denoise")
    if steps is not None and denoise is not None:
        yield from check_findings(split_step, "denoise", steps, denoise)


def _cut(inputs: HookInputs, step: int | None) -> dict[str, Facts]:
    known = inputs.facts.get("schedule", {})
    steps = known.get("steps")
    if steps is None or step is None or not 0 < step < steps:
        return {}
    return {"high": {**known, "steps": step}, "low": {**known, "steps": steps - step}}


def joined_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of steps and spacing of the joined schedule."""
    first, second = (inputs.facts.get(port, {}) for port in ("first", "second"))
    if "steps" not in first or "steps" not in second:
        return {}
    schedule_names = [*first.get("laws", ()), *second.get("laws", ())]
    steps = first["steps"] + second["steps"]
    rises = bool(first.get("rises") or second.get("rises"))
    return {"schedule": {"steps": steps, "laws": schedule_names, "rises": rises}}


def flipped_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of a reversed schedule: it rises where it fell."""
    known = inputs.facts.get("schedule", {})
    return {"schedule": {**known, "rises": not known.get("rises", False)}}
