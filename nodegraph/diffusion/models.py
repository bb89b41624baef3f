"""Finding models on disk and describing them: names to files, files to recipes.

Nothing here imports torch or reads weights: listing and checking models is quick.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from nodegraph.core.digests import Digest, digest_value
from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.diffusion import checkpoint
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.families import (
    Identified,
    identify_checkpoint,
    identify_pipeline,
    supported,
)
from nodegraph.diffusion.file_stamps import file_stamp
from nodegraph.diffusion.numerics import cpu_has_float16
from nodegraph.diffusion.safetensors_header import Header, read_header
from nodegraph.diffusion.scheduler_file import (
    checkpoint_scheduler,
    folder_scheduler,
    overridden,
    scheduler_option,
)
from nodegraph.diffusion.tokenizer_folder import FILES as TOKENIZER
from nodegraph.diffusion.tokenizer_folder import find_tokenizer, tokenizer_digest
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, NodegraphError

ModelKind = Literal["diffusers", "checkpoint", "embedded"]
DTYPES = ("auto", "float32", "float16", "bfloat16")
"""Precisions that `open_model` takes."""

EMBEDDED = "tiny"
"""Name of the model that comes with the package."""

SAFETENSORS = ".safetensors"
PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin"})
_PARTS = (layout.UNET, layout.VAE, layout.TEXT_ENCODER)
_PORTS = (
    ("model", layout.UNET, checkpoint.UNET_PREFIX),
    ("text_encoder", layout.TEXT_ENCODER, checkpoint.TEXT_PREFIX),
    ("vae", layout.VAE, checkpoint.VAE_PREFIX),
)
_PART_OF: Mapping[type[Recipe], str] = {
    DiffusionModel: layout.UNET,
    TextEncoder: layout.TEXT_ENCODER,
    Vae: layout.VAE,
}
_ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A file or folder under the models folders that may be a model.

    Attributes:
        name: Path relative to its models folder, with forward slashes; what LoadModel takes.
        family: Such as ``sd1``; None if it can't be used.
        bytes: Size on disk.
        problem: Why it can't be used; None if it can.
    """

    name: str
    path: Path
    kind: ModelKind
    family: str | None
    bytes: int
    problem: str | None = None


Describe = Callable[[str, Path, ModelKind], FoundModel]
"""Says what a file or folder is, by the name that it goes by."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that was found and whose architecture is supported.

    Attributes:
        name: As it was asked for.
        path: The folder or file.
        family: Such as ``sd1``.
    """

    name: str
    path: Path
    kind: ModelKind
    family: str

    @property
    def is_folder(self) -> bool:
        """Whether it has the diffusers layout; else it is a single file."""
        return self.kind != "checkpoint"


class ModelRecipes(NamedTuple):
    """The three parts of a model."""

    model: DiffusionModel
    text_encoder: TextEncoder
    vae: Vae


class ModelFacts(TypedDict):
    """What is known of a model without loading it.

    `latent_channels` and `downscale` describe its latents, `width` and `height` are the size in
    pixels that it was trained on, `context_width` is the width of the embeddings it takes.
    """

    family: str
    latent_channels: int
    downscale: int
    width: int
    height: int
    prediction_type: str
    context_width: int


def embedded_folder() -> Path:
    """Where the model that comes with the package lies."""
    return Path(__file__).parent / "embedded" / EMBEDDED


def _has_embedded() -> bool:
    return (embedded_folder() / layout.INDEX).is_file()


def list_models(folders: Sequence[Path], describe: Describe | None = None) -> list[FoundModel]:
    """Every model under the folders, and the embedded one, by name.

    Of several with one name only the first is listed, as that is the one the name means.

    Args:
        describe: In place of `describe_model`, which reads headers.
    """
    found: dict[str, FoundModel] = {}
    describe = describe or describe_model
    if _has_embedded():
        found[EMBEDDED] = describe(EMBEDDED, embedded_folder(), "embedded")
    for folder in folders:
        for path in _candidates(folder):
            name = path.relative_to(folder).as_posix()
            if name not in found:
                found[name] = describe(name, path, _kind(path))
    return [found[name] for name in sorted(found)]


