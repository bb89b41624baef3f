"""Noise schedules as values: named, listed, split, joined and reversed."""

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
from nodegraph.families.flow_shift import parse_numbers
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
    """The two parts of a split schedule."""

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
    """Select a named noise schedule, as KSampler does.

    Args:
        schedule: How the noise levels are spaced.
        steps: Number of steps of the whole schedule.
        denoise: Share of the schedule that is run, from its end: int(steps × denoise) steps.
        denoise_steps: How steps are counted when denoise is below 1. share: that share of the steps
            is run. all: all steps are run, as the last ones of a schedule of int(steps / denoise)
            steps, as in ComfyUI.
        drop_last: Add one step and drop the last level above 0, as ComfyUI's KSampler does for
            dpm_2, dpm_2_ancestral and uni_pc.
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
    """Karras noise schedule: levels evenly spaced in sigma ** (1 / rho).

    Args:
        steps: Number of steps.
        rho: 1 spaces the levels evenly. Larger values place more of them at low noise.
        sigma_max, sigma_min: The largest and the smallest noise level. If left out, those of the
            model.
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
    """Exponential noise schedule: levels evenly spaced in log sigma.

    Args:
        steps: Number of steps.
        sigma_max, sigma_min: The largest and the smallest noise level. If left out, those of the
            model.
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
    """Polyexponential noise schedule: polynomial in log sigma, as in k-diffusion.

    Args:
        steps: Number of steps.
        rho: 1 spaces the levels evenly in log sigma. Larger values place more of them at low noise.
        sigma_max, sigma_min: The largest and the smallest noise level. If left out, those of the
            model.
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
    """Laplace noise schedule: log sigma follows the quantiles of a Laplace distribution.

    Args:
        steps: Number of steps.
        mu: Log sigma around which the levels are dense.
        scale: Width of the distribution around mu.
        sigma_max, sigma_min: The largest and the smallest noise level. If left out, those of the
            model.
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
    """Variance-preserving (VP) noise schedule: levels at evenly spaced times of the VP process.

    Args:
        steps: Number of steps.
        beta_range: By how much beta rises over the process (19.9 in the paper). If left out, the
            process ends at the largest level of the model.
        beta_min: Beta at the start of the process.
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
    """Beta noise schedule: levels at quantiles of a beta distribution over the model's timesteps.

    Args:
        steps: Number of steps.
        alpha: Lower values place more levels at the clean end.
        beta: Lower values place more levels at the noisy end.
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
    """Noise schedule of SD Turbo and SDXL Turbo: the first of the ten timesteps they were distilled
    on.

    Args:
        steps: How many of the ten timesteps to use.
        denoise: Below 1, only this share of the ten timesteps is available, and part of the image
            is kept.
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
    """Noise schedule from levels written as text.

    Args:
        sigmas: Noise levels, the noisiest first, separated by commas or spaces. For flow models
            they are at most 1. If the last level is 0, all noise is removed. Otherwise that noise
            stays in the latent.
    """
    return listed_schedule(parse_numbers(sigmas))


@node(category="schedule", infer=levels_facts, tags=(*_TAGS, "list", "custom"))
def ScheduleFromList(sigmas: list[float]) -> Schedule:
    """Noise schedule from a list of numbers.

    Args:
        sigmas: Noise levels, the noisiest first. For flow models they are at most 1.
    """
    return listed_schedule(sigmas)


@node(
    category="schedule",
    infer=cut_facts,
    validate=check_cut,
    tags=(*_TAGS, "SplitSigmas", "refiner"),
)
def SplitSchedule(schedule: Schedule, step: Annotated[int, Range(1, MAX_STEPS)] = 10) -> Cut:
    """Split a schedule in two, for example to sample with two models.

    Args:
        schedule: The schedule to split.
        step: Number of steps of the first part.
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
    """Split a schedule in two, with a share of the steps in the second part.

    Args:
        schedule: The schedule to split.
        denoise: Share of the steps in the second part: int(steps × denoise) steps.
    """
    return Cut(*schedule.split(split_step(schedule.steps, denoise)))


@node(category="schedule", infer=joined_facts, tags=(*_TAGS, "merge", "concat"))
def JoinSchedules(first: Schedule, second: Schedule) -> Schedule:
    """Join two schedules in sequence.

    Parts that were split from one schedule give that schedule again.

    Args:
        first: The schedule to sample first.
        second: The schedule to sample next. It should start at or near the level where the first
            ends. The last step of the first then goes to that level.
    """
    return first.then(second)


@node(
    category="schedule", infer=flipped_facts, tags=(*_TAGS, "FlipSigmas", "inversion", "unsample")
)
def FlipSchedule(schedule: Schedule) -> Schedule:
    """Reverse the order of the noise levels, to go from an image to its noise with euler
    (inversion).

    Args:
        schedule: The schedule to reverse. Reversing it twice restores it.
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
    """Multiply all noise levels by a factor.

    Below 1, the model assumes less noise than the latent contains.

    Args:
        schedule: The schedule to scale.
        factor: The factor.
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
    """Start a schedule at another noise level. It may be above the model's training range.

    Args:
        schedule: The schedule to change. Its other levels stay.
        sigma: The first level, above the next one. Above its training range, the model is evaluated
            at its noisiest timestep.
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
    """Return the noise levels of a schedule as numbers, from the first to the last.

    Args:
        model: The model whose noise levels are used.
        schedule: How the noise levels are spaced.
        sampler: The sampling method. Some methods place their steps differently. euler if not
            linked.
        latent: A latent of the size to sample, because flow models shift the levels by size. If not
            linked, the size of the model is used.
        convention: As for KSampler.
    """
    from nodegraph.sampling.preflight import schedule_sigmas

    name = "euler" if sampler is None else sampler.name
    return schedule_sigmas(model, schedule, latent, sampler=name, convention=convention)
