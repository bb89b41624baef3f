"""Models to recipes: which files make up each part, and what is known of them.

Nothing here imports torch or reads weights: checking models is quick.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from nodegraph.core.digests import digest_value
from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests
from nodegraph.core.values import DiffusionModel, Recipe, RecipeFile, TextEncoder, Vae
from nodegraph.diffusion import checkpoint
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.families import Family, family_named
from nodegraph.diffusion.families.base import Config, Part
from nodegraph.diffusion.file_stamps import file_stamp
from nodegraph.diffusion.latent_formats import LatentFormat
from nodegraph.diffusion.models import SAFETENSORS, ModelSource, header_of, locate_model
from nodegraph.diffusion.numerics import cpu_has_float16
from nodegraph.diffusion.safetensors_header import read_header
from nodegraph.diffusion.scheduler_file import (
    checkpoint_scheduler,
    folder_scheduler,
    overridden,
    scheduler_option,
)
from nodegraph.diffusion.text_checkpoint import text_config
from nodegraph.diffusion.vae_checkpoint import vae_config
from nodegraph.diffusion.vocabulary import find_vocabulary
from nodegraph.errors import InvalidFile, InvalidValue

DTYPES = ("auto", "float32", "float16", "bfloat16")
"""Precisions that `open_model` takes."""

CHECKPOINT = "checkpoint"
"""Role of a file that holds several parts."""

SETTINGS = "settings"
"""Option of a recipe: what the family heeds of ``model_index.json``, as JSON."""

_ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class ModelRecipes(NamedTuple):
    """The three parts of a model."""

    model: DiffusionModel
    text_encoder: TextEncoder
    vae: Vae


class ModelFacts(TypedDict):
    """What is known of a model without loading it.

    `format` names its latents, which have `latent_channels` in cells of `downscale` pixels; sides
    of pictures are multiples of `multiple` pixels. `width` and `height` are the size in pixels
    that it was trained on, `noise` is the kind of noise it was trained on (``discrete`` or
    ``flow``), `temporal` the frames that share a latent frame (0 of models of pictures),
    `context_width` the width of the embeddings it takes, 0 if it doesn't say.
    """

    family: str
    format: str
    latent_channels: int
    downscale: int
    multiple: int
    temporal: int
    width: int
    height: int
    noise: str
    prediction_type: str
    context_width: int


@dataclass(frozen=True, slots=True)
class _PartFiles:
    """The files of a part.

    Attributes:
        weights: Those of `files` that hold tensors.
    """

    role: str
    files: Sequence[Path]
    weights: Sequence[Path] = ()


def open_model(
    name: str,
    folders: Sequence[Path],
    *,
    dtype: str = "auto",
    digests: FileDigests | None = None,
    allow_pickle: bool = False,
    device: str = "cpu",
    prediction_type: str = "auto",
    zero_terminal_snr: str = "auto",
) -> ModelRecipes:
    """The recipes of a model's parts; nothing is loaded yet.

    Each recipe names the files of its part only, so that two models which share a VAE share it in
    memory and in the cache.

    Args:
        dtype: Precision in memory. ``auto`` is float32 on a CPU and the stored one elsewhere.
        digests: Where the files' digests are remembered; once for the process if not given.
        device: What ``auto`` is decided for.
        prediction_type, zero_terminal_snr: What the files don't say, or say wrongly; see
            `scheduler_file.overridden`.
    Raises:
        InvalidValue: No such dtype, or prediction type.
        NodegraphError: See `locate_model`.
    """
    if dtype not in DTYPES:
        raise InvalidValue(f"no precision is called {dtype!r}", expected=", ".join(DTYPES))
    source = locate_model(name, folders, allow_pickle=allow_pickle)
    remembered = digests or FILE_DIGESTS
    family = family_named(source.family)
    schedule = overridden(_schedule(source), prediction_type, zero_terminal_snr)
    settings = _settings(source, family)

    def files(parts: Sequence[_PartFiles]) -> tuple[RecipeFile, ...]:
        return tuple(
            RecipeFile(part.role, str(path), remembered.digest(path))
            for part in parts
            for path in sorted(part.files)
        )

    denoiser, encoder, vae = _ports(source, family, folders, allow_pickle=allow_pickle)
    options = tuple(sorted([scheduler_option(schedule), *settings]))
    return ModelRecipes(
        DiffusionModel(
            source.family, files(denoiser), _precision(dtype, denoiser, device), options
        ),
        TextEncoder(source.family, files(encoder), _precision(dtype, encoder, device), settings),
        Vae(family.latent.name, files(vae), _vae_precision(source, family, dtype, vae, device)),
    )


@contextmanager
def unchanged(recipe: Recipe) -> Iterator[None]:
    """Make sure that a recipe's files are, from begin to end of the `with`, those it was made of.

    Raises:
        InvalidFile: They aren't, or can't be read.
    """
    if not isinstance(recipe, (DiffusionModel, TextEncoder, Vae)):
        # What has no part in any result, such as a decoder for previews.
        yield
        return
    _check_digests(recipe)
    try:
        yield
    finally:
        # What a half-written file makes fail is told as what it is.
        _check_digests(recipe)


def _check_digests(recipe: Recipe) -> None:
    for file in recipe.files:
        if FILE_DIGESTS.digest(Path(file.path)) != file.digest:
            raise InvalidFile(
                f"{file.path} was changed while a run used it.",
                expected="files that stay as they are while a run uses them",
                hint="Run it again: it will use the new files.",
            )


def computed_dtype(dtype: str, device: str) -> str:
    """The precision to take where one is asked for: float32 for float16 on a CPU that lacks it."""
    return "float32" if dtype == "float16" and _lacks_float16(device) else dtype


def _lacks_float16(device: str) -> bool:
    return device == "cpu" and not cpu_has_float16()


def model_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_model` would give something else for the same name.

    It is made from the files' sizes and times, without reading them.

    Raises:
        NodegraphError: See `locate_model`.
    """
    source = locate_model(name, folders, allow_pickle=allow_pickle)
    ports = _ports(source, family_named(source.family), folders, allow_pickle=allow_pickle)
    files = {path for port in ports for part in port for path in part.files}
    if source.is_folder:
        index = layout.read_config(source.path / layout.INDEX)
        files |= {source.path / layout.INDEX, *_scheduler_files(source), *_further(source, index)}
    return digest_value([*map(file_stamp, sorted(files)), device, _lacks_float16(device)])


