"""Noise put into latents, and the seeds that items draw theirs from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.noise import draw_noise
from nodegraph.sampling.latents.combining import repeat_latent, require_samples
from nodegraph.sampling.masks import mask_to_cells


def add_plain_noise(
    latent: Latent, strength: float, seed: int, mask: Tensor | None = None
) -> Latent:
    """A latent with standard normal noise added, which no schedule knows of.

    Args:
        strength: Standard deviation; that of a picture's latent is about 1.
        seed: Item i draws from seed + its place in its batch.
        mask: Where it is added, by how much; (1 or batch, height, width). Elsewhere no bit changes.
    Raises:
        InvalidValue: The latent is empty, or the mask is of another batch.
    """
    samples = require_samples(latent, "latent")
    noise = strength * draw_noise(samples.shape[1:], seed, latent.noise_indices)
    if mask is not None:
        if mask.ndim != 3 or mask.shape[0] not in (1, latent.batch_size):
            raise InvalidValue(
                "the mask is of another batch than the latent",
                port="mask",
                given=f"shape {tuple(mask.shape)}",
                expected=f"shape (1 or {latent.batch_size}, height, width)",
            )
        cells = mask_to_cells(mask.float(), samples.shape[-2], samples.shape[-1])
        noise = noise * (cells.unsqueeze(2) if samples.ndim == 5 else cells)
    return replace(latent, samples=torch.where(noise == 0, samples, samples + noise))


def with_seeds(latent: Latent, seeds: Sequence[int]) -> Latent:
    """A batch of which each item draws the noise of a seed of its own.

    Args:
        seeds: One for each item, at least 0; of a single latent so many items are made.
    Raises:
        InvalidValue: There are none, as many as there are no items, or one is below 0.
    """
    if not seeds or (latent.batch_size not in (1, len(seeds))):
        raise InvalidValue(
            "there must be a seed for each item",
            port="seeds",
            given=f"{len(seeds)} seeds",
            expected=f"{latent.batch_size}" if latent.batch_size > 1 else "at least one",
        )
    if min(seeds) < 0 or max(seeds) >= 2**64:
        raise InvalidValue(
            "a seed is out of range",
            port="seeds",
            given=str(min(seeds) if min(seeds) < 0 else max(seeds)),
            expected="0 to 2**64 - 1",
        )
    whole = repeat_latent(latent, len(seeds)) if latent.batch_size < len(seeds) else latent
    return replace(whole, batch_index=tuple(seeds))
