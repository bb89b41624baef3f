"""Denoisers by themselves: a file, another for a second expert, a folder, or that of a whole model.

Nothing here imports torch or reads weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import DiffusionModel, RecipeFile
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.facts import (
    HowStored,
    ModelFacts,
    StoredWeights,
    family_facts,
    model_facts,
    stored_weights,
)
from nodegraph.diffusion.families import family_release
from nodegraph.diffusion.families.alone import PartAlone, denoisers_in
from nodegraph.diffusion.families.base import Config
from nodegraph.diffusion.families.identify import identify_tensors
from nodegraph.diffusion.model_files import (
    published_schedule,
    published_settings,
    stored_precision,
)
from nodegraph.diffusion.models import (
    HEADED,
    PICKLES,
    SAFETENSORS,
    find_path,
    header_of,
    locate_model,
)
from nodegraph.diffusion.opening import (
    files_stamp,
    model_stamp,
    open_model,
    scales_told,
    storage_told,
)
from nodegraph.diffusion.precision.choices import (
    STORAGE,
    StoredTensor,
    check_storage,
    storage_option,
)
from nodegraph.diffusion.precision.gguf_types import check_gguf_installed
from nodegraph.diffusion.safetensors_header import Header, Shapes
from nodegraph.diffusion.scheduler_file import (
    overridden,
    scheduler_option,
    with_shift,
)
from nodegraph.diffusion.single_files.base import part_of
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from typing_extensions import Unpack


AUTO = "auto"


@dataclass(frozen=True, slots=True)
class WantedDenoiser:
    """What LoadDiffusionModel is asked for.

    Attributes:
        name: A file or folder under the models folders, or a path; of a whole model its denoiser.
        second: The same of the second of two experts; empty where there is none.
        family: Name of its family, where files of several look the same; ``auto`` is the likeliest.
        prediction_type, zero_terminal_snr: As for `open_model`.
        shift: Of a flow's noise levels towards the noise; 0 is the published one.
    """

    name: str
    second: str = ""
    family: str = AUTO
    prediction_type: str = AUTO
    zero_terminal_snr: str = AUTO
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class _Found:
    """A denoiser's files, and what they hold."""

    path: Path
    files: tuple[Path, ...]
    header: Header
    part: PartAlone
    config: Config

    @property
    def weights(self) -> list[Path]:
        return [path for path in self.files if path.suffix != ".json"]

    @property
    def tensors(self) -> list[StoredTensor]:
        return [
            (name, shape, self.header.dtypes.get(name, ""))
            for name, shape in self.header.shapes.items()
            if name.startswith(self.part.prefix)
        ]


