"""What a sampling can be refused for before its model's weights are loaded."""

from __future__ import annotations

from nodegraph.core.values import DiffusionModel, Latent
from nodegraph.diffusion.beginning import check_beginning
from nodegraph.diffusion.families import Family, family_named
from nodegraph.diffusion.flow_noise import recipe_noise
from nodegraph.diffusion.laws import check_churn, check_followed
from nodegraph.diffusion.sampler_options import resolved
from nodegraph.diffusion.samplers import SAMPLERS
from nodegraph.diffusion.sampling_parts import SamplingParts
from nodegraph.diffusion.schedules import Ladder, laid
from nodegraph.diffusion.step_prompts import check_cover


def foreseen(recipe: DiffusionModel, latent: Latent, parts: SamplingParts) -> Ladder:
    """The noise levels that a sampling will walk.

    Raises:
        InvalidValue: The parts don't fit each other, the model's family or its noise levels; or no
            prompt applies somewhere, at some step; or a negative one is asked for and there is
            none.
    """
    family = family_named(recipe.family)
    schedule, sampler, noise = parts.schedule, parts.sampler, recipe_noise(recipe)
    check_followed(
        sampler.name,
        schedule.laws,
        noise.kind,
        rises=schedule.rises,
        convention=parts.convention,
    )
    resolved(sampler.name, sampler.options)
    check_churn(sampler.options.s_churn, rises=schedule.rises)
    check_beginning(latent, added=parts.noise.added, rises=schedule.rises)
    grid = SAMPLERS[sampler.name].laying(parts.convention)
    tokens = tokens_of(family, latent)
    for added in parts.guider.added:
        added.check(recipe)
    ladder = laid(schedule, noise, grid=grid, tokens=tokens)
    points = map(ladder.point, range(ladder.first, ladder.end))
    check_cover(family, parts.guider, latent, points, sampler.name)
    return ladder


def tokens_of(family: Family, latent: Latent) -> int:
    """Tokens of a latent, by which the model's schedule is shifted."""
    pixels = family.latent
    frames = (pixels.latent_frames(latent.frames),) if pixels.temporal else ()
    cells = pixels.cells(latent.height), pixels.cells(latent.width)
    return family.tokens((latent.batch_size, 1, *frames, *cells))
