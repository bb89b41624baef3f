"""What pictures show, among the tensors of a prompt. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def image_embeds_name(index: int) -> str:
    """The tensor of a prompt that says what the pictures for a model's IP-Adapter show.

    Shape (1, pictures, width), or (1, pictures, patches, width), as the adapter reads it.

    Args:
        index: Of the adapter among those of the model.
    """
    return f"pictures {index}"


def mask_name(index: int) -> str:
    """The tensor that says where those pictures lead: 0 or 1, (1, pictures, height, width)."""
    return f"pictures {index} mask"


MASK_MULTIPLE = 64
"""Pixels that sides of what a UNet is shown are multiples of where masks say which part is led: it
is halved thrice, and diffusers tells the grids of its layers from the proportions alone."""


def mask_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of those tensors among the ones of a prompt."""
    masks = {mask_name(number) for number in range(len(tensors))}
    return [name for name in tensors if name in masks]


def image_tensor_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of those that say what pictures show, and where they lead."""
    shown = {image_embeds_name(number) for number in range(len(tensors))}
    return [*(name for name in tensors if name in shown), *mask_names(tensors)]


def masks_over(tensors: Mapping[str, Tensor], width: int, height: int) -> dict[str, Tensor]:
    """Those of a prompt scaled to a picture, as diffusers tells the grids of a network's layers
    from a mask's proportions.

    Args:
        width, height: Of the picture, in pixels.
    """
    masks = {name: tensors[name] for name in mask_names(tensors)}
    for name, mask in masks.items():
        if mask.shape[-2:] != (height, width):
            scaled = torch.nn.functional.interpolate(mask, size=(height, width), mode="area")
            masks[name] = (scaled >= 0.5).to(mask.dtype)
    return masks


def count_ip_adapters(network: Any) -> int:
    """How many IP-Adapters there are on a network."""
    projection = getattr(network, "encoder_hid_proj", None)
    return len(getattr(projection, "image_projection_layers", ()))


def check_ip_adapter_images(tensors: Mapping[str, Tensor], wanted: int, side: str) -> None:
    """Refuse prompts without the pictures that a model is led by, and pictures without a model.

    Raises:
        InvalidValue: On the port of the side.
    """
    count = sum(image_embeds_name(index) in tensors for index in range(wanted))
    if count < wanted:
        raise InvalidValue(
            "the model is led by pictures, and this prompt doesn't say what they show",
            port=side,
            hint="Let the prompt go through ApplyIPAdapter, too.",
        )
    if image_embeds_name(wanted) in tensors:
        raise InvalidValue(
            "the prompt says what pictures show, and the model isn't led by so many",
            port=side,
            given="pictures for more IP-Adapters than the model has",
            hint="Take the model of the ApplyIPAdapter that gave the prompt.",
        )


def ip_adapter_inputs(batch: Mapping[str, Any]) -> dict[str, Any]:
    """What a UNet with IP-Adapters is told beside the prompt."""
    names = takewhile(batch.__contains__, map(image_embeds_name, count()))
    embeddings = [batch[name] for name in names]
    return {"image_embeds": embeddings} if embeddings else {}


def ip_adapter_masks(batch: Mapping[str, Any]) -> list[Tensor | None]:
    """Where the pictures of each of its IP-Adapters lead, row by row; None is everywhere."""
    places = takewhile(lambda index: image_embeds_name(index) in batch, count())
    return [batch.get(mask_name(index)) for index in places]


def any_mask(masks: list[Tensor | None]) -> bool:
    """Whether pictures lead a part alone."""
    return any(mask is not None for mask in masks)
