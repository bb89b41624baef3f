"""Inputs of nodes as a pipeline's call takes them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nodegraph.core.values import Audio, Video
from nodegraph.interop.pipelines.classes import PipelineClass, PipelineInput
from nodegraph.interop.pipelines.rates import AUDIO_RATE

_PIL, _ARRAY = "PIL", "ndarray"
"""Forms of inputs."""


def call_arguments(
    pipeline_class: PipelineClass, inputs: Mapping[str, Any], device: str
) -> dict[str, Any]:
    """The arguments of a pipeline's call.

    Args:
        inputs: By port; what is None or missing is left out, so that the pipeline's own default
            counts.
        device: Where tensors go.
    """
    return {
        item.name: _converted(pipeline_class, item, inputs[item.name], device)
        for item in pipeline_class.inputs
        if inputs.get(item.name) is not None and item.name != AUDIO_RATE
    }


def _converted(pipeline_class: PipelineClass, item: PipelineInput, value: Any, device: str) -> Any:
    if item.kind == "seed":
        return _seeded(pipeline_class, item, value)
    if item.kind in ("image", "mask", "video"):
        return _pictures(item, value)
    if item.kind == "audio":
        return _waveform(item, value, device)
    if item.kind == "tensor":
        return _numbers(item, value, device)
    if item.kind == "dataclass":
        return _record(pipeline_class, item, value)
    if item.as_tuple and isinstance(value, list):
        # Sizes are joined with others by `+`.
        return tuple(value)
    return value


def _seeded(pipeline_class: PipelineClass, item: PipelineInput, seed: int) -> Any:
    kind = pipeline_class.settings.get("generators", {}).get(item.name)
    if kind == "numpy":
        return np.random.RandomState(seed % 2**32)
    return torch.Generator("cpu").manual_seed(seed) if kind == "torch" else seed


def rate_arguments(pipeline_class: PipelineClass, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Arguments that tell the rate of what an input brings to be heard."""
    rates: Mapping[str, str] = pipeline_class.settings.get("rates", {})
    return {
        name: inputs[audio].rate
        for name, audio in rates.items()
        if isinstance(inputs.get(audio), Audio)
    }


def _numbers(item: PipelineInput, value: Any, device: str) -> Any:
    if item.forms == (_ARRAY,) and isinstance(value, Tensor):
        return value.cpu().numpy()
    return to_device(value, device)


def _pictures(item: PipelineInput, value: Any) -> Any:
    """Pictures as PIL has them where that is taken, and in 0..1 else."""
    if isinstance(value, (list, tuple)) and item.kind == "video" and item.many:
        return [_pictures(replace(item, many=False), video) for video in value]
    frames = _joined(value)
    if item.forms and not any(_PIL in form for form in item.forms):
        return permute_axes(frames, item.axes or "bchw")
    pictures = pil_pictures(frames)
    takes_one = not item.many and item.kind != "video" and (not item.forms or _PIL in item.forms)
    return pictures[0] if takes_one and len(pictures) == 1 else pictures


def permute_axes(frames: Tensor, axes: str) -> Tensor:
    """Pictures or masks with their axes in another order; those they lack have one element.

    Args:
        frames: Shape (frames, height, width, channels) or (frames, height, width).
        axes: As `PipelineInput.axes` says; pictures are a batch where it knows no frames.
    """
    has = ("f" if "f" in axes else "b") + "hwc"[: frames.ndim - 1]
    for axis in set(axes) - set(has):
        frames, has = frames[None], axis + has
    return frames.permute(*(has.index(axis) for axis in axes))


def _joined(value: Any) -> Tensor:
    if isinstance(value, (list, tuple)):
        return torch.cat([_batch(item) for item in value])
    return _batch(value)


def _batch(value: Any) -> Tensor:
    frames: Tensor = value.frames if isinstance(value, Video) else value
    return frames


def pil_pictures(pictures: Tensor) -> list[Image.Image]:
    """Pictures or masks in 8 bits.

    Args:
        pictures: In 0..1, shape (batch, height, width, channels) or (batch, height, width).
    """
    levels = (pictures.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    if levels.ndim == 4 and levels.shape[-1] == 1:
        levels = levels.repeat(3, axis=-1)
    return [Image.fromarray(item) for item in levels]


def _waveform(item: PipelineInput, value: Any, device: str) -> Any:
    """Shape (1, channels, samples), or without the first where that is said; but for who takes an
    array: that is of one channel alone."""
    if not isinstance(value, Audio):
        return value
    if item.forms == (_ARRAY,):
        return value.waveform.mean(0).numpy()
    waveform = value.waveform.to(device)
    return waveform if item.axes == "cn" else waveform[None]


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


def _record(pipeline_class: PipelineClass, item: PipelineInput, value: Any) -> Any:
    """A dataclass of diffusers from its fields by name, or several."""
    if isinstance(value, (list, tuple)):
        return [_record(pipeline_class, item, element) for element in value]
    kind: Any = getattr(sys.modules.get(pipeline_class.module), item.dataclass, None)
    known = getattr(kind, "__dataclass_fields__", None)
    if known is None or isinstance(value, kind):
        return value
    members = value if isinstance(value, Mapping) else vars(value)
    return kind(
        **{
            name: _dataclass_value(element)
            for name, element in members.items()
            if name in known and element is not None
        }
    )


def _dataclass_value(value: Any) -> Any:
    if isinstance(value, Video):
        return pil_pictures(value.frames)
    if isinstance(value, Tensor) and value.ndim == 4 and value.shape[-1] in (1, 3):
        pictures = pil_pictures(value)
        return pictures[0] if len(pictures) == 1 else pictures
    return value
