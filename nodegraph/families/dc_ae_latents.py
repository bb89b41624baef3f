"""Latents of cells of 32 pixels, for pictures: Sana's and HunyuanImage's. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families.latent_formats import LatentFormat, decoding_memory, encoding_memory
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.single_files.dc_vae import SANA_VAE
from nodegraph.weights.single_files.hunyuan_image_vae import HUNYUAN_IMAGE_VAE

if TYPE_CHECKING:
    from torch import Tensor


class DeepCompression(LatentFormat):
    """Latents of an autoencoder that gives no distribution.

    Source: Chen et al. 2024, arXiv:2410.10733.
    """

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return decoding_memory(config.get("decoder_block_out_channels"))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return encoding_memory(config.get("encoder_block_out_channels"))

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        latents: Tensor = vae.encode(pixels, return_dict=False)[0] * vae.config.scaling_factor
        return latents


SANA = DeepCompression("sana", 32, spatial=32, autoencoders=("AutoencoderDC",), files=(SANA_VAE,))
"""Sana."""

HUNYUAN_IMAGE = LatentFormat(
    "hunyuan-image",
    64,
    spatial=32,
    autoencoders=("AutoencoderKLHunyuanImage",),
    files=(HUNYUAN_IMAGE_VAE,),
)
"""HunyuanImage 2.1."""