def locate_model(name: str, folders: Sequence[Path], *, allow_pickle: bool = False) -> ModelSource:
    """The model that a name means.

    Args:
        name: ``tiny`` for the embedded model, a name under the folders (first hit wins;
            ``.safetensors`` may be left out), or a path.
        allow_pickle: Whether files that have to be unpickled may be opened.
    Raises:
        ModelNotFound: There is nothing of that name.
        UnsafeFile: It is a pickle file, and those aren't allowed.
        InvalidFile: It is damaged, incomplete or of a family that isn't supported.
    """
    path = _find(name, folders)
    kind: ModelKind = "embedded" if path == embedded_folder() else _kind(path)
    identified = _identify(path, kind, allow_pickle)
    if identified.family is None:
        raise InvalidFile(
            f"{path} is {identified.title}, which can't be loaded here.",
            expected=f"a whole model of {supported()}",
        )
    return ModelSource(name, path, kind, identified.family.name)


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

    Each recipe's digest covers the files of its part only, so that two models which share a VAE
    share it in memory and in the cache.

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
    schedule = overridden(_schedule(source), prediction_type, zero_terminal_snr)
    if source.is_folder:
        opened = _open_folder(source, dtype, remembered, allow_pickle, device)
    else:
        opened = _open_checkpoint(source, dtype, remembered, folders, device)
    return opened._replace(model=replace(opened.model, options=(scheduler_option(schedule),)))


@contextmanager
def unchanged(recipe: Recipe) -> Iterator[None]:
    """Make sure that a recipe's files are, from begin to end of the `with`, those it was made of.

    Raises:
        InvalidFile: They aren't, or can't be read.
    """
    part = _PART_OF.get(type(recipe))
    if part is None:
        # What has no part in any result, such as a decoder for previews.
        yield
        return
    source = Path(recipe.source)
    # Whether pickle files may be opened was decided when the recipe was made.
    files = _part_files(source, part, allow_pickle=True)[0] if source.is_dir() else [source]
    _check_digest(recipe, files)
    try:
        yield
    finally:
        # What a half-written file makes fail is told as what it is.
        _check_digest(recipe, files)


def _check_digest(recipe: Recipe, files: Sequence[Path]) -> None:
    known = FILE_DIGESTS
    found = _digest(files, known) if Path(recipe.source).is_dir() else known.digest(files[0])
    if found != recipe.digest:
        raise InvalidFile(
            f"{_latest(files)} was changed while a run used it.",
            expected="files that stay as they are while a run uses them",
            hint="Run it again: it will use the new files.",
        )


def _latest(files: Sequence[Path]) -> Path:
    return max(files, key=lambda path: path.stat().st_ctime_ns)


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
    if source.is_folder:
        files = [
            path for part in _PARTS for path in _part_files(source.path, part, allow_pickle)[0]
        ]
    else:
        tokenizer = _tokenizer_for(source, folders, _header(source.path))
        files = [source.path, *(tokenizer / file for file in TOKENIZER if tokenizer)]
    return digest_value([*map(file_stamp, files), device, _lacks_float16(device)])


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
        unet, vae = _configs(source)
        return _facts(source.family, unet, vae, str(schedule.get("prediction_type", "epsilon")))
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
    for name, part, prefix in _PORTS:
        if source.is_folder:
            weights = layout.find_weights(source.path, part, allow_pickle=allow_pickle)
            headers = [] if weights.is_pickle else [read_header(file) for file in weights.files]
        else:
            headers = [read_header(source.path)] if source.path.suffix == SAFETENSORS else []
        if headers:
            # As for a recipe: of a folder's part the first file tells, of a checkpoint the whole.
            item = _ITEM_BYTES[_resolve(dtype, headers[0].dtypes, device)]
            found[name] = item * sum(
                prod(shape)
                for header in headers
                for tensor, shape in header.shapes.items()
                if source.is_folder or tensor.startswith(prefix)
            )
    return found


