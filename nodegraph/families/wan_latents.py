"""Latents of Wan's autoencoders for videos, and of Qwen-Image's, which is one. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families import latent_colours as colours
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.single_files.wan_vae import QWEN_IMAGE_VAE, WAN22_VAE, WAN_VAE

if TYPE_CHECKING:
    from torch import Tensor


class WanFormat(LatentFormat):
    """Videos, or pictures, whose autoencoder says a mean and a deviation for each channel."""

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        # It takes four frames at a time, and keeps the last ones of each layer's input.
        width = config.get("decoder_base_dim") or config.get("base_dim") or 96
        return CodingMemory(18, 53).times(width / _patch(config))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return CodingMemory(10.5, 39).times((config.get("base_dim") or 96) / _patch(config))

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


def _patch(config: Mapping[str, Any]) -> int:
    """Pixels that go in together."""
    return int(config.get("patch_size") or 1) ** 2


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


_WAN_VAE = ("AutoencoderKLWan",)
WAN = WanFormat(
    "wan",
    16,
    temporal=4,
    autoencoders=_WAN_VAE,
    files=(WAN_VAE,),
    rgb=colours.WAN,
    rgb_bias=colours.WAN_BIAS,
)
"""Wan 2.1, and Wan 2.2 with two experts."""

WAN22 = WanFormat(
    "wan22",
    48,
    spatial=16,
    temporal=4,
    autoencoders=_WAN_VAE,
    files=(WAN22_VAE,),
    rgb=colours.WAN22,
    rgb_bias=colours.WAN22_BIAS,
)
"""Wan 2.2 5B."""

QWEN_IMAGE = QwenImageFormat(
    "qwen-image",
    16,
    autoencoders=("AutoencoderKLQwenImage",),
    files=(QWEN_IMAGE_VAE,),
    rgb=colours.WAN,
    rgb_bias=colours.WAN_BIAS,
)
"""Qwen-Image and Qwen-Image-Edit."""
