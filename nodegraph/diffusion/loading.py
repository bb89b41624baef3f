"""Recipes to live components: weights from files into modules of diffusers and transformers."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, TypeVar

import diffusers.utils.logging as diffusers_logging
import torch
import transformers.utils.logging as transformers_logging
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.diffusion import checkpoint
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.components import Autoencoder, Component, Denoiser, TextModel
from nodegraph.diffusion.models import unchanged
from nodegraph.diffusion.preview_decoders import load_preview_decoder, preview_decoder_bytes
from nodegraph.diffusion.previews import PreviewDecoder
from nodegraph.diffusion.safetensors_header import Header, Shapes, read_header
from nodegraph.diffusion.scheduler_file import scheduler_config
from nodegraph.diffusion.tokenizer_folder import FILES, PLACE, tokenizer_with_digest
from nodegraph.diffusion.weight_files import PRECISIONS, read_tensors
from nodegraph.errors import InvalidFile, InvalidValue

Module = TypeVar("Module", bound=nn.Module)

_DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)
"""What the libraries raise on files that don't fit together, by experience."""

_LOADING = Lock()
"""transformers builds modules under process-wide defaults (dtype, initialisation) and its
verbosity is process-wide too, so one component is built at a time."""


def load_component(recipe: Recipe, device: str, *, folders: Sequence[Path] = ()) -> Component:
    """The live component that a recipe describes, in eval mode, on a device.

    Args:
        folders: The models folders, where the vocabulary of single-file checkpoints is looked
            for.
    Raises:
        InvalidFile: A file is missing or damaged, or changed since the recipe was made.
        InvalidValue: No component is made of this kind of recipe.
    """
    makers: dict[type[Recipe], Callable[[], Component]] = {
        DiffusionModel: lambda: _denoiser(recipe, device),  # type: ignore[arg-type]
        TextEncoder: lambda: _text_model(recipe, device, folders),
        Vae: lambda: Autoencoder(_vae(recipe, device), recipe.family),
        PreviewDecoder: lambda: load_preview_decoder(recipe, device),
    }
    maker = makers.get(type(recipe))
    if maker is None or recipe.dtype not in PRECISIONS:
        raise InvalidValue(
            f"can't load a {type(recipe).__name__} in {recipe.dtype}",
            expected="a diffusion model, text encoder, VAE or preview decoder in "
            + ", ".join(PRECISIONS),
        )
    # What is made holds no file, so from here on it is what the recipe says, whatever happens.
    with unchanged(recipe):
        return maker()


def move_component(component: Any, device: str) -> Any:
    """The same component on another device; it is no longer where it was.

    Args:
        component: A dataclass some of whose fields are modules.
    """
    for item in fields(component):
        value = getattr(component, item.name)
        if isinstance(value, nn.Module):
            value.to(device)
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
    path, prefix = Path(recipe.source), ""
    files: Sequence[Path] = [path]
    if path.is_dir():
        files = layout.find_weights(path, _component_of(recipe), allow_pickle=True).files
    else:
        prefix = {
            layout.UNET: checkpoint.UNET_PREFIX,
            layout.VAE: checkpoint.VAE_PREFIX,
            layout.TEXT_ENCODER: checkpoint.TEXT_PREFIX,
        }[_component_of(recipe)]
    headers = map(_header, files)
    return [
        (shape, header.dtypes.get(name, ""))
        for header in headers
        for name, shape in header.shapes.items()
        if name.startswith(prefix)
    ]


def _component_of(recipe: Recipe) -> str:
    kinds = {DiffusionModel: layout.UNET, TextEncoder: layout.TEXT_ENCODER, Vae: layout.VAE}
    return kinds[type(recipe)]


def _denoiser(recipe: DiffusionModel, device: str) -> Denoiser:
    config = scheduler_config(recipe)
    path = Path(recipe.source)
    if path.is_dir():
        unet = _from_folder(UNet2DConditionModel, recipe)
    else:
        shapes, tensors = _checkpoint_part(recipe, checkpoint.UNET_PREFIX)
        with _reading(path):
            unet_config = checkpoint.unet_config(shapes)
            converted = checkpoint.convert_unet(tensors, unet_config)
            unet = _built(UNet2DConditionModel, unet_config, converted, path)
    return Denoiser(_ready(unet, device), config, recipe.family)


def _vae(recipe: Recipe, device: str) -> AutoencoderKL:
    path = Path(recipe.source)
    if path.is_dir():
        return _ready(_from_folder(AutoencoderKL, recipe), device)
    shapes, tensors = _checkpoint_part(recipe, checkpoint.VAE_PREFIX)
    with _reading(path):
        config = checkpoint.vae_config(shapes)
        converted = checkpoint.convert_vae(tensors, config)
        return _ready(_built(AutoencoderKL, config, converted, path), device)


