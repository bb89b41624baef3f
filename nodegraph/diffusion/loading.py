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
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.diffusion import checkpoint
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.components import Autoencoder, Component, Denoiser, TextModel
from nodegraph.diffusion.preview_decoders import load_preview_decoder, preview_decoder_bytes
from nodegraph.diffusion.previews import PreviewDecoder
from nodegraph.diffusion.safetensors_header import Shapes, read_header
from nodegraph.diffusion.scheduler_file import scheduler_config
from nodegraph.diffusion.tokenizer_folder import FILES, PLACE, tokenizer_with_digest
from nodegraph.errors import InvalidFile, InvalidValue

Module = TypeVar("Module", bound=nn.Module)

PORTION = 2**24
"""Elements of a single file that are mapped into memory at once: 64 MiB in float32."""

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
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
        InvalidFile: A file is missing, damaged, or changed since the recipe was made so that
            it no longer fits.
        InvalidValue: No component is made of this kind of recipe.
    """
    makers: dict[type[Recipe], Callable[[], Component]] = {
        DiffusionModel: lambda: _denoiser(recipe, device),  # type: ignore[arg-type]
        TextEncoder: lambda: _text_model(recipe, device, folders),
        Vae: lambda: Autoencoder(_vae(recipe, device), recipe.family),
        PreviewDecoder: lambda: load_preview_decoder(recipe, device),
    }
    maker = makers.get(type(recipe))
    if maker is None or recipe.dtype not in _DTYPES:
        raise InvalidValue(
            f"can't load a {type(recipe).__name__} in {recipe.dtype}",
            expected="a diffusion model, text encoder, VAE or preview decoder in "
            + ", ".join(_DTYPES),
        )
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
    shapes = _component_shapes(recipe)
    elements = sum(math.prod(shape) for shape in shapes.values())
    return elements * _DTYPES[recipe.dtype].itemsize


def _component_shapes(recipe: Recipe) -> Shapes:
    path = Path(recipe.source)
    if path.is_dir():
        weights = layout.find_weights(path, _component_of(recipe), allow_pickle=True)
        if weights.is_pickle:
            return checkpoint.pickle_shapes(weights.files[0])
        headers = [read_header(file) for file in weights.files]
        return {name: shape for header in headers for name, shape in header.shapes.items()}
    prefix = {
        layout.UNET: checkpoint.UNET_PREFIX,
        layout.VAE: checkpoint.VAE_PREFIX,
        layout.TEXT_ENCODER: checkpoint.TEXT_PREFIX,
    }[_component_of(recipe)]
    shapes = _checkpoint_shapes(path)
    return {name: shape for name, shape in shapes.items() if name.startswith(prefix)}


def _component_of(recipe: Recipe) -> str:
    kinds = {DiffusionModel: layout.UNET, TextEncoder: layout.TEXT_ENCODER, Vae: layout.VAE}
    return kinds[type(recipe)]


def _denoiser(recipe: DiffusionModel, device: str) -> Denoiser:
    path = Path(recipe.source)
    config = scheduler_config(recipe)
    if path.is_dir():
        unet = _from_folder(UNet2DConditionModel, path, layout.UNET, recipe.dtype)
    else:
        unet = _build(
            UNet2DConditionModel,
            path,
            checkpoint.UNET_PREFIX,
            checkpoint.unet_config,
            checkpoint.convert_unet,
            recipe.dtype,
        )
    return Denoiser(_ready(unet, device), config, recipe.family)


def _vae(recipe: Recipe, device: str) -> AutoencoderKL:
    path = Path(recipe.source)
    if path.is_dir():
        vae = _from_folder(AutoencoderKL, path, layout.VAE, recipe.dtype)
    else:
        vae = _build(
            AutoencoderKL,
            path,
            checkpoint.VAE_PREFIX,
            checkpoint.vae_config,
            checkpoint.convert_vae,
            recipe.dtype,
        )
    return _ready(vae, device)


def _text_model(recipe: Recipe, device: str, folders: Sequence[Path]) -> TextModel:
    path = Path(recipe.source)
    if path.is_dir():
        tokenizer = _read_tokenizer(path / layout.TOKENIZER)
        model = _from_folder(CLIPTextModel, path, layout.TEXT_ENCODER, recipe.dtype)
    else:
        tokenizer = _clip_tokenizer(recipe, folders)
        model = _checkpoint_text_model(path, recipe.dtype)
        tokenizer.model_max_length = model.config.max_position_embeddings
    return TextModel(_ready(model, device), tokenizer, recipe.family)


def _from_folder(kind: type[Module], folder: Path, component: str, dtype: str) -> Module:
    """One component of a diffusers folder, by the stock loader.

    Raises:
        InvalidFile: Weights are missing or damaged; the stock loaders would make up the rest.
    """
    # Whether pickle files may be opened was decided when the recipe was made.
    weights = layout.find_weights(folder, component, allow_pickle=True)
    if not weights.is_pickle:
        for file in weights.files:
            read_header(file)
    with _reading(folder / component):
        model, report = kind.from_pretrained(  # type: ignore[attr-defined]
            folder / component,
            torch_dtype=_DTYPES[dtype],
            local_files_only=True,
            use_safetensors=not weights.is_pickle,
            variant=weights.variant,
            output_loading_info=True,
        )
    _check_report(folder / component, report)
    return model  # type: ignore[no-any-return]


def _build(
    kind: type[Module],
    path: Path,
    prefix: str,
    configure: Callable[[Shapes], dict[str, Any]],
    convert: Callable[[Mapping[str, Tensor], Mapping[str, Any]], dict[str, Tensor]],
    dtype: str,
) -> Module:
    """One component of diffusers from a single file: config by shapes, weights by conversion."""
    tensors = _tensors(path, prefix, dtype)
    with _reading(path):
        config = configure(_checkpoint_shapes(path))
        # On the meta device nothing is allocated or drawn at random; the weights move in as is.
        with torch.device("meta"):
            model = kind.from_config(config)  # type: ignore[attr-defined]
        model.load_state_dict(convert(tensors, config), strict=True, assign=True)
    return model  # type: ignore[no-any-return]


def _checkpoint_text_model(path: Path, dtype: str) -> CLIPTextModel:
    tensors = checkpoint.convert_text(_tensors(path, checkpoint.TEXT_PREFIX, dtype))
    with _reading(path):
        config = CLIPTextConfig(**checkpoint.text_config(_checkpoint_shapes(path)))
        model, report = CLIPTextModel.from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            torch_dtype=_DTYPES[dtype],
            output_loading_info=True,
        )
    _check_report(path, report)
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


def _tensors(path: Path, prefix: str, dtype: str) -> dict[str, Tensor]:
    """The tensors of a single file whose names start with `prefix`, in the wanted precision."""
    # Copies: tensors in a mapped file lie unaligned, which changes the last bits of what some
    # kernels compute, and the file may be overwritten while they are in use.
    if path.suffix != ".safetensors":
        unpickled = checkpoint.pickle_tensors(path, prefix)
        # One by one, so that they are never all there twice.
        return {name: _copied(unpickled.pop(name), dtype) for name in list(unpickled)}
    shapes = read_header(path).shapes
    found: dict[str, Tensor] = {}
    for names in _portions([name for name in shapes if name.startswith(prefix)], shapes):
        # Mapped anew for each portion: what was read of a file stays in memory as long as it is.
        with _reading(path), safe_open(path, framework="pt") as file:
            found |= {name: _copied(file.get_tensor(name), dtype) for name in names}
    return found


def _portions(names: Sequence[str], shapes: Shapes) -> Iterator[list[str]]:
    """The names in groups whose tensors have `PORTION` elements, or little more."""
    portion: list[str] = []
    elements = 0
    for name in names:
        portion.append(name)
        elements += math.prod(shapes[name])
        if elements >= PORTION:
            yield portion
            portion, elements = [], 0
    if portion:
        yield portion


def _copied(tensor: Tensor, dtype: str) -> Tensor:
    return tensor.to(_DTYPES[dtype] if tensor.is_floating_point() else tensor.dtype, copy=True)


def _checkpoint_shapes(path: Path) -> Shapes:
    if path.suffix == ".safetensors":
        return read_header(path).shapes
    return checkpoint.pickle_shapes(path)


def _ready(module: Module, device: str) -> Module:
    return module.eval().requires_grad_(False).to(device)


def _check_report(place: Path, report: Mapping[str, Any]) -> None:
    """Refuse a model of which some weights were not in the files and were made up instead."""
    for what, key in (("lack", "missing_keys"), ("don't fit in", "mismatched_keys")):
        names = sorted(map(str, report[key]))
        if names:
            raise InvalidFile(
                f"the weights in {place} {what} {len(names)} tensors, such as {names[0]}.",
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
