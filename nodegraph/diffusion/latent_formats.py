"""Latent formats: what the numbers of a latent stand for, and which autoencoders read them.

A format belongs to an autoencoder, not to a model: several families may share one. Imports no
torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.lazy import torch
from nodegraph.diffusion.single_files.base import FileLayout
from nodegraph.diffusion.single_files.kl_vae import kl_layout

if TYPE_CHECKING:
    from torch import Tensor

Factors = tuple[tuple[float, float, float], ...]
"""Red, green and blue in -1..1 of a latent cell, for each of its channels."""


@dataclass(frozen=True)
class LatentFormat:
    """A kind of latent, and how it is taken from and given to an autoencoder.

    This class is for pictures whose autoencoder says one scale, and maybe a shift, for all
    channels; others override `encode` and `decode`.

    Attributes:
        name: As in latents and recipes of autoencoders, such as ``sd``.
        channels: Of models as they are published; a model's own files may say otherwise.
        spatial: Pixels along a latent cell's side.
        temporal: Frames of a video that share a latent frame, but for the first, which has one of
            its own; 0 for pictures.
        autoencoders: Classes of diffusers that make and read it.
        overflows: Whether its autoencoder overflows in float16, unless its configuration says not
            (``force_upcast``).
        scaling: Factor and shift of published autoencoders, for files that don't say; None where
            there is more to it.
        files: How its autoencoder lies in a file without a configuration, alone or in a whole
            model; the first that matches. Empty where such files aren't read.
        rgb: The colours of its channels on the whole, for previews; None if not known.
        rgb_bias: The colour of a cell of zeros.
    """

    name: str
    channels: int
    spatial: int = 8
    temporal: int = 0
    autoencoders: tuple[str, ...] = ("AutoencoderKL",)
    overflows: bool = False
    scaling: tuple[float, float] | None = None
    files: tuple[FileLayout, ...] = ()
    rgb: Factors | None = None
    rgb_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """The most likely latents of pictures, as models are trained on.

        Args:
            vae: One of `autoencoders`.
            pixels: In -1..1, shape (batch, 3, height, width); with frames before the height for
                videos.
        Returns:
            Shape (batch, channels, height / spatial, width / spatial).
        """
        mode: Tensor = vae.encode(pixels).latent_dist.mode()
        scaled: Tensor = (mode - _shift(vae)) * vae.config.scaling_factor
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """The pictures of latents in -1..1; shapes as for `encode`."""
        # In this order the stock pipelines compute, which makes the bits equal.
        inputs = latents / vae.config.scaling_factor + _shift(vae)
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels

    def latent_channels(self, config: Mapping[str, Any]) -> int:
        """Channels of the latents of an autoencoder, by its configuration."""
        return int(config.get("latent_channels") or self.channels)

    def cells(self, pixels: int) -> int:
        """Latent cells along a side."""
        return pixels // self.spatial

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a video of some frames."""
        return (frames - 1) // self.temporal + 1 if self.temporal else 1

    def nearest_frames(self, frames: int) -> tuple[int, ...]:
        """Numbers of frames that videos can have, around one: itself alone if it is such."""
        if not self.temporal:
            return (1,)
        below = self.pixel_frames(self.latent_frames(max(1, frames)))
        return (below,) if below == frames else (below, below + self.temporal)

    def pixel_frames(self, latent_frames: int) -> int:
        """Frames of the video that some latent frames stand for."""
        return (latent_frames - 1) * self.temporal + 1 if self.temporal else 1


@dataclass(frozen=True)
class DeepCompression(LatentFormat):
    """Latents of an autoencoder that gives no distribution.

    Source: Chen et al. 2024, arXiv:2410.10733.
    """

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        latents: Tensor = vae.encode(pixels, return_dict=False)[0] * vae.config.scaling_factor
        return latents


def _shift(vae: Any) -> float:
    return getattr(vae.config, "shift_factor", None) or 0.0


@dataclass(frozen=True)
class WanFormat(LatentFormat):
    """Videos, or pictures, whose autoencoder says a mean and a deviation for each channel."""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mode: Tensor = vae.encode(pixels).latent_dist.mode().float()
        mean, deviation = _means(vae, mode.dtype)
        scaled: Tensor = (mode - mean) * (1.0 / deviation)
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _means(vae, latents.dtype)
        # Divided by one over it, not multiplied by it: so do the stock pipelines.
        inputs = latents / (1.0 / deviation) + mean
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels

    def latent_channels(self, config: Mapping[str, Any]) -> int:
        return int(config.get("z_dim") or self.channels)


@dataclass(frozen=True)
class QwenImageFormat(WanFormat):
    """Pictures, by an autoencoder for videos: each is a video of one frame."""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mode: Tensor = vae.encode(pixels.unsqueeze(2)).latent_dist.mode()
        mean, deviation = _means(vae, mode.dtype)
        # As editing pipelines encode what the model looks at; WanFormat's way rounds otherwise.
        scaled: Tensor = (mode - mean) / deviation
        return scaled.squeeze(2)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        return super().decode(vae, latents.unsqueeze(2)).squeeze(2)


