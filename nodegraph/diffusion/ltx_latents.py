"""Latents of LTX-Video's autoencoder. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.latent_formats import LatentFormat
from nodegraph.diffusion.lazy import torch
from nodegraph.diffusion.memory import CodingMemory
from nodegraph.diffusion.single_files.ltx_vae import LTX_VAE

if TYPE_CHECKING:
    from torch import Tensor


class LTXFormat(LatentFormat):
    """Videos whose autoencoder holds a mean and a deviation for each channel beside its weights.

    Those of later versions end the denoising as they decode, at a timestep; here at its end, 0.
    """

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get("decoder_block_out_channels") or (128,)
        return CodingMemory(0.6, 0.3, 0.27).times(widths[0])

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get("block_out_channels") or (128,)
        return CodingMemory(0.8, 0.4, 0.41).times(widths[0])

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
        with _same_noise(vae):
            pixels: Tensor = vae.decode(inputs, timestep if timed else None, return_dict=False)[0]
        return pixels


@contextmanager
def _same_noise(vae: Any) -> Iterator[None]:
    """Inside the `with`, a decoder that adds noise between its layers (0.9.1's) draws the same each
    time; who draws after it gets what they would have."""
    if not any(vae.config.decoder_inject_noise):
        yield
        return
    kind = vae.device.type
    with torch.random.fork_rng([] if kind == "cpu" else [vae.device], device_type=kind):
        torch.manual_seed(0)
        yield


def _buffers(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    # They may lie elsewhere, where weights are brought along a layer at a time.
    mean, deviation = (
        item.view(1, -1, 1, 1, 1).to(like.device, like.dtype)
        for item in (vae.latents_mean, vae.latents_std)
    )
    return mean, deviation


LTX = LTXFormat(
    "ltx",
    128,
    spatial=32,
    temporal=8,
    autoencoders=("AutoencoderKLLTXVideo",),
    files=(LTX_VAE,),
)
"""LTX-Video."""
