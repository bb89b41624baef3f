"""Convert node inputs to call arguments, and call results to port values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nodegraph.core.ports import BLOCKED
from nodegraph.core.spatial_values import Mesh
from nodegraph.core.values import Audio, Video
from nodegraph.errors import InvalidValue
from nodegraph.interop.pipelines.classes import PipelineClass, PipelineInput, PipelineOutput
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
    """Images as PIL has them where that is taken, and in 0..1 else."""
    if isinstance(value, (list, tuple)) and item.kind == "video" and item.many:
        return [_pictures(replace(item, many=False), video) for video in value]
    frames = _joined(value)
    if item.forms and not any(_PIL in form for form in item.forms):
        return permute_axes(frames, item.axes or "bchw")
    pictures = pil_pictures(frames)
    takes_one = not item.many and item.kind != "video" and (not item.forms or _PIL in item.forms)
    return pictures[0] if takes_one and len(pictures) == 1 else pictures


def permute_axes(frames: Tensor, axes: str) -> Tensor:
    """Images or masks with their axes in another order; those they lack have one element.

    Args:
        frames: Shape (frames, height, width, channels) or (frames, height, width).
        axes: As `PipelineInput.axes` says; images are a batch where it knows no frames.
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
    """Images or masks in 8 bits.

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


_COLOURS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames and samples a second; None where that of the sound isn't known."""

    frames: Fraction
    audio: int | None = None


def output_values(
    pipeline_class: PipelineClass, answer: Any, rates: Rates, output_type: str | None = None
) -> tuple[Any, ...]:
    """The values of a pipeline's outputs, in their order; blocked where this call gave none.

    Args:
        output_type: The `output_type` of the call: what some outputs take the place of others for.
    Raises:
        InvalidValue: The answer isn't what the class says.
    """
    instead = {
        output.field
        for output in pipeline_class.outputs
        if output.word and output.word == output_type
    }

    def value(index: int, output: PipelineOutput) -> Any:
        if output.word not in ("", output_type) or (not output.word and output.name in instead):
            return BLOCKED
        return _value(pipeline_class, output, _field(output, index, answer), rates)

    return tuple(value(index, output) for index, output in enumerate(pipeline_class.outputs))


def _field(output: PipelineOutput, index: int, answer: Any) -> Any:
    name = output.field or output.name
    if isinstance(answer, Mapping):
        # Outputs leave out what is None.
        return answer.get(name)
    if name and hasattr(answer, name):
        return getattr(answer, name)
    if isinstance(answer, tuple):
        return answer[index] if index < len(answer) else None
    return answer if index == 0 else None


def _value(pipeline_class: PipelineClass, output: PipelineOutput, value: Any, rates: Rates) -> Any:
    if value is None:
        return BLOCKED
    if output.kind == "image":
        return to_images(value)
    if output.kind == "video":
        return _single_or_list(pipeline_class, output, to_videos(value, rates.frames))
    if output.kind == "audio":
        return _single_or_list(pipeline_class, output, to_audio(value, rates.audio))
    if output.kind == "mesh":
        return _single_or_list(pipeline_class, output, to_meshes(value))
    if output.kind == "flag" and output.many:
        return [bool(item) for item in value]
    if output.kind == "text" and output.many:
        return [value] if isinstance(value, str) else list(value)
    return to_host(value)


def _single_or_list(
    pipeline_class: PipelineClass, output: PipelineOutput, several: Sequence[Any]
) -> Any:
    if output.many:
        return list(several)
    if len(several) != 1:
        raise InvalidValue(
            f"{pipeline_class.name} returned {len(several)} at once, and `{output.name}` holds one",
            hint="Request one at a time: a list of prompts or seeds runs the node once per item.",
        )
    return several[0]


def to_images(value: Any) -> Tensor:
    """Images as they travel on links.

    Args:
        value: Arrays, tensors or PIL images, or lists of such.
    Returns:
        float32 in 0..1 on the CPU, shape (batch, height, width, 3 or 4).
    Raises:
        InvalidValue: They are no images.
    """
    pictures = _channels_last(_stacked(value))
    return _in_range(pictures.flatten(0, -4))