def _means(vae: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel; (1, channels, 1, 1, 1)."""
    mean, deviation = (
        torch.tensor(vae.config[name], device=vae.device).view(1, -1, 1, 1, 1).to(dtype)
        for name in ("latents_mean", "latents_std")
    )
    return mean, deviation


@dataclass(frozen=True)
class LTXFormat(LatentFormat):
    """Videos whose autoencoder holds a mean and a deviation for each channel beside its weights.

    Those of later versions end the denoising as they decode, at a timestep; here at its end, 0.
    """

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mode: Tensor = vae.encode(pixels).latent_dist.mode()
        mean, deviation = _buffers(vae, mode)
        scaled: Tensor = (mode - mean) * vae.config.scaling_factor / deviation
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _buffers(vae, latents)
        inputs = latents * deviation / vae.config.scaling_factor + mean
        timed = vae.config.timestep_conditioning
        timestep = torch.zeros(len(inputs), device=inputs.device, dtype=inputs.dtype)
        pixels: Tensor = vae.decode(inputs, timestep if timed else None, return_dict=False)[0]
        return pixels


def _buffers(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    # They may lie elsewhere, where weights are brought along a layer at a time.
    mean, deviation = (
        item.view(1, -1, 1, 1, 1).to(like.device, like.dtype)
        for item in (vae.latents_mean, vae.latents_std)
    )
    return mean, deviation


_SCALING = {
    "sd": (0.18215, 0.0),
    "sdxl": (0.13025, 0.0),
    "sd3": (1.5305, 0.0609),
    "flux": (0.3611, 0.1159),
}
"""Factor and shift of published autoencoders, by the name of their format."""


def _kl(name: str, title: str) -> dict[str, Any]:
    """What is said of an `AutoencoderKL` whose latents have one scale for all channels."""
    return {"scaling": _SCALING[name], "files": (kl_layout(f"the VAE of {title}", _SCALING[name]),)}


SD = LatentFormat(
    "sd",
    4,
    **_kl("sd", "Stable Diffusion"),
    # Found by Kevin Turner (keturn) for Stable Diffusion 1.4:
    # https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204/2
    rgb=(
        (0.298, 0.207, 0.208),
        (0.187, 0.286, 0.173),
        (-0.158, 0.189, 0.264),
        (-0.184, -0.271, -0.473),
    ),
)
"""Stable Diffusion 1.x and 2.x."""

SDXL = LatentFormat("sdxl", 4, overflows=True, **_kl("sdxl", "Stable Diffusion XL"))
"""Stable Diffusion XL and PixArt-Σ."""

SD3 = LatentFormat("sd3", 16, **_kl("sd3", "Stable Diffusion 3"))
"""Stable Diffusion 3 and 3.5."""

FLUX = LatentFormat("flux", 16, **_kl("flux", "Flux.1"))
"""Flux.1, Chroma, Lumina 2, Z-Image and HiDream."""

# ComfyUI's (``comfy/latent_formats.py``, Wan21), which it takes for Qwen-Image, too.
_WAN_RGB: Factors = (
    (-0.1299, -0.1692, 0.2932),
    (0.0671, 0.0406, 0.0442),
    (0.3568, 0.2548, 0.1747),
    (0.0372, 0.2344, 0.1420),
    (0.0313, 0.0189, -0.0328),
    (0.0296, -0.0956, -0.0665),
    (-0.3477, -0.4059, -0.2925),
    (0.0166, 0.1902, 0.1975),
    (-0.0412, 0.0267, -0.1364),
    (-0.1293, 0.0740, 0.1636),
    (0.0680, 0.3019, 0.1128),
    (0.0032, 0.0581, 0.0639),
    (-0.1251, 0.0927, 0.1699),
    (0.0060, -0.0633, 0.0005),
    (0.3477, 0.2275, 0.2950),
    (0.1984, 0.0913, 0.1861),
)
_WAN_BIAS = (-0.1835, -0.0868, -0.3360)

_WAN_VAE = ("AutoencoderKLWan",)
WAN = WanFormat(
    "wan",
    16,
    temporal=4,
    autoencoders=_WAN_VAE,
    rgb=_WAN_RGB,
    rgb_bias=_WAN_BIAS,
)
"""Wan 2.1, and Wan 2.2 with two experts."""

WAN22 = WanFormat("wan22", 48, spatial=16, temporal=4, autoencoders=_WAN_VAE)
"""Wan 2.2 5B."""

LTX = LTXFormat("ltx", 128, spatial=32, temporal=8, autoencoders=("AutoencoderKLLTXVideo",))
"""LTX-Video."""

QWEN_IMAGE = QwenImageFormat(
    "qwen-image",
    16,
    autoencoders=("AutoencoderKLQwenImage",),
    rgb=_WAN_RGB,
    rgb_bias=_WAN_BIAS,
)
"""Qwen-Image and Qwen-Image-Edit."""

SANA = DeepCompression("sana", 32, spatial=32, autoencoders=("AutoencoderDC",))
"""Sana."""

HUNYUAN_IMAGE = LatentFormat(
    "hunyuan-image", 64, spatial=32, autoencoders=("AutoencoderKLHunyuanImage",)
)
"""HunyuanImage 2.1."""
