"""Denoisers in files or folders: find, identify the family, build the recipe.

Imports no torch, and reads no weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import DiffusionModel, RecipeFile
from nodegraph.core.weight_files import HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue, at_port
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Config, Family, Part
from nodegraph.families.identification import (
    StandalonePart,
    denoisers_of_class,
    find_denoisers,
    find_family_denoiser,
    has_class,
    identify_tensors,
)
from nodegraph.families.registry import family_release
from nodegraph.families.scheduler_file import (
    find_original_config,
    override_schedule,
    scheduler_config,
    scheduler_option,
    with_original_config,
    with_shift,
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
    files_stamp,
    model_schedule,
    model_stamp,
    published_schedule,
    published_settings,
    stored_precision,
)
from nodegraph.models.model_recipes import open_model, scale_warnings, storage_warnings
from nodegraph.models.model_sources import find_path, locate_model
from nodegraph.weights.gguf_files import check_gguf_installed
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.precision.storage import (
    STORAGE,
    StoredTensor,
    check_storage,
    storage_option,
)
from nodegraph.weights.safetensors_header import Header, Shapes, find_packed_form
from nodegraph.weights.single_files.base import DAMAGED, fault_text, select_prefix

if TYPE_CHECKING:
    from typing_extensions import Unpack

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class DenoiserRequest:
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
class FoundDenoiser:
    """A denoiser's files, and what they hold.

    Attributes:
        path: That was named.
        files: Weights, and a configuration if it has one.
        header: Of all weights together.
        part: Whose it is, and how it lies there.
        config: Of its class.
    """

    path: Path
    files: tuple[Path, ...]
    header: Header
    part: StandalonePart
    config: Config

    @property
    def weights(self) -> list[Path]:
        """Those of the files that hold tensors."""
        return [path for path in self.files if path.suffix != ".json"]

    @property
    def tensors(self) -> list[StoredTensor]:
        """Names, shapes and types of its own in them."""
        return [
            (name, shape, self.header.dtypes.get(name, ""))
            for name, shape in self.header.shapes.items()
            if name.startswith(self.part.prefix)
        ]


def is_whole(path: Path) -> bool:
    """Whether it is a whole model, of which its denoiser is taken."""
    if path.is_dir():
        return layout.is_whole_model(path)
    return (
        file_suffix(path) == SAFETENSORS
        and identify_tensors(header_of(path).shapes).family is not None
    )


def _asks_whole(wanted: DenoiserRequest, folders: Sequence[Path]) -> bool:
    """Whether the denoiser of a whole model is asked for, as that model has it.

    Files of several families look the same, such as those of Qwen-Image and its editing models: a
    file whose family is named is not that of the likeliest one.
    """
    path = find_path(wanted.name, folders)
    is_file_of_family = wanted.family != AUTO and not path.is_dir()
    return not is_file_of_family and is_whole(path)


def find_denoiser(
    wanted: DenoiserRequest, folders: Sequence[Path], *, allow_pickle: bool
) -> list[FoundDenoiser]:
    """The files of a denoiser that is no part of a whole model, and those of its second expert
    where one is asked for; errors as of `denoiser_files.open_denoiser`."""
    first = _find(find_path(wanted.name, folders), wanted.family, allow_pickle)
    if not wanted.second:
        return [first]
    family = first.part.family
    if sum(not part.conditioner for part in family.denoisers) == 1:
        raise InvalidValue(
            f"a model of {family.title} has no second expert",
            port="second",
            given=wanted.second,
            expected="nothing",
        )
    with at_port("second"):
        second = _second(wanted, folders, allow_pickle)
    if second.part.layout != first.part.layout or dict(second.config) != dict(first.config):
        raise InvalidValue(
            f"{wanted.second} and {wanted.name} are not the two experts of one model",
            port="second",
            given=second.part.layout.title,
            expected=f"{first.part.layout.title} of the same sizes",
        )
    return [first, second]


def _second(wanted: DenoiserRequest, folders: Sequence[Path], allow_pickle: bool) -> FoundDenoiser:
    path = find_path(wanted.second, folders)
    if is_whole(path):
        raise InvalidValue(
            f"{wanted.second} is a whole model, not a separate second expert",
            given=wanted.second,
            expected="a .safetensors or .gguf file, or a folder named like transformer_2",
            hint="Whole models contain their second expert: choose it as the model.",
        )
    return _find(path, AUTO, allow_pickle)


def _find(path: Path, family: str, allow_pickle: bool) -> FoundDenoiser:
    files, header = (
        _of_folder(path, allow_pickle) if path.is_dir() else _of_file(path, allow_pickle)
    )
    named = [file for file in files if file.name == layout.CONFIG]
    read = layout.read_config(named[0]) if named else {}
    part = _choose_part(path, header, family, read)
    try:
        own = select_prefix(header.shapes, part.prefix)
        config = read if named else part.layout.config(own)
    except DAMAGED as error:
        raise InvalidFile(
            f"{path} is {part.layout.title}, but it is damaged: {fault_text(error)}",
            hint="Copy the file again.",
        ) from error
    return FoundDenoiser(path, files, header, part, config)


def _of_file(path: Path, allow_pickle: bool) -> tuple[tuple[Path, ...], Header]:
    if file_suffix(path) in PICKLES and not allow_pickle:
        raise layout.unsafe(path)
    if file_suffix(path) not in {*HEADED, *PICKLES}:
        raise InvalidFile(
            f"{path} is not a model file", expected="a .safetensors or .gguf file or a folder"
        )
    header = header_of(path)
    check_gguf_installed(header.dtypes.values())
    return (path,), header


def _of_folder(path: Path, allow_pickle: bool) -> tuple[tuple[Path, ...], Header]:
    """Of a folder such as ``transformer``: a configuration, and weights that may be several."""
    if not (path / layout.CONFIG).is_file():
        raise InvalidFile(
            f"{path} is not the folder of a diffusion model: it has no {layout.CONFIG}",
            expected="a .safetensors file, or the folder of a denoiser or of a whole model",
        )
    weights = layout.find_weights(path.parent, path.name, allow_pickle=allow_pickle)
    headers = [header_of(file) for file in weights.files]
    whole = Header(
        {name: shape for header in headers for name, shape in header.shapes.items()},
        {name: dtype for header in headers for name, dtype in header.dtypes.items()},
        {},
    )
    index = [weights.index] if weights.index else []
    return (path / layout.CONFIG, *weights.files, *index), whole


def _choose_part(path: Path, header: Header, family: str, config: Config) -> StandalonePart:
    """What a file holds, of the family that is asked for and has the class that its configuration
    names, if it has one. Its metadata may name one of those that look the same."""
    shapes, class_name = header.shapes, str(config.get("_class_name") or "")
    candidates = (
        denoisers_of_class(path, class_name, shapes) if class_name else find_denoisers(shapes)
    )
    if find_packed_form(shapes):
        candidates = []  # some of its tensors may be those of a model
    if not candidates:
        identified = identify_tensors(shapes)
        raise InvalidFile(
            f"{path} is {identified.instead_of('a supported diffusion model')}",
            expected="the denoiser of a supported family",
            hint=f"Load it with {identified.node}." if identified.node else identified.hint,
        )
    if family == AUTO:
        named = (part for part in candidates if part.layout.named(header.metadata))
        likeliest = min(candidates, key=lambda part: _contradictions(part, shapes, config))
        return next(named, likeliest)
    names = [part.family.name for part in candidates]
    if family not in names:
        # A family of a package may look like one that comes along.
        other = find_family_denoiser(family, shapes)
        if other is not None and (not class_name or has_class(other.family, class_name)):
            return other
        what = f"is {candidates[0].layout.title}"
        if other is not None:
            what = f"looks like {other.layout.title}, but its {layout.CONFIG} names {class_name}"
        raise InvalidValue(
            f"{path.name} {what}",
            port="family",
            given=family,
            expected=" or ".join([AUTO, *names]),
        )
    return candidates[names.index(family)]


def _contradictions(part: StandalonePart, shapes: Shapes, config: Config) -> int:
    """How many names in a configuration are not those of a family's layout.

    Families whose tensors are alike differ in them, for example by how they take an image.
    """
    if not config:
        return 0
    try:
        own = part.layout.config(select_prefix(shapes, part.prefix))
    except DAMAGED:
        return 0
    named = {name: value for name, value in own.items() if value is None or isinstance(value, str)}
    return sum(name in config and config[name] != value for name, value in named.items())


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
    if _asks_whole(wanted, folders):
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
        for part, expert in _with_conditioners(family, experts)
        for path in sorted(expert.files)
    )
    settings = published_settings(family, experts[0].part.layout, experts[0].config)
    options = [scheduler_option(_schedule(wanted, experts[0])), *settings, *family_release(family)]
    options += storage_option(storage, _kinds(experts))
    precision = stored_precision(dtype, experts[0].weights, device)
    return DiffusionModel(family.name, files, precision, tuple(sorted(options)))


def find_expert_files(
    wanted: DenoiserRequest, folders: Sequence[Path], *, allow_pickle: bool = False
) -> list[tuple[Part, FoundDenoiser]] | None:
    """The parts of a denoiser with the files of each; None if a whole model is asked for.

    Raises:
        NodegraphError: As `open_denoiser`.
    """
    if _asks_whole(wanted, folders):
        return None
    experts = find_denoiser(wanted, folders, allow_pickle=allow_pickle)
    return [*_with_conditioners(experts[0].part.family, experts)]


def _with_conditioners(
    family: Family, experts: Sequence[FoundDenoiser]
) -> Iterator[tuple[Part, FoundDenoiser]]:
    """The parts of a denoiser, each with its files; conditioners lie in those of the first."""
    networks = [part for part in family.denoisers if not part.conditioner]
    yield from zip(networks, experts, strict=False)
    yield from ((part, experts[0]) for part in family.denoisers if part.conditioner)


def denoiser_facts(
    wanted: DenoiserRequest, folders: Sequence[Path], *, allow_pickle: bool = False
) -> ModelFacts:
    """What is known of a denoiser without loading it; errors as of `open_denoiser`."""
    if _asks_whole(wanted, folders):
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
    if _asks_whole(wanted, folders):
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
    if _asks_whole(wanted, folders):
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
    if _asks_whole(wanted, folders):
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
                f"{wanted.name} is a whole model, which contains this information",
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