def open_denoiser(
    wanted: WantedDenoiser,
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
    if _is_whole(find_path(wanted.name, folders)):
        _refuse_of_whole(wanted)
        return open_model(
            wanted.name,
            folders,
            dtype=dtype,
            device=device,
            allow_pickle=allow_pickle,
            prediction_type=wanted.prediction_type,
            zero_terminal_snr=wanted.zero_terminal_snr,
            storage=storage,
        ).model
    found = _experts(wanted, folders, allow_pickle)
    family = found[0].part.family
    files = tuple(
        RecipeFile(part.role, str(path), FILE_DIGESTS.digest(path))
        for part, expert in zip(family.denoisers, found, strict=False)
        for path in sorted(expert.files)
    )
    settings = published_settings(family, found[0].part.layout, found[0].config)
    options = [scheduler_option(_schedule(wanted, found[0])), *settings, *family_release(family)]
    options += storage_option(storage, _kinds(found))
    precision = stored_precision(dtype, found[0].weights, device)
    return DiffusionModel(family.name, files, precision, tuple(sorted(options)))


def denoiser_facts(
    wanted: WantedDenoiser, folders: Sequence[Path], *, allow_pickle: bool = False
) -> ModelFacts:
    """What is known of a denoiser without loading it; errors as of `open_denoiser`."""
    if _is_whole(find_path(wanted.name, folders)):
        _refuse_of_whole(wanted)
        return model_facts(
            locate_model(wanted.name, folders, allow_pickle=allow_pickle),
            prediction_type=wanted.prediction_type,
            zero_terminal_snr=wanted.zero_terminal_snr,
        )
    first = _experts(wanted, folders, allow_pickle)[0]
    return family_facts(first.part.family, first.config, _schedule(wanted, first))


def denoiser_bytes(
    wanted: WantedDenoiser, folders: Sequence[Path], **how: Unpack[HowStored]
) -> int | None:
    """Bytes that a denoiser takes in memory; see `stored_denoiser`."""
    found = stored_denoiser(wanted, folders, **how)
    return None if found is None else found.bytes


def stored_denoiser(
    wanted: WantedDenoiser,
    folders: Sequence[Path],
    *,
    dtype: str = AUTO,
    device: str = "cpu",
    allow_pickle: bool = False,
    storage: str = AUTO,
) -> StoredWeights | None:
    """The weights of a denoiser, from the files' headers alone; arguments and errors as of
    `open_denoiser`. None of pickled ones, as reading those takes long."""
    if _is_whole(find_path(wanted.name, folders)):
        source = locate_model(wanted.name, folders, allow_pickle=allow_pickle)
        return stored_weights(
            source, dtype=dtype, device=device, allow_pickle=allow_pickle, storage=storage
        ).get("model")
    found = _experts(wanted, folders, allow_pickle)
    precision = stored_precision(dtype, found[0].weights, device)
    kept = dict(storage_option(storage, _kinds(found))).get(STORAGE, "")
    tensors = [tensor for expert in found for tensor in expert.tensors]
    return StoredWeights(tensors, precision, kept)


def _kinds(found: Sequence[_Found]) -> set[str]:
    return {kind for expert in found for _, _, kind in expert.tensors}


def denoiser_told(
    wanted: WantedDenoiser, folders: Sequence[Path], *, allow_pickle: bool = False
) -> list[str]:
    """What is to be told of how its files store weights; arguments and errors as of
    `open_denoiser`."""
    if _is_whole(find_path(wanted.name, folders)):
        return storage_told(wanted.name, folders, allow_pickle=allow_pickle)
    found = _experts(wanted, folders, allow_pickle)
    return scales_told([path for expert in found for path in expert.weights])


def denoiser_stamp(
    wanted: WantedDenoiser,
    folders: Sequence[Path],
    *,
    allow_pickle: bool = False,
    device: str = "cpu",
) -> str:
    """Text that changes when `open_denoiser` would give something else for the same names."""
    if _is_whole(find_path(wanted.name, folders)):
        return model_stamp(wanted.name, folders, allow_pickle=allow_pickle, device=device)
    found = _experts(wanted, folders, allow_pickle)
    releases = [family_release(expert.part.family) for expert in found]
    return files_stamp([path for expert in found for path in expert.files], device, releases)


def _is_whole(path: Path) -> bool:
    """Whether it is a whole model, of which its denoiser is taken."""
    if path.is_dir():
        return (path / layout.INDEX).is_file()
    return (
        path.suffix == SAFETENSORS and identify_tensors(header_of(path).shapes).family is not None
    )


def _refuse_of_whole(wanted: WantedDenoiser) -> None:
    for port, value, none in (("second", wanted.second, ""), ("family", wanted.family, AUTO)):
        if value != none:
            raise InvalidValue(
                f"{wanted.name} is a whole model, which says that itself",
                port=port,
                given=value,
                expected="auto" if none else "nothing",
            )


def _experts(wanted: WantedDenoiser, folders: Sequence[Path], allow_pickle: bool) -> list[_Found]:
    """The files of the denoiser, and those of its second expert where one is asked for."""
    first = _find(find_path(wanted.name, folders), wanted.family, allow_pickle)
    if not wanted.second:
        return [first]
    family = first.part.family
    if len(family.denoisers) == 1:
        raise InvalidValue(
            f"a model of {family.title} has no second expert",
            port="second",
            given=wanted.second,
            expected="nothing",
        )
    second = _find(find_path(wanted.second, folders), family.name, allow_pickle)
    if dict(second.config) != dict(first.config):
        raise InvalidValue(
            f"{wanted.second} and {wanted.name} are not the two experts of one model",
            port="second",
            given=second.part.layout.title,
            expected=f"{first.part.layout.title} of the same sizes",
        )
    return [first, second]


def _find(path: Path, family: str, allow_pickle: bool) -> _Found:
    files, header = _of_folder(path) if path.is_dir() else _of_file(path, allow_pickle)
    part = _chosen(path, header.shapes, family)
    named = [file for file in files if file.name == layout.CONFIG]
    try:
        own = part_of(header.shapes, part.prefix)
        config = layout.read_config(named[0]) if named else part.layout.config(own)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise InvalidFile(
            f"{path} is {part.layout.title}, but it is damaged: {error!r}",
            hint="Copy the file again.",
        ) from error
    return _Found(path, files, header, part, config)


def _of_file(path: Path, allow_pickle: bool) -> tuple[tuple[Path, ...], Header]:
    if path.suffix in PICKLES and not allow_pickle:
        raise layout.unsafe(path)
    if path.suffix not in {*HEADED, *PICKLES}:
        raise InvalidFile(
            f"{path} is no model file.", expected="a .safetensors or .gguf file or a folder"
        )
    header = header_of(path)
    check_gguf_installed(header.dtypes.values())
    return (path,), header


def _of_folder(path: Path) -> tuple[tuple[Path, ...], Header]:
    """Of a folder such as ``transformer``: a configuration, and weights that may be several."""
    if not (path / layout.CONFIG).is_file():
        raise InvalidFile(
            f"{path} is no folder of a diffusion model: it has no {layout.CONFIG}.",
            expected="a .safetensors file, or the folder of a denoiser or of a whole model",
        )
    weights = layout.find_weights(path.parent, path.name)
    headers = [header_of(file) for file in weights.files]
    whole = Header(
        {name: shape for header in headers for name, shape in header.shapes.items()},
        {name: dtype for header in headers for name, dtype in header.dtypes.items()},
        {},
    )
    index = [weights.index] if weights.index else []
    return (path / layout.CONFIG, *weights.files, *index), whole


def _chosen(path: Path, shapes: Shapes, family: str) -> PartAlone:
    """What a file holds, of the family that is asked for."""
    found = denoisers_in(shapes)
    if not found:
        told = identify_tensors(shapes)
        raise InvalidFile(
            f"{path} is {told.title}, not a diffusion model that is known here.",
            expected="the denoiser of a supported family",
            hint=f"{told.node} takes it." if told.node else None,
        )
    if family == AUTO:
        return found[0]
    names = [part.family.name for part in found]
    if family not in names:
        raise InvalidValue(
            f"{path.name} is {found[0].layout.title}",
            port="family",
            given=family,
            expected=" or ".join([AUTO, *names]),
        )
    return found[names.index(family)]


def _schedule(wanted: WantedDenoiser, found: _Found) -> dict[str, Any]:
    """The published noise schedule, with what somebody knows better."""
    family, laid = found.part.family, found.part.layout
    schedule = published_schedule(found.header, family, laid, found.config)
    told = overridden(schedule, wanted.prediction_type, wanted.zero_terminal_snr)
    return with_shift(told, wanted.shift)
