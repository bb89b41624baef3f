"""Noise put into latents, and the seeds that their items draw it from."""

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
    """Put some noise into a latent before it is sampled again, so that details come of it.

    Other than AddNoise's, no schedule knows of it: sampling takes it for a part of the picture.

    Args:
        latent: Of a picture, or with noise left in it.
        strength: Standard deviation of the noise; a picture's latent has about 1.
        seed: Of the noise of the first item; the next ones count up from it.
        mask: Where noise comes: 1 all of it, 0 none. It is scaled to the latent's size.
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
    """Give each item of a batch a seed of its own, such as to draw the best of many again.

    An item is then sampled as it is alone with that seed.

    Args:
        latent: A batch, or a single one, of which so many items are made.
        seeds: One for each item. The sampler's own seed is added to them: leave that at 0.
    """
    from nodegraph.sampling.latent_noise import with_seeds

    return with_seeds(latent, seeds)