def _find(name: str, folders: Sequence[Path]) -> Path:
    if name == EMBEDDED and _has_embedded():
        return embedded_folder()
    if name.strip():
        places = [folder / name for folder in folders] + [Path(name).expanduser()]
        for place in places:
            for path in (place, place.with_name(place.name + SAFETENSORS)):
                if _exists(path):
                    return path
    raise _not_found(name, folders)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # A name too long for the file system, or with a zero byte, names nothing.
        return False


def _not_found(name: str, folders: Sequence[Path]) -> ModelNotFound:
    known = [
        path.relative_to(folder).as_posix() for folder in folders for path in _candidates(folder)
    ]
    known += [EMBEDDED] if _has_embedded() else []
    searched = ", ".join(str(folder) for folder in folders) or "no models folder"
    return ModelNotFound(
        f"there is no model `{name}`; searched {searched}.",
        given=name,
        hint=did_you_mean(name, known) if name else "Name a model.",
    )


def _candidates(folder: Path) -> Iterator[Path]:
    """Files and folders that look like models, without descending into model folders."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            # A link back to where we have been.
            folders.clear()
            continue
        seen.add(real)
        if layout.INDEX in files:
            folders.clear()
            yield Path(place)
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix in {SAFETENSORS, *PICKLES}:
                yield Path(place) / name


def describe_model(name: str, path: Path, kind: ModelKind) -> FoundModel:
    """What a file or folder is, by its headers."""
    family, problem = None, None
    try:
        identified = _identify(path, kind, allow_pickle=False)
        family = identified.family.name if identified.family else None
        problem = None if family else f"It is {identified.title}, which can't be loaded here."
    except NodegraphError as error:
        problem = str(error)
    return FoundModel(name, path, kind, family, _size(path), problem)


def all_below(path: Path) -> list[Path]:
    """Files and folders in a folder and in those in it; the path itself if it is none.

    Unlike `Path.rglob` it bears that folders go while they are read.
    """
    if not path.is_dir():
        return [path]
    return [
        Path(place) / name for place, folders, files in os.walk(path) for name in (*folders, *files)
    ]


def _size(path: Path) -> int:
    return sum(map(_bytes, all_below(path)))


def _bytes(path: Path) -> int:
    """Of a file; 0 of anything else, and of one that has gone meanwhile."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _kind(path: Path) -> ModelKind:
    return "diffusers" if path.is_dir() else "checkpoint"


def _identify(path: Path, kind: ModelKind, allow_pickle: bool) -> Identified:
    if kind == "checkpoint":
        return identify_checkpoint(_shapes(path, allow_pickle))
    if not (path / layout.INDEX).is_file():
        raise InvalidFile(
            f"{path} is no model folder: it has no {layout.INDEX}.",
            hint="Name a folder in the diffusers layout or a single .safetensors file.",
        )
    class_name = str(layout.read_config(path / layout.INDEX).get("_class_name"))
    known = identify_pipeline(class_name, {})
    if known.family is None:
        return known
    layout.check_complete(path)
    for part in _PARTS:
        _check_weights(layout.find_weights(path, part, allow_pickle=allow_pickle))
    folder_scheduler(path)
    return identify_pipeline(class_name, layout.read_config(path / layout.UNET / "config.json"))


def _check_weights(weights: layout.ComponentFiles) -> None:
    if not weights.is_pickle:
        for path in weights.files:
            read_header(path)


def _shapes(path: Path, allow_pickle: bool) -> Mapping[str, tuple[int, ...]]:
    if path.suffix == SAFETENSORS:
        return read_header(path).shapes
    if path.suffix not in PICKLES:
        raise InvalidFile(
            f"{path} is no model file.", expected="a .safetensors file or a diffusers folder"
        )
    if not allow_pickle:
        raise layout.unsafe(path)
    return checkpoint.pickle_shapes(path)


def _header(path: Path) -> Header:
    """The header of a checkpoint that was identified; of a pickle only its shapes are known."""
    if path.suffix == SAFETENSORS:
        return read_header(path)
    return Header(checkpoint.pickle_shapes(path), {}, {})


