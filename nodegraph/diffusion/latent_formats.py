"""Latent formats: what the numbers of a latent stand for, and which autoencoders read them.

A format belongs to an autoencoder, not to a model: several families may share one. Imports no
torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        rgb: The colours of its channels on the whole, for previews; None if not known.
    """

    name: str
    channels: int
    spatial: int = 8
    temporal: int = 0
    autoencoders: tuple[str, ...] = ("AutoencoderKL",)
    overflows: bool = False
    rgb: Factors | None = None

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


def _shift(vae: Any) -> float:
    return getattr(vae.config, "shift_factor", None) or 0.0


SD = LatentFormat(
    "sd",
    4,
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

SDXL = LatentFormat("sdxl", 4, overflows=True)
"""Stable Diffusion XL and PixArt-Σ."""

SD3 = LatentFormat("sd3", 16)
"""Stable Diffusion 3 and 3.5."""

FLUX = LatentFormat("flux", 16)
"""Flux.1, Chroma, Lumina 2, Z-Image and HiDream."""