def model_facts(
    source: ModelSource, *, prediction_type: str = "auto", zero_terminal_snr: str = "auto"
) -> ModelFacts:
    """What is known of a model from its configuration alone.

    Args:
        prediction_type, zero_terminal_snr: As for `open_model`.
    Raises:
        InvalidFile: The configuration is damaged, or asks for what isn't supported.
        InvalidValue: No such prediction type.
    """
    try:
        schedule = overridden(_schedule(source), prediction_type, zero_terminal_snr)
        denoiser, vae = _configs(source)
        return _facts(family_named(source.family), denoiser, vae, schedule)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InvalidFile(f"the configuration of {source.path} is damaged: {error!r}") from error


def weight_bytes(
    source: ModelSource, *, dtype: str = "auto", allow_pickle: bool = False, device: str = "cpu"
) -> dict[str, int]:
    """Bytes that a model's parts take in memory, from the files' headers alone.

    By the names of `ModelRecipes`. A part in a pickle file is left out, as reading that takes long.

    Args:
        dtype, device: As for `open_model`.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    found = {}
    ports = _ports(source, family_named(source.family), (), allow_pickle=allow_pickle)
    for name, port, prefixes in zip(ModelRecipes._fields, ports, _prefixes(source), strict=True):
        weights = [path for part in port for path in part.weights]
        if weights and all(path.suffix == SAFETENSORS for path in weights):
            item = _ITEM_BYTES[_precision(dtype, port, device)]
            found[name] = item * sum(
                prod(shape)
                for path in weights
                for tensor, shape in read_header(path).shapes.items()
                if tensor.startswith(prefixes)
            )
    return found


def _prefixes(source: ModelSource) -> tuple[tuple[str, ...], ...]:
    """What names of tensors begin with, by port; all do in a folder's files."""
    family = family_named(source.family)
    if source.is_folder or family.single_file is None:
        return ("",), ("",), ("",)
    known = family.single_file.prefixes
    roles = [family.denoisers, family.encoders, [Part(family.vae, ())]]
    return tuple(tuple(known[part.role] for part in parts) for parts in roles)


def _ports(
    source: ModelSource, family: Family, folders: Sequence[Path], *, allow_pickle: bool
) -> tuple[list[_PartFiles], list[_PartFiles], list[_PartFiles]]:
    """The files of a model's denoiser, text encoder and VAE."""
    if not source.is_folder:
        whole = _PartFiles(CHECKPOINT, [source.path], [source.path])
        return [whole], [whole, *_vocabularies(source, family, folders)], [whole]

    def found(parts: Sequence[Part]) -> list[_PartFiles]:
        return [
            _weighty(source.path, part.role, allow_pickle=allow_pickle)
            for part in parts
            if not part.optional or (source.path / part.role / layout.CONFIG).is_file()
        ]

    tokenizers = [
        _PartFiles(part.role, layout.tokenizer_files(source.path / part.role))
        for part in family.tokenizers
    ]
    vae = found([Part(family.vae, ())])
    return found(family.denoisers), [*found(family.encoders), *tokenizers], vae


