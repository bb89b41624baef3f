"""Live components: what a recipe becomes when its weights are in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
    from torch import Tensor
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True)
class Denoiser:
    """A UNet with the noise schedule it was trained on.

    Attributes:
        unet: In eval mode, on the device it is to run on.
        scheduler_config: The model's scheduler file: ``num_train_timesteps``, ``beta_start``,
            ``beta_end``, ``beta_schedule``, ``prediction_type``, ``timestep_spacing``, ….
        family: Such as ``sd1``.
    """

    unet: UNet2DConditionModel
    scheduler_config: Mapping[str, Any]
    family: str


@dataclass(frozen=True, slots=True)
class TextModel:
    """A text encoder with its tokenizer, in eval mode.

    Attributes:
        empty: The empty prompt's embeddings, by the device that computed them, once they are
            known; float32 on the CPU, shape (1, length, width). Copies are handed out.
    """

    model: CLIPTextModel
    tokenizer: CLIPTokenizer
    family: str
    empty: dict[str, Tensor] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """A variational autoencoder, in eval mode.

    Attributes:
        tiled: Whether to work on a part of the picture at a time, which takes less memory.
    """

    vae: AutoencoderKL
    family: str
    tiled: bool = False


@dataclass(frozen=True, slots=True)
class TinyAutoencoder:
    """A small decoder of latents for previews, in eval mode."""

    vae: AutoencoderTiny
    family: str


Component = Denoiser | TextModel | Autoencoder | TinyAutoencoder
"""What loading a recipe gives."""
