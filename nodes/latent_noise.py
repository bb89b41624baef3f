"""Noise for latents, and the noise seeds of their items."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from nodegraph import Advanced, Choices, DiffusionModel, Latent, Mask, Range, Seed, node
from nodegraph.core.foreign_value import unpatched
from nodegraph.sampling.composed_schedules import Schedule
from nodegraph.sampling.sampling_parts import CONVENTIONS, SamplingNoise, drawn_noise

from ._latent_facts import KEPT


@node(
    category="latent",
    numerics=True,
    facts={"latent": KEPT},
    tags=("InjectLatentNoise", "detail", "noise injection", "variation"),
)
def InjectNoise(
    latent: Latent,
    strength: Annotated[float, Range(0, 20, step=0.01)] = 0.1,
    seed: Annotated[int, Seed()] = 0,
    mask: Mask | None = None,
) -> Latent:
    """Add some noise to a latent before it is sampled again, to get more detail.

    Unlike noise from AddNoise, this noise is not part of the schedule. The sampler treats it as
    image content.

    Args:
        latent: The latent of an image, or one with leftover noise.
        strength: Standard deviation of the noise. The latent of an image has about 1.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        mask: Where noise is added: 1 is full strength, 0 is none. The mask is scaled to the size of
            the latent.
    """
    from nodegraph.sampling.latent_noise import add_plain_noise

    return add_plain_noise(latent, strength, seed, mask)


@node(
    category="latent",
    facts={"latent": {name: KEPT[name] for name in ("width", "height", "frames", "format")}},
    tags=(
        "seed list",
        "batch seeds",
        "noise seed",
        "variations",
        "SeedRange",
    ),
)
def SetItemSeeds(latent: Latent, seeds: list[int]) -> Latent:
    """Set the seed of each item of a batch, for example to regenerate the best of many images.

    Each item gives the same result as when it is sampled alone with that seed.

    Args:
        latent: A batch. A single item is repeated once for each seed.
        seeds: One seed per item. The seed of the sampler is added to them, so leave it at 0.
    """
    from nodegraph.sampling.latent_noise import with_seeds

    return with_seeds(latent, seeds)


@node(
    category="latent",
    facts={"latent": KEPT},
    tags=("LatentBatchSeedBehavior", "same seed", "fixed seed", "batch index"),
)
def BatchSeeds(latent: Latent, seeds: Literal["same", "different"] = "same") -> Latent:
    """Choose whether all items of a batch draw the same noise.

    Args:
        latent: A batch.
        seeds: With same, all items draw the noise of the first one. With different, each draws
            noise by its position in the batch, as without this node; other seeds that its items
            had are removed.
    """
    from nodegraph.sampling.latent_noise import with_one_seed

    return with_one_seed(latent) if seeds == "same" else replace(latent, batch_index=None)


@node(
    category="latent",
    numerics=True,
    facts={"latent": KEPT},
    tags=("AddNoise", "noise level", "sigma", "img2img", "SampleCustom"),
)
def AddScheduleNoise(
    model: DiffusionModel,
    noise: SamplingNoise,
    schedule: Schedule,
    latent: Latent,
    convention: Annotated[str, Choices(CONVENTIONS), Advanced()] = "diffusers",
) -> Latent:
    """Add the noise of a schedule to a latent: that between its first and its last level.

    SampleCustom with NoNoise and the same schedule then removes it.

    Args:
        model: The model whose noise levels are used.
        noise: The noise to add.
        schedule: The noise schedule. If it ends at 0, the noise has its first level.
        latent: The latent of an image or video.
        convention: As for KSampler.
    """
    from nodegraph.families.flow_noise import recipe_noise
    from nodegraph.sampling.latent_noise import add_noise_of_level
    from nodegraph.sampling.preflight import schedule_sigmas

    model = unpatched(model)
    noise = drawn_noise(noise, model, latent)
    sigmas = schedule_sigmas(model, schedule, latent, convention=convention)
    level = sigmas[0] if len(sigmas) == 1 else abs(sigmas[0] - sigmas[-1])
    return add_noise_of_level(latent, noise, recipe_noise(model), level)