def _open_folder(
    source: ModelSource, dtype: str, digests: FileDigests, allow_pickle: bool, device: str
) -> ModelRecipes:
    parts: dict[str, tuple[Digest, str]] = {}
    for part in _PARTS:
        files, weights = _part_files(source.path, part, allow_pickle)
        stored = {} if weights.is_pickle else read_header(weights.files[0]).dtypes
        parts[part] = _digest(files, digests), _resolve(dtype, stored, device)
    place = str(source.path)
    return ModelRecipes(
        DiffusionModel(source.family, place, *parts[layout.UNET]),
        TextEncoder(source.family, place, *parts[layout.TEXT_ENCODER]),
        Vae(source.family, place, *parts[layout.VAE]),
    )


def _part_files(
    folder: Path, part: str, allow_pickle: bool
) -> tuple[list[Path], layout.ComponentFiles]:
    """The files that decide what a part of a model does, and those of them that hold weights."""
    weights = layout.find_weights(folder, part, allow_pickle=allow_pickle)
    files = [folder / part / "config.json", *weights.files]
    files += [weights.index] if weights.index else []
    if part == layout.UNET:
        files.append(folder / layout.SCHEDULER / layout.SCHEDULER_FILE)
    if part == layout.TEXT_ENCODER:
        files += layout.tokenizer_files(folder / layout.TOKENIZER)
    return files, weights


def _digest(files: Sequence[Path], digests: FileDigests) -> Digest:
    return digest_value({path.name: digests.digest(path) for path in sorted(files)})


def _open_checkpoint(
    source: ModelSource,
    dtype: str,
    digests: FileDigests,
    folders: Sequence[Path],
    device: str,
) -> ModelRecipes:
    header = _header(source.path)
    digest = digests.digest(source.path)
    precision = _resolve(dtype, header.dtypes, device)
    tokenizer = _tokenizer_for(source, folders, header)
    options = (("tokenizer", tokenizer_digest(tokenizer) if tokenizer else ""),)
    place = str(source.path)
    return ModelRecipes(
        DiffusionModel(source.family, place, digest, precision),
        TextEncoder(source.family, place, digest, precision, options),
        Vae(source.family, place, digest, precision),
    )


def _tokenizer_for(source: ModelSource, folders: Sequence[Path], header: Header) -> Path | None:
    try:
        vocabulary = checkpoint.text_config(header.shapes)["vocab_size"]
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidFile(f"the text encoder in {source.path} is damaged: {error!r}") from error
    return find_tokenizer([*folders, source.path.parent], vocabulary)


def _resolve(dtype: str, stored: Mapping[str, str], device: str) -> str:
    """The precision that ``auto`` means."""
    if dtype != "auto":
        return dtype
    if device == "cpu":
        return "float32"
    names = list(stored.values())
    most = max(set(names), key=names.count) if names else "F32"
    return _STORED.get(most, "float32")


def _schedule(source: ModelSource) -> dict[str, Any]:
    if source.is_folder:
        return folder_scheduler(source.path)
    return checkpoint_scheduler(_header(source.path))


def _configs(source: ModelSource) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Of the UNet and the VAE."""
    if source.is_folder:
        unet, vae = (source.path / part / "config.json" for part in (layout.UNET, layout.VAE))
        return layout.read_config(unet), layout.read_config(vae)
    shapes = _header(source.path).shapes
    return checkpoint.unet_config(shapes), checkpoint.vae_config(shapes)


def _facts(
    family: str, unet: Mapping[str, Any], vae: Mapping[str, Any], prediction: str
) -> ModelFacts:
    downscale = 2 ** (len(vae["block_out_channels"]) - 1)
    size = unet.get("sample_size") or checkpoint.TRAINED_SIZE // downscale
    height, width = (size, size) if isinstance(size, int) else size
    return ModelFacts(
        family=family,
        latent_channels=int(vae["latent_channels"]),
        downscale=downscale,
        width=int(width) * downscale,
        height=int(height) * downscale,
        prediction_type=prediction,
        context_width=int(unet["cross_attention_dim"]),
    )
