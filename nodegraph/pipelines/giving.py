"""Inputs of nodes as a pipeline's call takes them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nodegraph.core.values import Audio, Video
from nodegraph.pipelines.classes import PipelineClass, PipelineInput

_PIL = re.compile(r"PIL|ImageInput|Image\.Image|\bImage\b")
_NUMPY = "RandomState"


def given(found: PipelineClass, inputs: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The arguments of a pipeline's call.

    Args:
        inputs: By port; what is None or missing is left out, so that the pipeline's own default
            counts.
        device: Where tensors go.
    """
    return {
        item.name: _converted(found, item, inputs[item.name], device)
        for item in found.inputs
        if inputs.get(item.name) is not None
    }


def _converted(found: PipelineClass, item: PipelineInput, value: Any, device: str) -> Any:
    if item.kind == "seed":
        return _seeded(item, value)
    if item.kind in ("image", "mask", "video"):
        return _pictures(item, value)
    if item.kind == "audio":
        return _waveform(value, device)
    if item.kind == "tensor":
        return to_device(value, device)
    if item.kind == "dataclass":
        return _record(found, item, value)
    if isinstance(value, list) and _is_tuple(item):
        # Sizes are joined with others by `+`.
        return tuple(value)
    return value


def _is_tuple(item: PipelineInput) -> bool:
    said = item.annotation.lower()
    return ("tuple" in said and "list" not in said) or isinstance(item.default, tuple)


def _seeded(item: PipelineInput, seed: int) -> Any:
    if _NUMPY in item.annotation:
        return np.random.RandomState(seed % 2**32)
    if item.name == "generator" or item.name.endswith("_generator"):
        return torch.Generator("cpu").manual_seed(seed)
    return seed


def _pictures(item: PipelineInput, value: Any) -> Any:
    """Pictures as PIL has them where that is taken, and in 0..1 else."""
    frames = value.frames if isinstance(value, Video) else value
    if isinstance(frames, (list, tuple)):
        frames = torch.cat([_batch(one) for one in frames])
    frames = _batch(frames)
    if item.annotation and not _PIL.search(item.annotation):
        return frames[:, None] if frames.ndim == 3 else frames.movedim(-1, 1)
    pictures = pil_pictures(frames)
    is_one = len(pictures) == 1 and not item.many and item.kind != "video"
    return pictures[0] if is_one else pictures


def _batch(value: Any) -> Tensor:
    found: Tensor = value.frames if isinstance(value, Video) else value
    return found


def pil_pictures(pictures: Tensor) -> list[Image.Image]:
    """Pictures or masks in 8 bits.

    Args:
        pictures: In 0..1, shape (batch, height, width, channels) or (batch, height, width).
    """
    levels = (pictures.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    if levels.ndim == 4 and levels.shape[-1] == 1:
        levels = levels.repeat(3, axis=-1)
    return [Image.fromarray(item) for item in levels]


def _waveform(value: Any, device: str) -> Any:
    """Shape (1, channels, samples)."""
    return value.waveform[None].to(device) if isinstance(value, Audio) else value


def to_device(value: Any, device: str) -> Any:
    """Tensors, in lists and mappings too, on a device."""
    return _mapped(value, lambda tensor: tensor.to(device))


def to_host(value: Any) -> Any:
    """The same on the CPU, in memory of their own."""
    return _mapped(value, lambda tensor: tensor.detach().cpu().contiguous())


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return change(torch.from_numpy(np.ascontiguousarray(value)))
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(item, change) for item in value)
    if isinstance(value, Mapping):
        return {name: _mapped(item, change) for name, item in value.items()}
    return value


def _record(found: PipelineClass, item: PipelineInput, value: Any) -> Any:
    """A dataclass of diffusers from its fields by name, or several."""
    if isinstance(value, (list, tuple)):
        return [_record(found, item, one) for one in value]
    kind: Any = getattr(sys.modules.get(found.module), item.dataclass, None)
    known = getattr(kind, "__dataclass_fields__", None)
    if known is None or isinstance(value, kind):
        return value
    told = value if isinstance(value, Mapping) else vars(value)
    return kind(
        **{name: _field(one) for name, one in told.items() if name in known and one is not None}
    )


def _field(value: Any) -> Any:
    if isinstance(value, Video):
        return pil_pictures(value.frames)
    if isinstance(value, Tensor) and value.ndim == 4 and value.shape[-1] in (1, 3):
        pictures = pil_pictures(value)
        return pictures[0] if len(pictures) == 1 else pictures
    return value
