"""Recipes to live components."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.diffusion.building import (
    build_module,
    build_tokenizer,
    clip_tokenizer,
    diffusers_module,
    library_class,
    reading,
    transformers_module,
)
from nodegraph.diffusion.checkpoint_parts import (
    checkpoint_part,
    part_prefix,
    recipe_parts,
    vae_part,
)
from nodegraph.diffusion.components import Autoencoder, Component, Denoiser, TextModel
from nodegraph.diffusion.families import family_named, format_named
from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.model_files import CHECKPOINT
from nodegraph.diffusion.models import header_of
from nodegraph.diffusion.opening import recipe_settings, unchanged
from nodegraph.diffusion.preview_decoders import load_preview_decoder, preview_decoder_bytes
from nodegraph.diffusion.previews import PreviewDecoder
from nodegraph.diffusion.scheduler_file import scheduler_config
from nodegraph.diffusion.single_files.kl_vae import vae_prefix
from nodegraph.diffusion.vocabulary import FILES, MERGES, PLACE
from nodegraph.diffusion.weight_files import PRECISIONS, read_tensors
from nodegraph.errors import InvalidFile, InvalidValue

Held = TypeVar("Held", bound=Component)


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
    files += [
        (Path(path), part_prefix(recipe, role))
        for path in recipe.paths(CHECKPOINT)
        for role in roles
    ]
    headers = [(header_of(path), prefix) for path, prefix in files]
    return [
        (shape, header.dtypes.get(name, ""))
        for header, prefix in headers
        for name, shape in header.shapes.items()
        if name.startswith(prefix)
    ]


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
    if isinstance(recipe, Vae) and len(files) == 1:
        return _vae_alone(recipe, files[0])
    if files:
        return build_module(part.classes, files, recipe.dtype)
    (path,) = recipe.paths(CHECKPOINT)
    return _of_checkpoint(recipe, Path(path), part)


def _of_checkpoint(recipe: Recipe, path: Path, part: Part) -> nn.Module:
    """A part of a single file."""
    tensors = read_tensors([path], recipe.dtype, prefix=part_prefix(recipe, part.role))
    with reading(path):
        found = checkpoint_part(recipe, part, header_of(path).shapes)
        kind = library_class(found.class_name)
        if isinstance(recipe, TextEncoder):
            config = kind.config_class(**found.config)
            return transformers_module(kind, config, found.convert(tensors), path)
        return diffusers_module(kind, found.config, found.convert(tensors), path)


def _vae_alone(recipe: Vae, path: Path) -> nn.Module:
    """An autoencoder from a file that holds nothing else."""
    shapes = header_of(path).shapes
    prefix = vae_prefix(shapes) or ""
    tensors = read_tensors([path], recipe.dtype, prefix=prefix)
    with reading(path):
        found = vae_part(shapes, prefix, format_named(recipe.family))
        kind = library_class(found.class_name)
        return diffusers_module(kind, found.config, found.convert(tensors), path)


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
    if files == [MERGES]:
        return clip_tokenizer(MERGES, part.padding)
    if files:
        return build_tokenizer(part.classes, files)
    raise InvalidFile(
        f"{recipe.source} holds no vocabulary, as all single-file models, and none was found.",
        expected=f"its {' and '.join(FILES)} in {PLACE} under a models folder",
        hint="Copy the two files from the `tokenizer` folder of the model that it was made from.",
    )
