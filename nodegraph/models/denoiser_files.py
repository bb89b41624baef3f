"""Denoisers by themselves: a file, another for a second expert, a folder, or that of a whole model.

Nothing here imports torch or reads weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import DiffusionModel, RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import family_release
from nodegraph.families.scheduler_file import (
    find_original_config,
    override_schedule,
    scheduler_config,
    scheduler_option,
    with_original_config,
    with_shift,
)
from nodegraph.models.denoiser_search import (
    AUTO,
    DenoiserRequest,
    FoundDenoiser,
    find_denoiser,
    is_whole,
)
from nodegraph.models.facts import (
    ModelFacts,
    StorageOptions,
    StoredWeights,
    family_facts,
    model_facts,
    stored_weights,
)
from nodegraph.models.model_files import (
    model_schedule,
    published_schedule,
    published_settings,
    stored_precision,
)
from nodegraph.models.model_sources import find_path, locate_model
from nodegraph.models.model_stamps import files_stamp, model_stamp
from nodegraph.models.opening import open_model, scale_warnings, storage_warnings
from nodegraph.weights.precision.choices import (
    STORAGE,
    check_storage,
    storage_option,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


def open_denoiser(
    wanted: DenoiserRequest,
    folders: Sequence[Path],
    *,
    dtype: str = AUTO,
    device: str = "cpu",
    allow_pickle: bool = False,
    storage: str = AUTO,
) -> DiffusionModel:
    """The recipe of a denoiser; nothing is loaded yet.

    Args:
        dtype, device, storage: As for `open_model`.
    Raises:
        InvalidValue: What is asked for doesn't go together with what the files hold.
        InvalidFile: They hold no denoiser: says what they do, and which node takes that.
        NodegraphError: See `locate_model`.
    """
    check_storage(storage)
    if is_whole(find_path(wanted.name, folders)):
        _refuse_of_whole(wanted)
        recipe = open_model(
            wanted.name,
            folders,
            dtype=dtype,
            device=device,
            allow_pickle=allow_pickle,
            prediction_type=wanted.prediction_type,
            zero_terminal_snr=wanted.zero_terminal_snr,
            storage=storage,
        ).model
        schedule = scheduler_option(with_shift(scheduler_config(recipe), wanted.shift))
        return replace(
            recipe, options=tuple(sorted({**dict(recipe.options), **dict([schedule])}.items()))
        )
    experts = find_denoiser(wanted, folders, allow_pickle=allow_pickle)
    family = experts[0].part.family
    files = tuple(
        RecipeFile(part.role, str(path), FILE_DIGESTS.digest(path))
        for part, expert in zip(family.denoisers, experts, strict=False)
        for path in sorted(expert.files)
    )
    settings = published_settings(family, experts[0].part.layout, experts[0].config)
    options = [scheduler_option(_schedule(wanted, experts[0])), *settings, *family_release(family)]
    options += storage_option(storage, _kinds(experts))
    precision = stored_precision(dtype, experts[0].weights, device)
    return DiffusionModel(family.name, files, precision, tuple(sorted(options)))


def denoiser_facts(
    wanted: DenoiserRequest, folders: Sequence[Path], *, allow_pickle: bool = False
) -> ModelFacts:
    """What is known of a denoiser without loading it; errors as of `open_denoiser`."""
    if is_whole(find_path(wanted.name, folders)):
        _refuse_of_whole(wanted)
        source = locate_model(wanted.name, folders, allow_pickle=allow_pickle)
        with_shift(model_schedule(source), wanted.shift)
        return model_facts(
            source,
            prediction_type=wanted.prediction_type,
            zero_terminal_snr=wanted.zero_terminal_snr,
        )
    first = find_denoiser(wanted, folders, allow_pickle=allow_pickle)[0]
    family, schedule = first.part.family, _schedule(wanted, first)
    settings = published_settings(family, first.part.layout, first.config)
    return family_facts(family, first.config, schedule, settings)


def denoiser_bytes(
    wanted: DenoiserRequest, folders: Sequence[Path], **how: Unpack[StorageOptions]
) -> int | None:
    """Bytes that a denoiser takes in memory; see `stored_denoiser`."""
    stored = stored_denoiser(wanted, folders, **how)
    return None if stored is None else stored.bytes


def stored_denoiser(
    wanted: DenoiserRequest,
    folders: Sequence[Path],
    *,
    dtype: str = AUTO,
    device: str = "cpu",
    allow_pickle: bool = False,
    storage: str = AUTO,
) -> StoredWeights | None:
    """The weights of a denoiser, from the files' headers alone; arguments and errors as of
    `open_denoiser`. None of pickled ones, as reading those takes long."""
    if is_whole(find_path(wanted.name, folders)):
        source = locate_model(wanted.name, folders, allow_pickle=allow_pickle)
        return stored_weights(
            source, dtype=dtype, device=device, allow_pickle=allow_pickle, storage=storage
        ).get("model")
    experts = find_denoiser(wanted, folders, allow_pickle=allow_pickle)
    precision = stored_precision(dtype, experts[0].weights, device)
    kept = dict(storage_option(storage, _kinds(experts))).get(STORAGE, "")
    tensors = [tensor for expert in experts for tensor in expert.tensors]
    return StoredWeights(tensors, precision, kept)


def _kinds(experts: Sequence[FoundDenoiser]) -> set[str]:
    return {kind for expert in experts for _, _, kind in expert.tensors}


def denoiser_warnings(
    wanted: DenoiserRequest, folders: Sequence[Path], *, allow_pickle: bool = False
) -> list[str]:
    """What is to be told of how its files store weights; arguments and errors as of
    `open_denoiser`."""
    if is_whole(find_path(wanted.name, folders)):
        return storage_warnings(wanted.name, folders, allow_pickle=allow_pickle)
    experts = find_denoiser(wanted, folders, allow_pickle=allow_pickle)
    return scale_warnings([path for expert in experts for path in expert.weights])


def denoiser_stamp(
    wanted: DenoiserRequest,
    folders: Sequence[Path],
    *,
    allow_pickle: bool = False,
    device: str = "cpu",
) -> str:
    """Text that changes when `open_denoiser` would give something else for the same names."""
    if is_whole(find_path(wanted.name, folders)):
        return model_stamp(wanted.name, folders, allow_pickle=allow_pickle, device=device)
    experts = find_denoiser(wanted, folders, allow_pickle=allow_pickle)
    releases = [family_release(expert.part.family) for expert in experts]
    files = [path for expert in experts for path in expert.files]
    config = None if experts[0].path.is_dir() else find_original_config(experts[0].path)
    return files_stamp([*files, config] if config else files, device, releases)


def _refuse_of_whole(wanted: DenoiserRequest) -> None:
    for port, value, none in (("second", wanted.second, ""), ("family", wanted.family, AUTO)):
        if value != none:
            raise InvalidValue(
                f"{wanted.name} is a whole model, which says that itself",
                port=port,
                given=value,
                expected="auto" if none else "nothing",
            )


def _schedule(wanted: DenoiserRequest, denoiser: FoundDenoiser) -> dict[str, Any]:
    """The published noise schedule, with what its original configuration says, and what somebody
    knows better."""
    family, layout = denoiser.part.family, denoiser.part.layout
    header = (
        denoiser.header
        if denoiser.path.is_dir()
        else with_original_config(denoiser.header, denoiser.path)
    )
    schedule = published_schedule(header, family, layout, denoiser.config)
    overridden_schedule = override_schedule(
        schedule, wanted.prediction_type, wanted.zero_terminal_snr
    )
    return with_shift(overridden_schedule, wanted.shift)
