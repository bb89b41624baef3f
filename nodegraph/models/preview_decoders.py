"""Small decoders for previews: where models bring them, and loading them or users'."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.components import TinyAutoencoder
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.families.registry import get_family
from nodegraph.models.vae_files import OF_USER, has_config
from nodegraph.weights.safetensors_header import read_header
from nodegraph.weights.single_files.autoencoders import (
    DECODERS,
    convert_tiny,
    half_prefix,
    tiny_config,
)
from nodegraph.weights.weight_files import check_weights_fit, read_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import Recipe

_DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
"""What the libraries raise on files that don't fit together."""


def load_preview_decoder(recipe: Recipe, device: str) -> TinyAutoencoder:
    """The small decoder of a recipe, in eval mode, on a device. What encodes is left out.

    It is built without drawing random numbers, and without waiting for another component that is
    being loaded, as it may be wanted in the middle of a sampling.

    Raises:
        ModelNotFound: The model brings none.
        InvalidFile: It is damaged, or made for other latents. Pickle files aren't looked at.
    """
    from diffusers import AutoencoderTiny

    file = _weights(recipe)
    known = inspect.signature(AutoencoderTiny.__init__).parameters
    config = _config(file)
    try:
        tensors = _tensors(file, recipe.dtype)
        with torch.device("meta"):
            vae = AutoencoderTiny(**{name: config[name] for name in config if name in known})
        vae.encoder = None
        check_weights_fit(file, vae, tensors, strict=True)
        vae.load_state_dict(tensors, assign=True)
        vae = vae.eval().requires_grad_(False).to(device)
    except torch.OutOfMemoryError:
        raise
    except _DAMAGED as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InvalidFile(f"cannot load {file}: {reason}") from error
    _check(vae.config, recipe, file)
    return TinyAutoencoder({"vae": vae}, recipe.family)


def preview_decoder_bytes(recipe: Recipe) -> int:
    """Bytes that the small decoder of a recipe will take in memory.

    Raises:
        ModelNotFound: The model brings none.
        InvalidFile: It is damaged.
    """
    shapes = read_header(_weights(recipe)).shapes
    begins = _prefix(shapes)
    item: int = getattr(torch, recipe.dtype).itemsize
    return item * sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(begins))


def _weights(recipe: Recipe) -> Path:
    users = recipe.paths(OF_USER)
    if users:
        return Path(users[0])
    folder = _decoder_folder(recipe)
    return layout.find_weights(folder.parent, folder.name).files[0]


def _decoder_folder(recipe: Recipe) -> Path:
    """Folder of a model's decoder: a companion of the embedded one, beside the UNet of others."""
    source = Path(recipe.source)
    parent = source.parent / "companions" if source == embedded_folder() else source
    folder = parent / layout.PREVIEW_DECODER
    if not folder.is_dir():
        raise ModelNotFound(f"{source} has no decoder for previews")
    return folder


def _config(file: Path) -> dict[str, Any]:
    """What lies beside the weights says, or their shapes."""
    if has_config(file):
        return layout.read_config(file.with_name(layout.CONFIG))
    shapes = read_header(file).shapes
    before = half_prefix(shapes)
    try:
        return tiny_config({f"{before}{name}": shape for name, shape in shapes.items()})
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidFile(f"{file} holds no tiny decoder: it has no {error}") from error


def _tensors(file: Path, dtype: str) -> dict[str, Tensor]:
    """Those of the decoder, as diffusers names them."""
    shapes = read_header(file).shapes
    before = half_prefix(shapes)
    tensors = read_tensors([file], dtype, prefix=_prefix(shapes))
    return convert_tiny({f"{before}{name}": item for name, item in tensors.items()}, {})


def _prefix(names: Iterable[str]) -> str:
    """Before the names of the decoder's tensors where both halves lie in one file."""
    tensor_names = list(names)
    return next(
        (item for item in DECODERS if any(name.startswith(item) for name in tensor_names)), ""
    )


def _check(config: Any, recipe: Recipe, file: Path) -> None:
    channels = _channels(recipe)
    if config.latent_channels != channels:
        raise InvalidFile(
            f"{file} is made for latents of {config.latent_channels} channels, "
            f"the model's have {channels}"
        )
    if config.out_channels != 3 or not isinstance(config.scaling_factor, int | float):
        raise InvalidFile(f"{file} does not decode to images")


def _channels(recipe: Recipe) -> int:
    """Channels of a model's latents; where they aren't the format's, no user's decoder is asked."""
    family = get_family(recipe.family)
    if recipe.paths(OF_USER):
        return family.latent.channels
    denoiser = Path(recipe.source) / family.denoisers[0].role / layout.CONFIG
    return family.channels(layout.read_config(denoiser))
