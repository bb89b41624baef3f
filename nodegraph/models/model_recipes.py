"""Build the recipes of a model's parts from its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests
from nodegraph.core.values import (
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    PipelineComponent,
    Recipe,
    RecipeFile,
    TextEncoder,
    Vae,
    VisionNetwork,
)
from nodegraph.core.weight_files import SAFETENSORS, PartFiles, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.helper_recipes import (
    FrameInterpolationModel,
    LatentClassifier,
    LatentUpscaleModel,
    UpscaleModel,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.registry import family_release, format_release, get_family
from nodegraph.families.scheduler_file import override_schedule, scheduler_option
from nodegraph.models.model_files import (
    encoder_settings,
    model_configs,
    model_dtype,
    model_schedule,
    model_settings,
    port_files,
    port_precision,
    port_storage,
    settings_of,
    vae_settings,
    vae_storage,
)
from nodegraph.models.model_sources import ModelSource, locate_model
from nodegraph.weights.precision.storage import check_storage
from nodegraph.weights.safetensors_header import check_file_formats, joined_scales, read_header

DTYPES = ("auto", "float32", "float16", "bfloat16")
"""Precisions that `open_model` takes."""


_Made = TypeVar("_Made", DiffusionModel, TextEncoder)


class ModelRecipes(NamedTuple):
    """The three parts of a model."""

    model: DiffusionModel
    text_encoder: TextEncoder
    vae: Vae


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
    storage: str = "auto",
) -> ModelRecipes:
    """The recipes of a model's parts; nothing is loaded yet.

    Each recipe lists only the files of its part, so that models with the same VAE share it in
    memory and in the cache.

    Args:
        dtype: Precision in memory. ``auto`` is the stored one, and on a CPU float32, or what a
            `CpuDevice` says.
        digests: Cache of the files' digests. The default is one per process.
        device: The device for which ``auto`` is resolved.
        prediction_type, zero_terminal_snr: Overrides for missing or wrong entries; see
            `scheduler_file.override_schedule`.
        storage: Storage format of the denoiser's and the text encoder's weights, one of
            `nodegraph.weights.precision.storage.STORAGES`.
    Raises:
        InvalidValue: No such dtype, storage or prediction type.
        NodegraphError: See `locate_model`.
    """
    if dtype not in DTYPES:
        raise InvalidValue(f"there is no precision {dtype!r}", expected=", ".join(DTYPES))
    check_storage(storage)
    source = locate_model(name, folders, allow_pickle=allow_pickle)
    family = get_family(source.family)
    schedule = override_schedule(model_schedule(source), prediction_type, zero_terminal_snr)
    denoiser, encoder, vae = port_files(source, family, folders, allow_pickle=allow_pickle)
    computed = model_dtype(dtype, denoiser, encoder, device)
    kept = _StorageRequest(family, computed, device, storage, digests or FILE_DIGESTS)
    settings = [scheduler_option(schedule), *model_settings(source, family)]
    folder = source.path if source.is_folder else None
    return ModelRecipes(
        kept.recipe(DiffusionModel, denoiser, settings),
        kept.recipe(
            TextEncoder,
            encoder,
            encoder_settings(family, folder),
        ),
        Vae(
            family.latent.name,
            kept.files(vae),
            _vae_precision(source, family, dtype, vae, device),
            tuple(
                sorted(
                    (
                        *format_release(family.latent),
                        *vae_settings(family),
                        *vae_storage(source, vae),
                    )
                )
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class _StorageRequest:
    """What a model's parts are kept in, as it was asked for."""

    family: Family
    dtype: str
    device: str
    storage: str
    digests: FileDigests

    def files(self, parts: Sequence[PartFiles]) -> tuple[RecipeFile, ...]:
        return tuple(
            RecipeFile(part.role, str(path), self.digests.digest(path))
            for part in parts
            for path in sorted(part.files)
        )

    def recipe(
        self, kind: type[_Made], parts: Sequence[PartFiles], settings: Iterable[tuple[str, str]]
    ) -> _Made:
        options = [*settings, *port_storage(self.storage, parts), *family_release(self.family)]
        precision = port_precision(self.dtype, parts, self.device)
        return kind(self.family.name, self.files(parts), precision, tuple(sorted(options)))


_PARTS = (
    DiffusionModel,
    TextEncoder,
    Vae,
    ControlNet,
    ImageEncoder,
    PipelineComponent,
    VisionNetwork,
    UpscaleModel,
    LatentUpscaleModel,
    FrameInterpolationModel,
    LatentClassifier,
)
"""Recipes of what has a part in results."""


@contextmanager
def checking_digests(recipe: Recipe) -> Iterator[None]:
    """Make sure that a recipe's files are, from begin to end of the `with`, those it was made of.

    Raises:
        InvalidFile: They aren't, or can't be read.
    """
    if not isinstance(recipe, _PARTS):
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
                f"{file.path} was changed while a run used it",
                expected="files that do not change while a run uses them",
                hint="Run again to use the new files.",
            )


def storage_warnings(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False
) -> list[str]:
    """What is to be told of how a model's files store their weights; mostly nothing.

    Raises:
        NodegraphError: See `locate_model`.
    """
    source = locate_model(name, folders, allow_pickle=allow_pickle)
    ports = port_files(source, get_family(source.family), folders, allow_pickle=allow_pickle)
    return scale_warnings(path for port in ports for part in port for path in part.weights)


def scale_warnings(paths: Iterable[Path]) -> list[str]:
    """The same of some files.

    Raises:
        InvalidFile: One can't be read, or holds weights in a form that isn't read here.
    """
    several = dict.fromkeys(path for path in paths if file_suffix(path) == SAFETENSORS)
    for path in several:
        check_file_formats(path)
    return joined_scales(read_header(path).scales for path in several).describe()


def recipe_settings(recipe: Recipe) -> dict[str, Any]:
    """What a recipe's part heeds of ``model_index.json``."""
    return dict(settings_of(recipe.options))


def vae_precision(precision: str, latents: LatentFormat, *, may_upcast: bool) -> str:
    """That of an autoencoder: float32 for float16 where it overflows."""
    return "float32" if precision == "float16" and latents.overflows and may_upcast else precision


def _vae_precision(
    source: ModelSource, family: Family, dtype: str, parts: Sequence[PartFiles], device: str
) -> str:
    precision = port_precision(dtype, parts, str(device))
    if precision != "float16" or not family.latent.overflows:
        return precision
    config = model_configs(source)[1] or {}
    may_upcast = bool(config.get("force_upcast", True))
    return vae_precision(precision, family.latent, may_upcast=may_upcast)