def _weighty(folder: Path, role: str, *, allow_pickle: bool) -> _PartFiles:
    weights = layout.find_weights(folder, role, allow_pickle=allow_pickle)
    index = [weights.index] if weights.index else []
    return _PartFiles(role, [folder / role / layout.CONFIG, *weights.files, *index], weights.files)


def _vocabularies(source: ModelSource, family: Family, folders: Sequence[Path]) -> list[_PartFiles]:
    """CLIP's words for a single file, which carries none; nothing where none are found."""
    assert family.single_file is not None
    found = []
    for encoder, tokenizer in zip(family.encoders, family.tokenizers, strict=True):
        prefix = family.single_file.prefixes[encoder.role]
        try:
            size = text_config(header_of(source.path).shapes, prefix)["vocab_size"]
        except (KeyError, ValueError, IndexError) as error:
            raise InvalidFile(f"the text encoder in {source.path} is damaged: {error!r}") from error
        files = find_vocabulary([*folders, source.path.parent], size)
        found.append(_PartFiles(tokenizer.role, files))
    return found


def _scheduler_files(source: ModelSource) -> list[Path]:
    return [source.path / layout.SCHEDULER / layout.SCHEDULER_FILE]


def _settings(source: ModelSource, family: Family) -> tuple[tuple[str, str], ...]:
    if not family.settings and not family.further:
        return ()
    index = layout.read_config(source.path / layout.INDEX) if source.is_folder else {}
    heeded = {name: index.get(name, default) for name, default in family.settings.items()}
    heeded |= {path.parent.name: layout.read_config(path) for path in _further(source, index)}
    return ((SETTINGS, json.dumps(heeded, sort_keys=True)),)


def _further(source: ModelSource, index: Config) -> list[Path]:
    """The further configurations of a model's folder; `index` is its ``model_index.json``."""
    paths = [source.path / name for name in family_named(source.family).further]
    return [path for path in paths if any(index.get(path.parent.name) or ()) and path.is_file()]


def recipe_settings(recipe: Recipe) -> dict[str, Any]:
    """What a recipe's family heeds of ``model_index.json``."""
    found: dict[str, Any] = json.loads(recipe.option(SETTINGS, "{}"))
    return found


def stored_precision(dtype: str, weights: Sequence[Path], device: str) -> str:
    """The precision that ``auto`` means: of several files the first tells."""
    if dtype != "auto":
        return dtype
    if device == "cpu" or weights[0].suffix != SAFETENSORS:
        return "float32"
    names = list(read_header(weights[0]).dtypes.values())
    most = max(set(names), key=names.count) if names else "F32"
    return _STORED.get(most, "float32")


def vae_precision(precision: str, latents: LatentFormat, *, may_upcast: bool) -> str:
    """That of an autoencoder: float32 for float16 where it overflows."""
    return "float32" if precision == "float16" and latents.overflows and may_upcast else precision


def _precision(dtype: str, parts: Sequence[_PartFiles], device: str) -> str:
    return stored_precision(dtype, [path for part in parts for path in part.weights], device)


def _vae_precision(
    source: ModelSource, family: Family, dtype: str, parts: Sequence[_PartFiles], device: str
) -> str:
    found = _precision(dtype, parts, device)
    if found != "float16" or not family.latent.overflows:
        return found
    may_upcast = bool(_configs(source)[1].get("force_upcast", True))
    return vae_precision(found, family.latent, may_upcast=may_upcast)


def _schedule(source: ModelSource) -> dict[str, Any]:
    if source.is_folder:
        return folder_scheduler(source.path, family_named(source.family))
    return checkpoint_scheduler(header_of(source.path), family_named(source.family))


def _configs(source: ModelSource) -> tuple[Config, Config]:
    """Of the denoiser and the VAE."""
    if source.is_folder:
        family = family_named(source.family)
        roles = (family.denoisers[0].role, family.vae)
        denoiser, vae = (layout.read_config(source.path / role / layout.CONFIG) for role in roles)
        return denoiser, vae
    shapes, family = header_of(source.path).shapes, family_named(source.family)
    prefix = checkpoint.layout_of(family).prefixes[family.vae]
    return checkpoint.unet_config(shapes, family), vae_config(shapes, prefix, family.latent)


def _facts(family: Family, denoiser: Config, vae: Config, schedule: Config) -> ModelFacts:
    width, height = family.trained_size(denoiser)
    is_flow = family.noise == "flow"
    return ModelFacts(
        family=family.name,
        format=family.latent.name,
        latent_channels=family.latent.latent_channels(vae),
        downscale=family.latent.spatial,
        multiple=family.multiple,
        temporal=family.latent.temporal,
        width=width,
        height=height,
        noise=family.noise,
        prediction_type="flow" if is_flow else str(schedule.get("prediction_type", "epsilon")),
        context_width=family.context_width(denoiser) or 0,
    )
