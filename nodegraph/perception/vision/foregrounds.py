"""Masks of what stands before a background."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.families.foreground_architectures import U2NET
from nodegraph.perception.vision.preparing import resize_for_sam2, scaled
from nodegraph.perception.vision.segmenting import check_task
from nodegraph.perception.vision.values import VisionModel


@torch.inference_mode()
def foreground_mask(ctx: Context, model: VisionModel, image: Tensor, resolution: int = 0) -> Tensor:
    """How surely each pixel is of the foreground; by BiRefNet, RMBG, ISNet or U²-Net.

    Args:
        image: (batch, height, width, channels).
        resolution: Side of the square that the network sees, in pixels, a multiple of 32; 0 for
            what it was published for.
    Returns:
        0..1, (batch, height, width).
    Raises:
        InvalidValue: The model is for something else.
    """
    check_task(model, "foreground")
    size = {"size": {"height": resolution, "width": resolution}} if resolution else {}
    preparation = {**model.preparation, **size}
    masks = []
    with ctx.weights(model.model) as component:
        for at, picture in enumerate(image):
            pixels = resize_for_sam2(preparation, picture).to(component.device, component.dtype)
            mask = component.module(pixels).float().cpu()
            if model.model.family == U2NET:
                # These tell what stands out the most: their own examples stretch it to 0..1, too.
                mask = _spread(mask)
            masks.append(scaled(mask, (picture.shape[0], picture.shape[1]))[0, 0])
            ctx.progress(at + 1, len(image))
    return torch.stack(masks).clamp(0, 1)


def _spread(mask: Tensor) -> Tensor:
    low, high = mask.min(), mask.max()
    return (mask - low) / (high - low) if high > low else mask