def to_videos(value: Any, rate: Fraction) -> list[Video]:
    """Videos as they travel on links; arguments as of `to_images`, with frames before the rest,
    and videos before these or not."""
    films = _film(_stacked(value))
    films = films[None] if films.ndim == 4 else films
    return [Video(_in_range(film), rate) for film in films.flatten(0, -5)]


def to_audio(value: Any, rate: int | None) -> list[Audio]:
    """What can be heard, as it travels on links.

    Args:
        value: Shape (batch, channels, samples), (batch, samples) or (samples,).
    Raises:
        InvalidValue: The rate isn't known.
    """
    if rate is None:
        raise rate_unknown()
    waveforms = _stacked(value).float()
    if waveforms.ndim < 3:
        # One channel, of one or several.
        waveforms = waveforms.reshape(-1, 1, waveforms.shape[-1])
    return [Audio(item.contiguous(), rate) for item in waveforms]


def to_meshes(value: Any) -> list[Mesh]:
    """Surfaces as they travel on links, from those of Shap-E: z is up there."""
    several = value if isinstance(value, (list, tuple)) else [value]
    return [_mesh(item) for item in several]


def _mesh(item: Any) -> Mesh:
    x, y, z = item.verts.detach().cpu().float().unbind(-1)
    channels = item.vertex_channels or {}
    colors = None
    if {"R", "G", "B"} <= channels.keys():
        rgb = [channels[name].detach().cpu().float() for name in "RGB"]
        colors = torch.stack(rgb, -1).clamp(0, 1)
    faces = item.faces.detach().cpu().long().contiguous()
    return Mesh(torch.stack([x, z, -y], -1), faces, colors)


def rate_unknown() -> InvalidValue:
    """The error that the rate of a sound isn't known."""
    return InvalidValue(
        "no component of the pipeline states the sample rate of its audio",
        port="audio_rate",
        expected="samples per second, for example 44100",
    )


def _stacked(value: Any) -> Tensor:
    """One tensor out of lists, arrays and PIL images, with a dimension for each list."""
    if isinstance(value, Image.Image):
        plain = value if value.mode in ("RGB", "RGBA") else value.convert("RGB")
        return torch.from_numpy(np.array(plain)).float() / 255
    if isinstance(value, (list, tuple)):
        items = [_stacked(item) for item in value]
        if len({item.shape for item in items}) != 1:
            sizes = ", ".join(str(tuple(item.shape)) for item in items) or "nothing"
            raise InvalidValue(
                f"the pipeline returned items that do not fit into one batch: {sizes}"
            )
        return torch.stack(items)
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        raise InvalidValue(f"the pipeline returned a {type(value).__name__}")
    return value.detach().cpu()


def _channels_last(value: Tensor) -> Tensor:
    """Shape (…, height, width, channels)."""
    if not value.is_floating_point():
        raise _no_pictures(value)
    if value.ndim == 2:
        return value[None, ..., None]
    if value.shape[-1] in _COLOURS:
        return value if value.ndim > 3 else value[None]
    if value.ndim > 2 and value.shape[-3] in _COLOURS:
        return value.movedim(-3, -1)[None] if value.ndim == 3 else value.movedim(-3, -1)
    if value.ndim == 3:
        # Of one channel, without saying it.
        return value[..., None]
    raise _no_pictures(value)


def _film(value: Tensor) -> Tensor:
    """Shape (…, frames, height, width, channels)."""
    if not value.is_floating_point() or value.ndim < 4:
        raise _no_pictures(value)
    if value.shape[-1] in _COLOURS:
        return value
    if value.shape[-3] in _COLOURS:
        return value.movedim(-3, -1)
    raise _no_pictures(value)


def _no_pictures(value: Tensor) -> InvalidValue:
    return InvalidValue(
        f"the pipeline returned {value.dtype} of shape {tuple(value.shape)}, which are not images"
    )


def _in_range(pictures: Tensor) -> Tensor:
    """In 0..1 and of three colors at least."""
    scaled = pictures.float()
    if scaled.numel() and float(scaled.amin()) < -_ROUNDING:
        # Directions of surfaces, and tensors that weren't brought back from what networks work in.
        scaled = (scaled + 1) / 2
    scaled = scaled.clamp(0, 1)
    return (scaled.expand(*scaled.shape[:-1], 3) if scaled.shape[-1] == 1 else scaled).contiguous()


_ROUNDING = 1e-3
