"""Latents in the form that ComfyUI's packs know.

ComfyUI's latents are what a VAE gives; those here are scaled as the model was trained. The way
there and back costs the last bits, so the latents of a process are remembered by the content of
what its packs see: a tensor that a pack passes on unchanged is the same latent again, to the last
bit, with its format and the noise that is left in it.

Source of the latents' scales there: https://github.com/comfyanonymous/ComfyUI
(``comfy/latent_formats.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.recent_values import RecentValues
from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.latent_formats import LEAST_CELL, LatentFormat
from nodegraph.families.registry import FAMILIES, get_latent_format

FORMAT_KEY = "nodegraph_format"
"""Key of a LATENT with the name of its format: packs copy what they do not know."""
GRADUAL_KEY = "nodegraph_gradual"
"""Key of a LATENT with `Latent.gradual`."""
UNKNOWN_FORMAT = "comfyui"
"""Format of latents that a pack made of nothing: their scale is known once a model or VAE of a
pack's node gets them. Native nodes refuse it, as they do any other format than their model's."""

_UNSCALED = frozenset({"flux2", "ltx"})
"""Formats that ComfyUI's VAE scales itself."""
_FACTORS: Mapping[str, float] = {"hunyuan-image": 0.75289, "hunyuan-video-15": 1.03682}
"""Scales of further formats that have one number."""
_MOST_REMEMBERED = 64


@dataclass(slots=True)
class LatentMemory:
    """Latents that the packs of a process have received.

    Attributes:
        known: By the content of the tensor in ComfyUI's form.
    """

    known: RecentValues[bytes, Latent] = field(
        default_factory=lambda: RecentValues(_MOST_REMEMBERED)
    )

    def add(self, samples: Tensor, latent: Latent) -> None:
        """Remember what a tensor in ComfyUI's form stands for."""
        self.known.put(_content(samples), latent)

    def get(self, samples: Tensor) -> Latent | None:
        """The latent that a tensor stands for; None if a pack made or changed it."""
        return self.known.get(_content(samples))


MEMORY = LatentMemory()
"""Of this process."""

_FORMATS: ContextVar[tuple[str, ...]] = ContextVar("nodegraph_comfy_formats", default=())
"""Formats of the models, VAEs and latents of the current call."""


def note_format(name: str | None) -> None:
    """Note a format that the current call uses, for latents that do not name theirs."""
    if name is not None and name not in _FORMATS.get():
        _FORMATS.set((*_FORMATS.get(), name))


def forget_formats() -> None:
    """Begin a call: no format is known yet."""
    _FORMATS.set(())


def _content(samples: Tensor) -> bytes:
    data = samples.detach().to("cpu", torch.float32).contiguous()
    key = hashlib.blake2b(repr(tuple(data.shape)).encode(), digest_size=16)
    key.update(data.numpy().tobytes())
    return key.digest()


