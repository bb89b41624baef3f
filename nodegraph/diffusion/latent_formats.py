"""Latent formats: what the numbers of a latent stand for, and which autoencoders read them.

A format belongs to an autoencoder, not to a model: several families may share one. Imports no
torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion import latent_colours as colours
from nodegraph.diffusion.latent_colours import Colour, Factors
from nodegraph.diffusion.lazy import torch
from nodegraph.diffusion.memory import CodingMemory
from nodegraph.diffusion.single_files.base import FileLayout
from nodegraph.diffusion.single_files.dc_vae import SANA_VAE
from nodegraph.diffusion.single_files.hunyuan_image_vae import HUNYUAN_IMAGE_VAE
from nodegraph.diffusion.single_files.kl_vae import kl_layout
from nodegraph.diffusion.single_files.ltx_vae import LTX_VAE
from nodegraph.diffusion.single_files.tiny_vae import TINY, tiny_layout
from nodegraph.diffusion.single_files.wan_vae import QWEN_IMAGE_VAE, WAN22_VAE, WAN_VAE

if TYPE_CHECKING:
    from torch import Tensor


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
        tiny: Name of the published tiny autoencoder that decodes it, for previews; empty if there
            is none.
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
    rgb_bias: Colour = (0.0, 0.0, 0.0)
    tiny: str = ""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """The most likely latents of pictures, as models are trained on.

        Args:
            vae: One of `autoencoders`.
            pixels: In -1..1, shape (batch, 3, height, width); with frames before the height for
                videos.
        Returns:
            Shape (batch, channels, height / spatial, width / spatial).
        """
        encoded = vae.encode(pixels)
        # Tiny ones give no distribution.
        is_tiny = not hasattr(encoded, "latent_dist")
        mode: Tensor = encoded.latents if is_tiny else encoded.latent_dist.mode()
        scaled: Tensor = (mode - _shift(vae)) * vae.config.scaling_factor
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """The pictures of latents in -1..1; shapes as for `encode`."""
        # In this order the stock pipelines compute, which makes the bits equal.
        inputs = latents / vae.config.scaling_factor + _shift(vae)
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        """What decoding holds besides weights, by an autoencoder's configuration."""
        return _decoding(config.get("block_out_channels"))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        """The same of encoding."""
        return _encoding(config.get("block_out_channels"))

    def latent_channels(self, config: Mapping[str, Any]) -> int:
        """Channels of the latents of an autoencoder, by its configuration."""
        return int(config.get("latent_channels") or self.channels)

    def to_cells(self, latents: Tensor) -> Tensor:
        """Latents in the finest cells that lie next to each other as their pixels do: as they are,
        but where channels hold several cells."""
        return latents

    def from_cells(self, cells: Tensor) -> Tensor:
        """What `to_cells` took apart."""
        return cells

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


_WIDTHS = (128, 256)
"""Of an autoencoder's first blocks, where its configuration doesn't say."""


def _decoding(widths: Sequence[int] | None) -> CodingMemory:
    # What goes into the last block at full size, what it makes of it, and one more.
    known = widths or _WIDTHS
    return CodingMemory(3 * known[min(1, len(known) - 1)])


def _encoding(widths: Sequence[int] | None) -> CodingMemory:
    return CodingMemory(5 * (widths or _WIDTHS)[0])


@dataclass(frozen=True)
class DeepCompression(LatentFormat):
    """Latents of an autoencoder that gives no distribution.

    Source: Chen et al. 2024, arXiv:2410.10733.
    """

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return _decoding(config.get("decoder_block_out_channels"))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return _encoding(config.get("encoder_block_out_channels"))

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        latents: Tensor = vae.encode(pixels, return_dict=False)[0] * vae.config.scaling_factor
        return latents


def _shift(vae: Any) -> float:
    return getattr(vae.config, "shift_factor", None) or 0.0


@dataclass(frozen=True)
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


def _kl(
    name: str,
    title: str,
    channels: int,
    scaling: tuple[float, float],
    rgb: Factors,
    rgb_bias: Colour = (0.0, 0.0, 0.0),
    **more: Any,
) -> LatentFormat:
    """A format of an `AutoencoderKL` with one scale for all channels, which a tiny one reads, too.

    Args:
        scaling: Factor and shift of published autoencoders.
    """
    return LatentFormat(
        name,
        channels,
        autoencoders=("AutoencoderKL", TINY),
        scaling=scaling,
        files=(kl_layout(f"the VAE of {title}", channels, scaling), tiny_layout(title, channels)),
        rgb=rgb,
        rgb_bias=rgb_bias,
        **more,
    )


SD = _kl("sd", "Stable Diffusion", 4, (0.18215, 0.0), colours.SD, tiny="taesd")
"""Stable Diffusion 1.x and 2.x."""

SDXL = _kl(
    "sdxl",
    "Stable Diffusion XL",
    4,
    (0.13025, 0.0),
    colours.SDXL,
    colours.SDXL_BIAS,
    overflows=True,
    tiny="taesdxl",
)
"""Stable Diffusion XL and PixArt-Σ."""

SD3 = _kl(
    "sd3",
    "Stable Diffusion 3",
    16,
    (1.5305, 0.0609),
    colours.SD3,
    colours.SD3_BIAS,
    tiny="taesd3",
)
"""Stable Diffusion 3 and 3.5."""

FLUX = _kl("flux", "Flux.1", 16, (0.3611, 0.1159), colours.FLUX, colours.FLUX_BIAS, tiny="taef1")
"""Flux.1, Chroma, Lumina 2, Z-Image and HiDream."""

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

LTX = LTXFormat(
    "ltx",
    128,
    spatial=32,
    temporal=8,
    autoencoders=("AutoencoderKLLTXVideo",),
    files=(LTX_VAE,),
)
"""LTX-Video."""

QWEN_IMAGE = QwenImageFormat(
    "qwen-image",
    16,
    autoencoders=("AutoencoderKLQwenImage",),
    files=(QWEN_IMAGE_VAE,),
    rgb=colours.WAN,
    rgb_bias=colours.WAN_BIAS,
)
"""Qwen-Image and Qwen-Image-Edit."""

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
