"""Flux.1 Redux: encode images as tokens that follow those of a prompt."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from transformers import SiglipImageProcessor

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Component
from nodegraph.media.images.images import to_pil


@torch.no_grad()
def redux_tokens(redux: Component, image: Tensor) -> Tensor:
    """What is said of images.

    Args:
        image: In 0..1, shape (images, height, width, 3 or 4).
    Returns:
        float32 on the CPU, (1, images · patches, width).
    """
    eyes, embedder = redux.modules["image_encoder"], redux.modules["image_embedder"]
    size = eyes.config.image_size
    processor = SiglipImageProcessor(size={"height": size, "width": size})
    embeddings = []
    for item in image:
        pixels = processor(to_pil(item[..., :3]).convert("RGB"), return_tensors="pt").pixel_values
        features = eyes(pixels.to(redux.device, redux.dtype)).last_hidden_state
        embeddings.append(embedder(features).image_embeds)
    return torch.cat(embeddings, 1).to("cpu", torch.float32)


def with_tokens(conditioning: Conditioning, words: Tensor, strength: float) -> Conditioning:
    """Prompts that go on with what is said of images.

    Args:
        words: As `redux_tokens` gave them.
        strength: That they are multiplied by.
    Raises:
        InvalidValue: They are of another width than the prompt's.
    """

    def longer(entry: ConditioningEntry) -> ConditioningEntry:
        if entry.embeddings.shape[-1] != words.shape[-1]:
            raise InvalidValue(
                "the Redux embeddings and the prompt differ in width",
                port="conditioning",
                given=f"width {entry.embeddings.shape[-1]}",
                expected=f"width {words.shape[-1]}",
                hint="Redux works with prompts of Flux.1.",
            )
        both = torch.cat([entry.embeddings, words * strength], 1)
        return replace(entry, tensors={**entry.tensors, "embeddings": both})

    return replace(conditioning, entries=tuple(map(longer, conditioning.entries)))
