"""The small decoders that models bring for previews: where they lie, and loading them."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.components import TinyAutoencoder
from nodegraph.diffusion.families import family_named
from nodegraph.diffusion.models import embedded_folder
from nodegraph.diffusion.safetensors_header import read_header
from nodegraph.diffusion.weight_files import read_tensors
from nodegraph.errors import InvalidFile, ModelNotFound

if TYPE_CHECKING:
    from nodegraph.core.values import Recipe

_DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
"""What the libraries raise on files that don't fit together."""


def load_preview_decoder(recipe: Recipe, device: str) -> TinyAutoencoder:
    """The small decoder that a model brings, in eval mode, on a device.

    It is built without drawing random numbers, and without waiting for another component that is
    being loaded, as it may be wanted in the middle of a sampling.

    Raises:
        ModelNotFound: The model brings none.
        InvalidFile: It is damaged, or made for other latents. Pickle files aren't looked at.
    """
    from diffusers import AutoencoderTiny

    place = _place(recipe)
    config = layout.read_config(place / "config.json")
    file = _weights(place)
    known = inspect.signature(AutoencoderTiny.__init__).parameters
    try:
        tensors = read_tensors([file], recipe.dtype)
        with torch.device("meta"):
            vae = AutoencoderTiny(**{name: config[name] for name in config if name in known})
        vae.load_state_dict(tensors, strict=True, assign=True)
        vae = vae.eval().requires_grad_(False).to(device)
    except torch.OutOfMemoryError:
        raise
    except _DAMAGED as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InvalidFile(f"can't load {place}: {reason}") from error
    _check(vae.config, recipe, place)
    return TinyAutoencoder({"vae": vae}, recipe.family)


def preview_decoder_bytes(recipe: Recipe) -> int:
    """Bytes that a model's small decoder will take in memory.

    Raises:
        ModelNotFound: The model brings none.
        InvalidFile: It is damaged.
    """
    shapes = read_header(_weights(_place(recipe))).shapes
    item: int = getattr(torch, recipe.dtype).itemsize
    return item * sum(math.prod(shape) for shape in shapes.values())


def _place(recipe: Recipe) -> Path:
    """Folder of a model's decoder: a companion of the embedded one, beside the UNet of others."""
    source = Path(recipe.source)
    beside = source.parent / "companions" if source == embedded_folder() else source
    place = beside / layout.PREVIEW_DECODER
    if not place.is_dir():
        raise ModelNotFound(f"{source} brings no decoder for previews")
    return place


def _weights(place: Path) -> Path:
    return layout.find_weights(place.parent, place.name).files[0]


def _check(config: Any, recipe: Recipe, place: Path) -> None:
    family = family_named(recipe.family)
    denoiser = Path(recipe.source) / family.denoisers[0].role / layout.CONFIG
    channels = family.channels(layout.read_config(denoiser))
    if config.latent_channels != channels:
        raise InvalidFile(
            f"{place} is made for latents of {config.latent_channels} channels, "
            f"the model's have {channels}"
        )
    if config.out_channels != 3 or not isinstance(config.scaling_factor, int | float):
        raise InvalidFile(f"{place} is made for something else than pictures")
