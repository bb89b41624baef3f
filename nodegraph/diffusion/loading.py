"""Recipes to live components."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.diffusion import checkpoint
from nodegraph.diffusion.building import (
    build_module,
    build_tokenizer,
    diffusers_module,
    reading,
    transformers_module,
)
from nodegraph.diffusion.components import Autoencoder, Component, Denoiser, TextModel
from nodegraph.diffusion.families import family_named, format_named
from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.models import header_of
from nodegraph.diffusion.opening import CHECKPOINT, recipe_settings, unchanged
from nodegraph.diffusion.preview_decoders import load_preview_decoder, preview_decoder_bytes
from nodegraph.diffusion.previews import PreviewDecoder
from nodegraph.diffusion.scheduler_file import scheduler_config
from nodegraph.diffusion.tokenizer_folder import FILES, PLACE
from nodegraph.diffusion.weight_files import PRECISIONS, read_tensors
from nodegraph.errors import InvalidFile, InvalidValue

Held = TypeVar("Held", bound=Component)

_PREFIXES = {
    "unet": checkpoint.UNET_PREFIX,
    "vae": checkpoint.VAE_PREFIX,
    "text_encoder": checkpoint.TEXT_PREFIX,
}
"""Before the names of a part's tensors in a file that holds several."""


def load_component(recipe: Recipe, device: str) -> Component:
    """The live component that a recipe describes, in eval mode, on a device.

    Raises:
        InvalidFile: A file is missing or damaged, or changed since the recipe was made.
        InvalidValue: No component is made of this kind of recipe.
    """
    makers: dict[type[Recipe], Callable[[Any], Component]] = {
        DiffusionModel: _denoiser,
        TextEncoder: _text_model,
        Vae: _autoencoder,
        PreviewDecoder: lambda given: load_preview_decoder(given, device),
    }
    maker = makers.get(type(recipe))
    if maker is None or recipe.dtype not in PRECISIONS:
        raise InvalidValue(
            f"can't load a {type(recipe).__name__} in {recipe.dtype}",
            expected="a diffusion model, text encoder, VAE or preview decoder in "
            + ", ".join(PRECISIONS),
        )
    if recipe.adapters:
        raise InvalidValue(
            f"the adapters of {recipe.source} aren't put on by loading it",
            hint="Load the recipe's base, and put its adapters on that.",
        )
    # What is made holds no file, so from here on it is what the recipe says, whatever happens.
    with unchanged(recipe):
        component = maker(recipe)
    for module in component.modules.values():
        module.eval().requires_grad_(False)
    return move_component(component, device)


def move_component(component: Held, device: str) -> Held:
    """The same component on another device; it is no longer where it was."""
    for module in component.modules.values():
        module.to(device)
    return component


def estimate_bytes(recipe: Recipe) -> int:
    """Bytes that a recipe's component will take in memory, from the files' headers alone.

    Raises:
        InvalidFile: A file is missing or damaged.
    """
    if isinstance(recipe, PreviewDecoder):
        return preview_decoder_bytes(recipe)
    elements = sum(math.prod(shape) for shape, _ in stored_tensors(recipe))
    return elements * PRECISIONS[recipe.dtype].itemsize


def stored_tensors(recipe: Recipe) -> list[tuple[tuple[int, ...], str]]:
    """Shapes and types of a component's tensors, from the files' headers alone.

    Returns:
        Types as the safetensors format names them; of pickled ones empty.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    roles = [part.role for part in recipe_parts(recipe)]
    files = [(Path(path), "") for role in roles for path in _weights(recipe, role)]
    files += [(Path(path), _PREFIXES[roles[0]]) for path in recipe.paths(CHECKPOINT)]
    headers = [(header_of(path), prefix) for path, prefix in files]
    return [
        (shape, header.dtypes.get(name, ""))
        for header, prefix in headers
        for name, shape in header.shapes.items()
        if name.startswith(prefix)
    ]


def recipe_parts(recipe: Recipe) -> Sequence[Part]:
    """What a recipe's component consists of, and the classes that each may be."""
    if isinstance(recipe, Vae):
        return (Part("vae", format_named(recipe.family).autoencoders),)
    family = family_named(recipe.family)
    return family.denoisers if isinstance(recipe, DiffusionModel) else family.encoders


def _weights(recipe: Recipe, role: str) -> list[str]:
    return [path for path in recipe.paths(role) if not path.endswith(".json")]


def _modules(recipe: Recipe) -> dict[str, nn.Module]:
    return {
        part.role: _module(recipe, part)
        for part in recipe_parts(recipe)
        if recipe.paths(part.role) or not part.optional
    }


def _module(recipe: Recipe, part: Part) -> nn.Module:
    files = [Path(path) for path in recipe.paths(part.role)]
    if files:
        return build_module(part.classes, files, recipe.dtype)
    (path,) = recipe.paths(CHECKPOINT)
    return _of_checkpoint(Path(path), part, recipe.dtype)


def _of_checkpoint(path: Path, part: Part, dtype: str) -> nn.Module:
    """A part of a single file."""
    import diffusers
    import transformers

    shapes = header_of(path).shapes
    tensors = read_tensors([path], dtype, prefix=_PREFIXES[part.role])
    with reading(path):
        if part.role == "unet":
            config = checkpoint.unet_config(shapes)
            converted = checkpoint.convert_unet(tensors, config)
            return diffusers_module(diffusers.UNet2DConditionModel, config, converted, path)
        if part.role == "vae":
            config = checkpoint.vae_config(shapes)
            converted = checkpoint.convert_vae(tensors, config)
            return diffusers_module(diffusers.AutoencoderKL, config, converted, path)
        text = transformers.CLIPTextConfig(**checkpoint.text_config(shapes))
        converted = checkpoint.convert_text(tensors)
        return transformers_module(transformers.CLIPTextModel, text, converted, path)


def _denoiser(recipe: DiffusionModel) -> Denoiser:
    config, settings = scheduler_config(recipe), recipe_settings(recipe)
    return Denoiser(_modules(recipe), recipe.family, config, settings)


def _autoencoder(recipe: Vae) -> Autoencoder:
    return Autoencoder(_modules(recipe), recipe.family)


def _text_model(recipe: TextEncoder) -> TextModel:
    tokenizers = {
        part.role: _tokenizer(recipe, part)
        for part in family_named(recipe.family).tokenizers
        if recipe.paths(part.role) or not part.optional
    }
    modules = _modules(recipe)
    if recipe.paths(CHECKPOINT):
        for tokenizer, module in zip(tokenizers.values(), modules.values(), strict=True):
            config: Any = module.config
            tokenizer.model_max_length = config.max_position_embeddings
    return TextModel(modules, recipe.family, tokenizers, recipe_settings(recipe))


def _tokenizer(recipe: TextEncoder, part: Part) -> Any:
    files = [Path(path) for path in recipe.paths(part.role)]
    if files:
        return build_tokenizer(part.classes, files)
    raise InvalidFile(
        f"{recipe.source} holds no vocabulary, as all single-file models, and none was found.",
        expected=f"{' and '.join(FILES)} of CLIP ViT-L/14 in {PLACE} under a models folder",
        hint="Copy the two files from the `tokenizer` folder of any Stable Diffusion 1.x "
        "model in the diffusers layout.",
    )
