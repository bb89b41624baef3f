"""Noise for latents, and the noise seeds of their items."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Latent, Mask, Range, Seed, node

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
        "LatentBatchSeedBehavior",
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
