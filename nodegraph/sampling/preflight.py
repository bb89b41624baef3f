"""Checks of a sampling before its model's weights are loaded."""

from __future__ import annotations

from collections.abc import Iterable

from nodegraph.core.values import DiffusionModel, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.flow_noise import recipe_noise
from nodegraph.families.registry import get_family
from nodegraph.families.schedule_checks import check_churn, check_sampler_follows
from nodegraph.sampling.composed_schedules import Schedule
from nodegraph.sampling.guiders.checks import check_negative
from nodegraph.sampling.guiders.context_windows import check_windowed
from nodegraph.sampling.initial_latent import check_initial_latent
from nodegraph.sampling.padded_latent import PaddedLatent
from nodegraph.sampling.prompt_adapters import schedules_of
from nodegraph.sampling.prompts import Prompt, Prompts, entries_of, weight_of
from nodegraph.sampling.sampler_options import resolve_options
from nodegraph.sampling.samplers import SAMPLERS
from nodegraph.sampling.sampling_parts import GuiderChoice, SamplingParts
from nodegraph.sampling.schedules import NoiseLevels, levels_for


def plan_levels(recipe: DiffusionModel, latent: Latent, parts: SamplingParts) -> NoiseLevels:
    """The noise levels that a sampling will walk.

    Raises:
        InvalidValue: The parts don't fit each other, the model's family or its noise levels; or no
            prompt applies somewhere, at some step; or a negative one is asked for and there is
            none.
    """
    family = get_family(recipe.family)
    schedule, sampler, noise = parts.schedule, parts.sampler, recipe_noise(recipe)
    check_sampler_follows(
        sampler.name,
        schedule.spacings,
        noise.kind,
        rises=schedule.rises,
        convention=parts.convention,
    )
    resolve_options(sampler.name, sampler.options)
    check_churn(sampler.options.s_churn, rises=schedule.rises)
    check_initial_latent(latent, added=parts.noise.added, rises=schedule.rises)
    grid = SAMPLERS[sampler.name].grid_for(parts.convention)
    tokens = tokens_of(family, latent)
    for added in parts.guider.added:
        added.check(recipe)
    if parts.guider.windows is not None:
        check_windowed(family)
    _check_prompt_adapters(parts.guider)
    noise_levels = levels_for(schedule, noise, grid=grid, tokens=tokens)
    points = map(noise_levels.point, range(noise_levels.first, noise_levels.end))
    check_prompt_coverage(family, parts.guider, latent, points, sampler.name)
    return noise_levels


def _check_prompt_adapters(choice: GuiderChoice) -> None:
    """Refuse prompts with adapters of their own if another model evaluates prompts.

    Raises:
        InvalidValue: On port ``guider``.
    """
    is_alone = not any(isinstance(recipe, DiffusionModel) for recipe in choice.recipes)
    if is_alone or not schedules_of(choice.prompts.values()):
        return
    raise InvalidValue(
        "prompts with LoRAs or models cannot be evaluated by another model of the guider",
        port="guider",
        given=choice.description,
        hint="Load the LoRA with LoadLora on the models and mix models with MergeModels, or remove "
        "the other model.",
    )


def tokens_of(family: Family, latent: Latent) -> int:
    """Tokens of a latent, by which the model's schedule is shifted."""
    pixels, latent = family.latent, PaddedLatent.of(family, latent).latent
    frames = (pixels.latent_frames(latent.frames),) if pixels.temporal else ()
    cells = pixels.cells(latent.height), pixels.cells(latent.width)
    return family.tokens((latent.batch_size, 1, *frames, *cells))


def schedule_sigmas(
    recipe: DiffusionModel,
    schedule: Schedule,
    latent: Latent | None = None,
    *,
    sampler: str = "euler",
    convention: str = "diffusers",
) -> list[float]:
    """Return the noise levels of a schedule, from the first to the last.

    Args:
        recipe: Model whose noise levels are used.
        latent: Latent of the size to sample. None for the size of the model.
        sampler: Name of the sampler. Some place their steps differently.
        convention: One of `nodegraph.sampling.sampling_parts.CONVENTIONS`.
    """
    family = get_family(recipe.family)
    size = Latent(None, family.size, family.size) if latent is None else latent
    grid = SAMPLERS[sampler].grid_for(convention)
    tokens = tokens_of(family, size)
    levels = levels_for(schedule, recipe_noise(recipe), grid=grid, tokens=tokens)
    return [float(sigma) for sigma in levels.sigmas[levels.first : levels.end + 1]]


def check_prompt_coverage(
    family: Family,
    choice: GuiderChoice,
    latent: Latent,
    points: Iterable[tuple[float, int, float]],
    sampler: str,
) -> None:
    """Find out before a model is loaded whether a positive prompt applies everywhere, at each step,
    and whether there is a negative one if it is asked for whatever the scale.

    Args:
        points: Of the steps, as `NoiseLevels.point` gives them.
        sampler: Its name.
    Raises:
        InvalidValue: The empty prompt is needed and there is none.
    """
    if any(
        conditioning is not None and conditioning.unconditional
        for conditioning in choice.prompts.values()
    ):
        return
    if choice.negative is None:
        check_negative(sampler, needs_negative=choice.always_uses_negative)
    cells = family.latent.cells(latent.height), family.latent.cells(latent.width)
    shape = (1, 1, 1, *cells) if family.latent.temporal else (1, 1, *cells)
    prompts = [
        Prompt(
            {},
            weight_of(entry, shape, latent.width, latent.height),
            entry.start,
            entry.end,
            steps=entry.steps,
            is_fallback=entry.is_fallback,
        )
        for entry in entries_of("positive", choice.positive)
    ]
    positive_prompts = Prompts("positive", prompts, None)
    for point in points:
        positive_prompts.at(*point)