def _text_model(recipe: Recipe, device: str, folders: Sequence[Path]) -> TextModel:
    path = Path(recipe.source)
    if path.is_dir():
        tokenizer = _read_tokenizer(path / layout.TOKENIZER)
        place = path / layout.TEXT_ENCODER
        tensors = _folder_tensors(recipe)
        with _reading(place):
            config = CLIPTextConfig.from_pretrained(place, local_files_only=True)
            model = _built_text_model(config, tensors, recipe.dtype, place)
    else:
        tokenizer = _clip_tokenizer(recipe, folders)
        shapes, tensors = _checkpoint_part(recipe, checkpoint.TEXT_PREFIX)
        with _reading(path):
            config = CLIPTextConfig(**checkpoint.text_config(shapes))
            converted = checkpoint.convert_text(tensors)
            model = _built_text_model(config, converted, recipe.dtype, path)
        tokenizer.model_max_length = model.config.max_position_embeddings
    return TextModel(_ready(model, device), tokenizer, recipe.family)


def _from_folder(kind: type[Module], recipe: Recipe) -> Module:
    """One component of a diffusers folder, as the stock loader makes it."""
    place = Path(recipe.source) / _component_of(recipe)
    tensors = _folder_tensors(recipe)
    with _reading(place):
        config = kind.load_config(place, local_files_only=True)  # type: ignore[attr-defined]
        return _built(kind, config, tensors, place)


def _folder_tensors(recipe: Recipe) -> dict[str, Tensor]:
    # Whether pickle files may be opened was decided when the recipe was made.
    weights = layout.find_weights(Path(recipe.source), _component_of(recipe), allow_pickle=True)
    return read_tensors(weights.files, recipe.dtype)


def _checkpoint_part(recipe: Recipe, prefix: str) -> tuple[Shapes, dict[str, Tensor]]:
    """The shapes of all tensors of a single file, and those tensors that are of one part."""
    path = Path(recipe.source)
    return _header(path).shapes, read_tensors([path], recipe.dtype, prefix=prefix)


def _built(
    kind: type[Module], config: Mapping[str, Any], tensors: dict[str, Tensor], place: Path
) -> Module:
    """A module of diffusers with these weights.

    Raises:
        InvalidFile: Some are missing.
    """
    # On the meta device nothing is allocated or drawn at random; the weights move in as is.
    with torch.device("meta"):
        model = kind.from_config(config)  # type: ignore[attr-defined]
    # Files of old name attention layers in another way.
    model._fix_state_dict_keys_on_load(tensors)
    _check_missing(place, model.load_state_dict(tensors, strict=False, assign=True).missing_keys)
    return model  # type: ignore[no-any-return]


def _built_text_model(
    config: CLIPTextConfig, tensors: dict[str, Tensor], dtype: str, place: Path
) -> CLIPTextModel:
    model, report = CLIPTextModel.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        torch_dtype=PRECISIONS[dtype],
        output_loading_info=True,
    )
    _check_missing(place, [*report["missing_keys"], *report["mismatched_keys"]])
    return model


def _clip_tokenizer(recipe: Recipe, folders: Sequence[Path]) -> CLIPTokenizer:
    """CLIP's tokenizer from the vocabulary that the recipe names by its digest."""
    beside = Path(recipe.source).parent
    digest = recipe.option("tokenizer")
    folder = tokenizer_with_digest([*folders, beside, beside.parent], digest) if digest else None
    if folder is None:
        where = " or ".join(str(place / PLACE) for place in (*folders, beside))
        raise InvalidFile(
            f"{recipe.source} holds no vocabulary, as all single-file models, and none was found.",
            expected=f"{' and '.join(FILES)} of CLIP ViT-L/14 in {where}",
            hint="Copy the two files from the `tokenizer` folder of any Stable Diffusion 1.x "
            "model in the diffusers layout.",
        )
    # From copies of just the two files that the digest covers, whatever lies beside them.
    with TemporaryDirectory() as alone:
        for name in FILES:
            shutil.copyfile(folder / name, Path(alone) / name)
        return _read_tokenizer(Path(alone))


def _read_tokenizer(folder: Path) -> CLIPTokenizer:
    with _reading(folder):
        try:
            return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:
            # The library under it raises bare exceptions.
            raise ValueError(f"its tokenizer files are damaged: {_first_line(error)}") from error


def _header(path: Path) -> Header:
    if path.suffix == ".safetensors":
        return read_header(path)
    return Header(checkpoint.pickle_shapes(path), {}, {})


def _ready(module: Module, device: str) -> Module:
    return module.eval().requires_grad_(False).to(device)


def _check_missing(place: Path, missing: Sequence[object]) -> None:
    """Refuse a model of which some weights were not in the files and would be made up instead."""
    if missing:
        names = sorted(map(str, missing))
        raise InvalidFile(
            f"the weights in {place} lack {len(names)} tensors that fit, such as {names[0]}.",
            hint="The files are damaged or don't belong together: copy the model again.",
        )


@contextmanager
def _reading(place: Path) -> Iterator[None]:
    """Build from files one at a time, silence the libraries, and name the place in errors."""
    with _LOADING, _quiet():
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except _DAMAGED as error:
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise InvalidFile(
                f"can't load {place}: {_first_line(error)}",
                hint="The files are damaged or don't belong together: copy the model again.",
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and advice of the libraries inside the `with`; as before afterwards."""
    loggers = (diffusers_logging, transformers_logging)
    levels = [logger.get_verbosity() for logger in loggers]
    bars = transformers_logging.is_progress_bar_enabled()
    for logger in loggers:
        logger.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
