"""Noise schedules as plots and lists, and lists of seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from nodegraph import (
    Advanced,
    Choices,
    DiffusionModel,
    Image,
    InvalidFile,
    InvalidValue,
    Plot,
    Range,
    Seed,
    node,
)
from nodegraph.families.sampler_names import check_schedule
from nodegraph.families.schedule_checks import DENOISE_STEPS, MAX_STEPS
from nodegraph.sampling.composed_schedules import Schedule, named_schedule
from nodegraph.sampling.sampling_parts import CONVENTIONS, drops_a_level

from ._sampling_facts import check_noise_levels, check_steps
from .sampler import SamplerName, ScheduleName

if TYPE_CHECKING:
    from nodegraph.sampling.schedules import NoiseLevels
    from nodegraph.sampling.table_schedules import Grid

Side = Annotated[int, Range(160, 4096)]
_PICTURE = {"image": {"width": "width", "height": "height"}}


@node(category="schedule", facts=_PICTURE, tags=("noise", "alpha", "sigma"))
def PlotBetas(
    beta_schedule: Literal["scaled_linear", "linear", "squaredcos_cap_v2"] = "scaled_linear",
    beta_start: Annotated[float, Range(1e-6, 0.999)] = 0.00085,
    beta_end: Annotated[float, Range(1e-6, 0.999)] = 0.012,
    timesteps: Annotated[int, Range(2, 10_000)] = 1000,
    width: Side = 640,
    height: Side = 360,
) -> Image:
    """Plot a training noise schedule: beta, alpha bar and sigma by timestep.

    Beta is the variance that a timestep adds. Alpha bar is the share of the image's variance that
    is left. Sigma is the ratio of noise to image.

    Args:
        beta_schedule: How beta rises. The cosine schedule (squaredcos) ignores beta_start and
            beta_end.
        beta_start, beta_end: First and last beta. The defaults are those of Stable Diffusion 1.x.
        timesteps: Number of training timesteps.
        width, height: Size of the plot, in pixels.
    """
    from nodegraph.families.noise import NoiseSchedule
    from nodegraph.media.plots.axes import build_series
    from nodegraph.media.plots.rendering import plot_image

    config = {
        "beta_schedule": beta_schedule,
        "beta_start": beta_start,
        "beta_end": beta_end,
        "num_train_timesteps": timesteps,
    }
    try:
        noise = NoiseSchedule.from_config(config)
    except InvalidFile as error:
        raise InvalidValue(
            "no signal of the image is left before the last timestep with betas this large",
            port="beta_end",
            given=f"{beta_end:g} over {timesteps} timesteps",
            hint="Lower beta_end, or use fewer timesteps.",
        ) from error
    places = range(timesteps)
    plots = [
        Plot("beta", "timestep", series=(build_series(noise.betas.tolist(), x=places),)),
        Plot(
            "alpha bar", "timestep", series=(build_series(noise.alphas_cumprod.tolist(), x=places),)
        ),
        Plot(
            "sigma (logarithmic)",
            "timestep",
            series=(build_series(noise.sigmas.tolist(), x=places),),
            y_scale="log",
        ),
    ]
    return plot_image(plots, width, height)


@node(category="schedule", facts=_PICTURE, validate=check_noise_levels, tags=("sigma",))
def PlotSchedule(
    model: DiffusionModel,
    steps: Annotated[int, Range(1, MAX_STEPS)] = 20,
    sampler: SamplerName = "dpmpp_2m",
    schedule: ScheduleName = "karras",
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    width: Side = 640,
    height: Side = 360,
    denoise_steps: Annotated[str, Choices(DENOISE_STEPS), Advanced()] = "share",
    convention: Annotated[str, Choices(CONVENTIONS), Advanced()] = "diffusers",
) -> Image:
    """Plot the noise levels and timesteps that KSampler uses with the same settings.

    Args:
        model: The model whose noise levels are used.
        steps: Number of steps of the whole schedule.
        sampler: The sampling method. Some methods place their steps differently.
        schedule: The noise schedule.
        denoise: Share of the schedule that is run.
        width, height: Size of the plot, in pixels.
        denoise_steps: How steps are counted when denoise is below 1, as for KSampler.
        convention: As for KSampler.
    """
    from nodegraph.media.plots.axes import build_series
    from nodegraph.media.plots.rendering import plot_image
    from nodegraph.sampling.samplers import SAMPLERS

    dropped = drops_a_level(sampler, convention)
    named = named_schedule(schedule, steps, denoise, denoise_steps, dropped=dropped)
    noise_levels = _noise_levels(model, named, SAMPLERS[sampler].grid_for(convention))
    places = range(noise_levels.first, noise_levels.level_count + 1)
    sigmas, timesteps = (
        noise_levels.sigmas[noise_levels.first :],
        noise_levels.timesteps[noise_levels.first :],
    )
    plots = [
        Plot(f"sigma: {schedule}", "step", series=(build_series(sigmas.tolist(), x=places),)),
        Plot(
            f"timestep: {sampler}",
            "step",
            series=(build_series(timesteps.tolist(), x=places[:-1]),),
        ),
    ]
    return plot_image(plots, width, height)


@node(category="schedule", validate=check_steps)
def Timesteps(
    model: DiffusionModel,
    steps: Annotated[int, Range(1, MAX_STEPS)] = 5,
    schedule: ScheduleName = "linspace",
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    order: Literal["noisiest first", "clean first"] = "noisiest first",
) -> list[int]:
    """Return the training timesteps of a schedule, for example for AddNoise.

    Args:
        model: The model whose timesteps are used.
        steps: Number of steps of the whole schedule.
        schedule: How the timesteps are spaced. leading, trailing and linspace space them evenly.
        denoise: Share of the schedule to return, from its end.
        order: noisiest first is the order of sampling. clean first is the order of forward
            diffusion.
    """
    from nodegraph.sampling.table_schedules import TABLE

    noise_levels = _noise_levels(model, named_schedule(schedule, steps, denoise), TABLE)
    timesteps = [int(timestep) for timestep in noise_levels.timesteps[noise_levels.first :]]
    return timesteps[::-1] if order == "clean first" else timesteps


@node(category="schedule", tags=("list", "batch", "batch count", "queue", "variations"))
def SeedRange(
    start: Annotated[int, Seed()] = 0, count: Annotated[int, Range(1, 10_000)] = 4
) -> list[int]:
    """Return consecutive seeds. A node whose seed input is linked to them runs once for each.

    After the largest seed, 2**64 - 1, the next one is 0.

    Args:
        start: The first seed.
        count: Number of seeds.
    """
    return [(start + item) % (Seed.LARGEST + 1) for item in range(count)]


def _noise_levels(model: DiffusionModel, schedule: Schedule, grid: Grid) -> NoiseLevels:
    """Noise levels of a sampling. For flow models, at the size they were trained on."""
    from nodegraph.families.flow_noise import recipe_noise
    from nodegraph.families.registry import get_family
    from nodegraph.sampling.schedules import levels_for

    family = get_family(model.family)
    cells = family.latent.cells(family.size)
    tokens = family.tokens((1, 1, cells, cells))
    noise = recipe_noise(model)
    for law in schedule.spacings:
        check_schedule(law, noise.kind)
    return levels_for(schedule, noise, grid=grid, tokens=tokens)
