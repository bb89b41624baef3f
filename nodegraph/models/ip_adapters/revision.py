"""Pictures in place of what a prompt says as a whole, as Stable Diffusion XL takes them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.registry import FAMILIES, get_family

_FAMILY = "sdxl"
_POOLED = "pooled"
_NOISE = NoiseSchedule.from_config(
    {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}
)
"""Source: Ramesh et al. 2022, arXiv:2204.06125, as https://github.com/Stability-AI/stablediffusion
has it of unCLIP."""


def with_pooled_image(
    conditioning: Conditioning,
    embeddings: Tensor,
    strength: float,
    *,
    noise: float = 0.0,
    seed: int = 0,
    adds: bool = False,
) -> Conditioning:
    """Prompts whose pooled prompt is what pictures show.

    It works as CLIP was trained to say the same of a picture and of its words.

    Args:
        embeddings: What the eyes of the prompt's second encoder say, float32, (pictures, width).
        strength: Of each.
        noise: Share of noise that is put on that, 0 to 1.
        seed: Of the noise.
        adds: Whether it is added to the pooled prompt.
    Raises:
        InvalidValue: The prompt is of other models, or the eyes are of another encoder.
    """
    check_pooled_image(conditioning.family)
    total = strength * _noised(embeddings, noise, seed).sum(0, keepdim=True)

    def shown(entry: ConditioningEntry) -> ConditioningEntry:
        pooled = entry.tensors[_POOLED]
        if pooled.shape != total.shape:
            raise InvalidValue(
                "the image encoder isn't that of the prompt's second text encoder",
                port="image_encoder",
                given=f"{total.shape[1]} numbers",
                expected=f"{pooled.shape[1]}: CLIP ViT-bigG's",
            )
        pooled_sum = pooled + total if adds else total
        return replace(entry, tensors={**entry.tensors, _POOLED: pooled_sum})

    return replace(conditioning, entries=tuple(map(shown, conditioning.entries)))


def check_pooled_image(family: str | None) -> None:
    """Refuse prompts of models that can't be led so.

    Raises:
        InvalidValue: On port ``conditioning``.
    """
    if family is not None and family in FAMILIES and family != _FAMILY:
        raise InvalidValue(
            "pictures stand for the pooled prompt of Stable Diffusion XL alone",
            port="conditioning",
            given=get_family(family).title,
            hint="ApplyIPAdapter and ReferenceLatents show pictures to other models.",
        )


def _noised(embeddings: Tensor, noise: float, seed: int) -> Tensor:
    if not noise:
        return embeddings
    level = round(noise * (_NOISE.timesteps - 1))
    kept, added = _NOISE.scales(timestep=level)
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn: Tensor = kept * embeddings + added * torch.randn(embeddings.shape, generator=generator)
    return drawn
