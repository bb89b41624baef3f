"""Masks of what a text says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.vision.preparing import prepared, scaled, stretched
from nodegraph.vision.segmenting import check_task
from nodegraph.vision.values import VisionModel

Words = Mapping[str, Tensor]
Masks = Callable[[Any, VisionModel, Tensor, Words, float], Tensor]
"""Module, model, picture (height, width, channels), words and threshold to (height, width)."""

_TOKENS = 32
"""That SAM 3 reads. Source, with what follows: Carion et al. 2025, arXiv:2511.16719."""
_PREPARED: Mapping[str, Any] = {
    "size": {"height": 1008, "width": 1008},
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


@torch.inference_mode()
def segment_by_text(
    ctx: Context, model: VisionModel, image: Tensor, text: str, threshold: float
) -> Tensor:
    """How much each pixel is of what a text says; by CLIPSeg or SAM 3.

    Args:
        image: (batch, height, width, channels).
        threshold: From which share on it is 1, else 0; 0 leaves the shares. Of SAM 3: how sure it
            is to be of a thing, all of which is then masked.
    Returns:
        0..1, (batch, height, width).
    """
    check_task(model, "text")
    assert model.tokenizer is not None
    finds_things = model.model.family == "Sam3Model"
    masks: Masks = _things if finds_things else _shares
    padding = (
        {"padding": "max_length", "max_length": _TOKENS} if finds_things else {"padding": True}
    )
    found = []
    with ctx.weights(model.tokenizer) as tool, ctx.weights(model.model) as component:
        module = component.module
        with tool.turn:
            words = tool.value([text], truncation=True, return_tensors="pt", **padding)
        words = {name: value.to(module.device) for name, value in words.items()}
        for at, picture in enumerate(image):
            found.append(masks(module, model, picture, words, threshold))
            ctx.progress(at + 1, len(image))
    return torch.stack(found)


def _shares(
    module: Any, model: VisionModel, picture: Tensor, words: Words, threshold: float
) -> Tensor:
    pixels = prepared(model, picture)["pixel_values"].to(module.device, module.dtype)
    logits = module(pixel_values=pixels, **words).logits
    planes = logits.reshape(1, 1, *logits.shape[-2:]).float().cpu()
    shares = scaled(planes, _size(picture))[0, 0].sigmoid()
    return (shares >= threshold).float() if threshold > 0 else shares


def _things(
    module: Any, model: VisionModel, picture: Tensor, words: Words, threshold: float
) -> Tensor:
    """All things together that SAM 3 finds."""
    pixels = stretched({**_PREPARED, **model.preparation}, picture)
    answer = module(pixel_values=pixels.to(module.device, module.dtype), **words)
    sure = (answer.pred_logits.float().sigmoid() * answer.presence_logits.float().sigmoid())[
        0
    ].cpu()
    wanted = sure > threshold
    if not wanted.any():
        return torch.zeros(_size(picture))
    # Shares are scaled, not logits, as transformers' own processing does it.
    masks = answer.pred_masks[0].float().cpu()[wanted].sigmoid()
    masks = scaled(masks[None], _size(picture))[0]
    if threshold > 0:
        hard: Tensor = (masks > 0.5).any(0)
        return hard.float()
    soft: Tensor = (masks * sure[wanted, None, None]).amax(0)
    return soft


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]
