"""What prompts for Stable Cascade bring besides text: images, and the latent of stage C."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.image_conditioning import (
    IMAGE_PROMPT,
    NO_IMAGE_PROMPT,
    NO_STAGE_C,
    STAGE_C,
)
from nodegraph.families.registry import FAMILIES, get_family

STAGE_C_FAMILY = "stable-cascade"
"""Family of stage C, and name of its latent format."""
_STAGES = (STAGE_C_FAMILY, "stable-cascade-decoder")


def with_image_prompt(
    conditioning: Conditioning,
    embeddings: Tensor,
    strength: float,
    *,
    noise: float = 0.0,
    adds: bool = False,
) -> Conditioning:
    """Prompts for stage C of Stable Cascade that show it images beside the text.

    Args:
        embeddings: What an image encoder says, float32, (images, width).
        strength: Factor of them.
        noise: Must be 0: stage C was not trained on embeddings with noise.
        adds: Whether images that the prompt brought before stay.
    Raises:
        InvalidValue: There is noise; on port ``noise``.
    """
    if noise:
        raise InvalidValue(
            "stage C of Stable Cascade takes image embeddings without noise",
            port="noise",
            given=f"{noise:g}",
            expected="0",
        )
    images = embeddings[None] * strength

    def shown(entry: ConditioningEntry) -> ConditioningEntry:
        before = entry.tensors.get(IMAGE_PROMPT) if adds else None
        both = images if before is None else torch.cat([before, images], 1)
        tensors = {IMAGE_PROMPT: both, NO_IMAGE_PROMPT: torch.zeros_like(both)}
        return replace(entry, tensors={**entry.tensors, **tensors})

    return replace(conditioning, entries=tuple(map(shown, conditioning.entries)))


def with_stage_c(conditioning: Conditioning, latent: Latent) -> Conditioning:
    """Prompts for stage B of Stable Cascade that follow a latent of stage C.

    Args:
        latent: Of one image, or of as many as stage B samples.
    Raises:
        InvalidValue: The prompt is of other models, on port ``conditioning``; or the latent is
            empty or of another format, on port ``latent``.
    """
    check_stages(conditioning.family)
    if latent.samples is None or latent.format not in (None, STAGE_C_FAMILY):
        raise InvalidValue(
            "stage B of Stable Cascade follows a sampled latent of stage C",
            port="latent",
            given="an empty latent"
            if latent.samples is None
            else f"a latent of format {latent.format}",
            expected=f"a latent of format {STAGE_C_FAMILY}",
            hint="Sample stage C first, and link its latent.",
        )
    shown = latent.samples[None]
    tensors = {STAGE_C: shown, NO_STAGE_C: torch.zeros_like(shown)}
    entries = tuple(
        replace(entry, tensors={**entry.tensors, **tensors}) for entry in conditioning.entries
    )
    return replace(conditioning, entries=entries)


def check_stages(family: str | None) -> None:
    """Refuse prompts of models without a stage B.

    Raises:
        InvalidValue: On port ``conditioning``.
    """
    if family in (None, *_STAGES) or family not in FAMILIES:
        return
    raise InvalidValue(
        "only stage B of Stable Cascade follows the latent of another stage",
        port="conditioning",
        given=get_family(family).title,
        hint="Encode the prompt with the text encoder of Stable Cascade.",
    )
