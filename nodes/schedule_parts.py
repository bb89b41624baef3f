"""Schedules as values: laid by laws, listed, cut, joined, turned round."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Choices,
    DiffusionModel,
    Latent,
    Multiline,
    Range,
    node,
)
from nodegraph.families.schedule_checks import (
    DENOISE_STEPS,
    MAX_STEPS,
    TURBO,
    TURBO_STEPS,
    split_step,
)
from nodegraph.sampling.composed_schedules import (
    Schedule,
    listed_schedule,
    named_schedule,
    numbered_schedule,
)
from nodegraph.sampling.sampling_parts import CONVENTIONS, SamplerChoice
from nodegraph.sampling.sigma_lists import parse_numbers

from ._part_facts import (
    beta_facts,
    check_cut,
    check_denoised_cut,
    check_ends,
    check_listed,
    cut_facts,
    denoised_cut_facts,
    exponential_facts,
    flipped_facts,
    joined_facts,
    karras_facts,
    laplace_facts,
    levels_facts,
    listed_facts,
    named_facts,
    polyexponential_facts,
    turbo_facts,
    vp_facts,
)
from ._sampling_facts import check_steps
from .sampler import ScheduleName

Steps = Annotated[int, Range(1, MAX_STEPS)]
End = Annotated[float | None, Range(1e-6, 1e6), Advanced()]
_STEPS = {"schedule": {"steps": "steps"}}
_TAGS = ("sigma", "sigmas", "SampleCustom")


class Cut(NamedTuple):
    """Both parts of a schedule."""

    high: Schedule
    low: Schedule


@node(
    category="schedule",
    infer=named_facts,
    validate=check_steps,
    tags=(*_TAGS, "BasicScheduler", "AlignYourSteps"),
)
def BasicSchedule(
    schedule: ScheduleName = "karras",
    steps: Steps = 20,
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    denoise_steps: Annotated[str, Choices(DENOISE_STEPS), Advanced()] = "share",
    drop_last: Annotated[bool, Advanced()] = False,
) -> Schedule:
    """The noise levels of a name, as KSampler takes them.

    Args:
        schedule: How they are laid, whatever the model's own are.
        steps: Of the whole schedule.
        denoise: Part of the schedule that is walked, from its end: int(steps × denoise) steps.
        denoise_steps: Where denoise is below 1, that share of the steps is walked; with all, all
            are, the last of int(steps / denoise), as in ComfyUI.
        drop_last: Lay one step more and leave the last level above 0 out, as ComfyUI's KSampler
            does with dpm_2, dpm_2_ancestral and uni_pc.
    """
    return named_schedule(schedule, steps, denoise, denoise_steps, dropped=drop_last)


@node(
    category="schedule",
    facts=_STEPS,
    infer=karras_facts,
    validate=check_ends,
    tags=(*_TAGS, "KarrasScheduler", "polynomial", "EDM"),
)
def KarrasSchedule(
    steps: Steps = 20,
    rho: Annotated[float, Range(0.1, 100, step=0.1)] = 7.0,
    sigma_max: End = None,
    sigma_min: End = None,
) -> Schedule:
    """Noise levels evenly spaced in sigma ** (1 / rho): a polynomial of the step.

    Args:
        steps: How many.
        rho: 1 spaces them evenly, above it more of them lie low.
        sigma_max, sigma_min: The greatest and the least; the model's own if left out.
    """
    return numbered_schedule("karras", steps, {"rho": rho, "high": sigma_max, "low": sigma_min})


@node(
    category="schedule",
    facts=_STEPS,
    infer=exponential_facts,
    validate=check_ends,
    tags=(*_TAGS, "ExponentialScheduler"),
)
def ExponentialSchedule(
    steps: Steps = 20, sigma_max: End = None, sigma_min: End = None
) -> Schedule:
    """Noise levels evenly spaced in log sigma.

    Args:
        steps: How many.
        sigma_max, sigma_min: The greatest and the least; the model's own if left out.
    """
    return numbered_schedule("exponential", steps, {"high": sigma_max, "low": sigma_min})


@node(
    category="schedule",
    facts=_STEPS,
    infer=polyexponential_facts,
    validate=check_ends,
    tags=(*_TAGS, "PolyexponentialScheduler", "polynomial"),
)
def PolyexponentialSchedule(
    steps: Steps = 20,
    rho: Annotated[float, Range(0.01, 100, step=0.1)] = 1.0,
    sigma_max: End = None,
    sigma_min: End = None,
) -> Schedule:
    """Noise levels polynomial in log sigma, as k-diffusion's.

    Args:
        steps: How many.
        rho: 1 spaces them evenly in log sigma, above it more of them lie low.
        sigma_max, sigma_min: The greatest and the least; the model's own if left out.
    """
    numbers = {"rho": rho, "high": sigma_max, "low": sigma_min}
    return numbered_schedule("polyexponential", steps, numbers)


@node(
    category="schedule",
    facts=_STEPS,
    infer=laplace_facts,
    validate=check_ends,
    tags=(*_TAGS, "LaplaceScheduler"),
)
def LaplaceSchedule(
    steps: Steps = 20,
    mu: Annotated[float, Range(-10, 10, step=0.1)] = 0.0,
    scale: Annotated[float, Range(0.01, 10, step=0.1)] = 0.5,
    sigma_max: End = None,
    sigma_min: End = None,
) -> Schedule:
    """Noise levels whose logarithms are quantiles of Laplace's distribution.

    Args:
        steps: How many.
        mu: Log sigma where they are dense.
        scale: How far around it they spread.
        sigma_max, sigma_min: The greatest and the least; the model's own if left out.
    """
    numbers = {"mu": mu, "scale": scale, "high": sigma_max, "low": sigma_min}
    return numbered_schedule("laplace", steps, numbers)


@node(
    category="schedule",
    label="VP schedule",
    facts=_STEPS,
    infer=vp_facts,
    tags=(*_TAGS, "VPScheduler"),
)
def VPSchedule(
    steps: Steps = 20,
    beta_range: Annotated[float | None, Range(0, 1000)] = None,
    beta_min: Annotated[float, Range(1e-4, 1000)] = 0.1,
    least: Annotated[float, Range(1e-6, 0.5), Advanced()] = 0.001,
) -> Schedule:
    """Noise levels of evenly spaced times of a process that keeps the variance.

    Args:
        steps: How many.
        beta_range: By how much beta rises over the process (19.9 in the paper); if left out, what
            makes it end at the model's greatest level.
        beta_min: Beta at its beginning.
        least: The last time above 0.
    """
    numbers = {"beta_range": beta_range, "beta_min": beta_min, "least": least}
    return numbered_schedule("vp", steps, numbers)


@node(category="schedule", facts=_STEPS, infer=beta_facts, tags=(*_TAGS, "BetaSamplingScheduler"))
def BetaSchedule(
    steps: Steps = 20,
    alpha: Annotated[float, Range(0.05, 1, step=0.05)] = 0.6,
    beta: Annotated[float, Range(0.05, 1, step=0.05)] = 0.6,
) -> Schedule:
    """Noise levels at quantiles of a beta distribution over the model's timesteps.

    Args:
        steps: How many.
        alpha: The lower, the denser they are at the clean end.
        beta: The lower, the denser they are at the noisy end.
    """
    return numbered_schedule("beta", steps, {"alpha": alpha, "beta": beta})


@node(
    category="schedule",
    label="SD Turbo schedule",
    facts=_STEPS,
    infer=turbo_facts,
    tags=(*_TAGS, "SDTurboScheduler", "distilled"),
)
def SDTurboSchedule(
    steps: Annotated[int, Range(1, TURBO_STEPS)] = 1,
    denoise: Annotated[float, Range(0.1, 1, step=0.1)] = 1.0,
) -> Schedule:
    """The first of ten timesteps that SD Turbo and SDXL Turbo were distilled on.

    Args:
        steps: How many of them.
        denoise: Below 1, that share of the ten is left to take them from: the rest of a picture is
            kept.
    """
    skipped = TURBO_STEPS - int(TURBO_STEPS * denoise)
    return numbered_schedule(TURBO, steps, {"skipped": skipped or None})


@node(
    category="schedule",
    infer=listed_facts,
    validate=check_listed,
    tags=(*_TAGS, "ManualSigmas", "custom", "list", "GITS"),
)
def ListedSchedule(
    sigmas: Annotated[str, Multiline()] = "14.61, 6.47, 3.86, 2.7, 1.89, 1.4, 0.96, 0.65, 0.4, 0",
) -> Schedule:
    """Noise levels that are named one by one.

    Args:
        sigmas: The noisiest first, with commas or space between them; with flow models, at most
            1. Where the last is 0, the noise is gone; otherwise it is left in the latent.
    """
    return listed_schedule(parse_numbers(sigmas))


@node(category="schedule", infer=levels_facts, tags=(*_TAGS, "list", "custom"))
def ScheduleFromList(sigmas: list[float]) -> Schedule:
    """Noise levels from a list of numbers.

    Args:
        sigmas: The noisiest first; with flow models, at most 1.
    """
    return listed_schedule(sigmas)


@node(
    category="schedule",
    infer=cut_facts,
    validate=check_cut,
    tags=(*_TAGS, "SplitSigmas", "refiner"),
)
def SplitSchedule(schedule: Schedule, step: Annotated[int, Range(1, MAX_STEPS)] = 10) -> Cut:
    """A schedule cut in two, such as for two models.

    Args:
        schedule: What is cut.
        step: How many steps the first part has.
    """
    return Cut(*schedule.split(step))


@node(
    category="schedule",
    infer=denoised_cut_facts,
    validate=check_denoised_cut,
    tags=(*_TAGS, "SplitSigmasDenoise"),
)
def SplitScheduleAtDenoise(
    schedule: Schedule, denoise: Annotated[float, Range(0, 1, step=0.01)] = 0.5
) -> Cut:
    """A schedule cut in two, so that the second part has a share of the steps.

    Args:
        schedule: What is cut.
        denoise: The share: int(steps × denoise) steps are in the second part.
    """
    return Cut(*schedule.split(split_step(schedule.steps, denoise)))


@node(category="schedule", infer=joined_facts, tags=(*_TAGS, "merge", "concat"))
def JoinSchedules(first: Schedule, second: Schedule) -> Schedule:
    """Two schedules one after the other. Parts of one that were cut are that one again.

    Args:
        first: What is walked first.
        second: What follows: it begins where the first ends, or near it; the last step of the first
            leads there.
    """
    return first.then(second)


@node(
    category="schedule", infer=flipped_facts, tags=(*_TAGS, "FlipSigmas", "inversion", "unsample")
)
def FlipSchedule(schedule: Schedule) -> Schedule:
    """The same noise levels in the other order: from a picture to its noise, with euler.

    Args:
        schedule: What is turned round; turned round twice it is as it was.
    """
    return schedule.flipped()


@node(
    category="schedule",
    facts={"schedule": {name: f"schedule.{name}" for name in ("steps", "laws", "rises")}},
    tags=(*_TAGS, "multiply", "rescale"),
)
def ScaleSchedule(
    schedule: Schedule, factor: Annotated[float, Range(0.01, 10, step=0.01)] = 1.0
) -> Schedule:
    """All noise levels times a number: below 1, less noise is taken to be there than there is.

    Args:
        schedule: What is scaled.
        factor: The number.
    """
    return schedule.scaled(factor)


@node(
    category="schedule",
    facts={"schedule": {name: f"schedule.{name}" for name in ("steps", "laws")}},
    tags=(*_TAGS, "SetFirstSigma", "start", "first sigma"),
)
def SetFirstLevel(
    schedule: Schedule, sigma: Annotated[float, Range(0.0001, 20000, step=0.01)] = 136.0
) -> Schedule:
    """Begin a schedule at another noise level, also above what the model was trained on.

    Args:
        schedule: Whose first level is set; the others stay.
        sigma: The level, above the next one; the model is asked at the noisiest timestep it knows.
    """
    return schedule.started(sigma)


@node(category="schedule", tags=(*_TAGS, "list", "numbers"))
def ScheduleLevels(
    model: DiffusionModel,
    schedule: Schedule,
    sampler: SamplerChoice | None = None,
    latent: Latent | None = None,
    convention: Annotated[str, Choices(CONVENTIONS), Advanced()] = "diffusers",
) -> list[float]:
    """The noise levels of a schedule as numbers, from where it begins to where it ends.

    Args:
        model: Whose noise levels they are.
        schedule: How they are laid.
        sampler: The method; methods lay their steps differently. euler if not linked.
        latent: Of the size that is sampled, by which flow models shift them; the model's own size
            if not linked.
        convention: As for KSampler.
    """
    from nodegraph.families.flow_noise import recipe_noise
    from nodegraph.families.registry import get_family
    from nodegraph.sampling.preflight import tokens_of
    from nodegraph.sampling.samplers import SAMPLERS
    from nodegraph.sampling.schedules import levels_for

    family = get_family(model.family)
    size = Latent(None, family.size, family.size) if latent is None else latent
    grid = SAMPLERS["euler" if sampler is None else sampler.name].grid_for(convention)
    tokens = tokens_of(family, size)
    noise_levels = levels_for(schedule, recipe_noise(model), grid=grid, tokens=tokens)
    return [
        float(sigma) for sigma in noise_levels.sigmas[noise_levels.first : noise_levels.end + 1]
    ]