def _statistics(name: str, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of Wan's latents; (1, channels, 1, 1, 1)."""
    from nodegraph.families import wan_vae

    if channels not in wan_vae.LATENT_STATISTICS:
        raise _unknown_scale(name)
    mean, deviation = wan_vae.LATENT_STATISTICS[channels]
    return (
        torch.tensor(mean).view(1, -1, 1, 1, 1),
        torch.tensor(deviation).view(1, -1, 1, 1, 1),
    )


def _unknown_scale(name: str) -> InvalidValue:
    return InvalidValue(
        f"latents of format {name} do not cross to ComfyUI's packs: their scale there is not known",
        given=name,
        hint="Decode the latent to an image before the node.",
    )


def _is_of_wan(latents: LatentFormat) -> bool:
    return latents.name in ("wan", "wan22", "qwen-image")


def unscale(samples: Tensor, name: str) -> Tensor:
    """Bring latents from a model's scale to that of ComfyUI's LATENT.

    Args:
        samples: Shape (batch, channels, height, width), or with frames before the height.
        name: Name of the format.
    Raises:
        InvalidValue: ComfyUI's scale of the format is not known.
    """
    latents = get_latent_format(name)
    if _is_of_wan(latents):
        samples = samples.unsqueeze(2) if samples.ndim == 4 else samples
        mean, deviation = _statistics(name, samples.shape[1])
        return samples / (1.0 / deviation) + mean
    factor, shift = _linear(latents)
    return samples / factor + shift


def scale(samples: Tensor, name: str) -> Tensor:
    """Bring latents from ComfyUI's LATENT to a model's scale; see `unscale`."""
    latents = get_latent_format(name)
    if _is_of_wan(latents):
        mean, deviation = _statistics(name, samples.shape[1])
        scaled = (samples - mean) * (1.0 / deviation)
        return scaled.squeeze(2) if not latents.temporal and scaled.shape[2] == 1 else scaled
    factor, shift = _linear(latents)
    return (samples - shift) * factor


def _linear(latents: LatentFormat) -> tuple[float, float]:
    """Factor and shift of a format."""
    if latents.scaling is not None:
        return latents.scaling
    if latents.name in _UNSCALED:
        return 1.0, 0.0
    if latents.name in _FACTORS:
        return _FACTORS[latents.name], 0.0
    raise _unknown_scale(latents.name)


def to_comfy_latent(latent: Latent) -> dict[str, Any]:
    """Convert a latent to ComfyUI's LATENT."""
    if latent.format != UNKNOWN_FORMAT:
        note_format(latent.format)
    if latent.samples is None:
        samples = _zeros(latent)
    else:
        samples = _raw(latent)
        if latent.format != UNKNOWN_FORMAT:
            MEMORY.add(samples, latent)
    value: dict[str, Any] = {"samples": samples}
    if latent.format not in (None, UNKNOWN_FORMAT):
        value[FORMAT_KEY] = latent.format
    if latent.noise_mask is not None:
        mask = latent.noise_mask
        value["noise_mask"] = mask.reshape(-1, 1, *mask.shape[-2:])
    if latent.batch_index is not None:
        value["batch_index"] = list(latent.batch_index)
    if latent.gradual:
        value[GRADUAL_KEY] = latent.gradual
    return value


def _zeros(latent: Latent) -> Tensor:
    """What an empty latent is there: zeros of the size of Stable Diffusion's."""
    latents = None if latent.format is None else get_latent_format(latent.format)
    channels = 4 if latents is None else latents.channels
    cell = LEAST_CELL if latents is None else latents.spatial
    sides = latent.height // cell, latent.width // cell
    frames = () if latent.frames == 1 else (_latent_frames(latents, latent.frames),)
    return torch.zeros(latent.batch_size, channels, *frames, *sides)


def _latent_frames(latents: LatentFormat | None, frames: int) -> int:
    return (frames - 1) // 4 + 1 if latents is None else latents.latent_frames(frames)


def _raw(latent: Latent) -> Tensor:
    from nodegraph.sampling.initial_latent import convert_form

    assert latent.samples is not None
    samples, left = latent.samples, latent.leftover
    if left is not None:
        samples = convert_form("exploding", samples, left)
    if latent.format in (None, UNKNOWN_FORMAT):
        return samples
    return unscale(samples, latent.format)


def from_comfy_latent(value: Mapping[str, Any]) -> Latent:
    """Convert ComfyUI's LATENT to a latent.

    Raises:
        InvalidValue: It has no tensor, or one of no known format.
    """
    samples = value.get("samples")
    if not isinstance(samples, Tensor) or samples.ndim not in (4, 5):
        shape = f"shape {tuple(samples.shape)}" if isinstance(samples, Tensor) else repr(samples)
        raise InvalidValue(
            "the LATENT of a ComfyUI pack holds no samples that nodegraph can read",
            given=shape,
            expected="a tensor of shape (batch, channels, height, width), or with frames",
        )
    samples = samples.detach().to("cpu", torch.float32)
    latent = MEMORY.get(samples)
    if latent is None:
        latent = _new_latent(samples, value)
    indices = value.get("batch_index")
    return replace(
        latent,
        noise_mask=_mask(value.get("noise_mask"), latent),
        batch_index=None if indices is None else tuple(int(index) for index in indices),
        gradual=float(value.get(GRADUAL_KEY, latent.gradual)),
    )


def _new_latent(samples: Tensor, value: Mapping[str, Any]) -> Latent:
    """A latent that a pack made."""
    named = value.get(FORMAT_KEY)
    is_empty = not bool(torch.count_nonzero(samples))
    name = str(named) if named is not None else _guess_format(samples, is_empty=is_empty)
    latents = None if name in (None, UNKNOWN_FORMAT) else get_latent_format(str(name))
    if latents is None:
        cell = int(value.get("downscale_ratio_spacial") or LEAST_CELL)
    else:
        cell = latents.spatial
    height, width = (side * cell for side in samples.shape[-2:])
    frames = 1
    if samples.ndim == 5 and (latents is None or latents.temporal):
        frames = (samples.shape[2] - 1) * (latents.temporal if latents else 4) + 1
    scaled = None
    if not is_empty:
        scaled = samples if latents is None else scale(samples, latents.name).contiguous()
    return Latent(scaled, width, height, len(samples), format=name, frames=frames)


def _guess_format(samples: Tensor, *, is_empty: bool) -> str | None:
    """The format of a tensor that does not name it: the only one in question, else an unknown."""
    channels = samples.shape[1]
    used = [name for name in _FORMATS.get() if get_latent_format(name).channels == channels]
    if len(used) == 1:
        return used[0]
    if is_empty:
        return None
    formats = {family.latent.name: family.latent for family in FAMILIES.values()}
    fitting = [name for name, latents in formats.items() if latents.channels == channels]
    if len(fitting) == 1:
        return fitting[0]
    # A model's own files may have other numbers of channels than its family.
    if len(_FORMATS.get()) == 1:
        return _FORMATS.get()[0]
    return UNKNOWN_FORMAT


def _mask(mask: Any, latent: Latent) -> Tensor | None:
    """A noise mask of any size as one in pixels, (1 or batch, height, width)."""
    if mask is None:
        return None
    planes = mask.detach().to("cpu", torch.float32).reshape(-1, 1, *mask.shape[-2:])
    if planes.shape[-2:] != (latent.height, latent.width):
        planes = torch.nn.functional.interpolate(
            planes, size=(latent.height, latent.width), mode="bilinear"
        )
    if len(planes) not in (1, latent.batch_size):
        repeats = -(-latent.batch_size // len(planes))
        planes = planes.repeat(repeats, 1, 1, 1)[: latent.batch_size]
    plane: Tensor = planes[:, 0]
    return plane
