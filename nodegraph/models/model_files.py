"""Files of each part of a model, the settings beside them, and stamps of change.

Imports no torch, and reads no weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.context import CpuDevice
from nodegraph.core.digests import digest_value
from nodegraph.core.weight_files import HEADED, SAFETENSORS, PartFiles, file_stamp, file_suffix
from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Config, Family, Part
from nodegraph.families.registry import family_release, get_family
from nodegraph.families.scheduler_file import (
    checkpoint_scheduler,
    find_original_config,
    folder_scheduler,
    with_original_config,
)
from nodegraph.families.vocabulary import find_tokenizer, is_in_file, pair_tokenizers
from nodegraph.models.model_sources import ModelSource, find_path, locate_model
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.numerics import cpu_has_float16
from nodegraph.weights.precision.storage import AUTO, QUANTIZED_BITS, storage_option
from nodegraph.weights.safetensors_header import Header, Shapes, read_header
from nodegraph.weights.single_files.base import DAMAGED, FileLayout, fault_text

if TYPE_CHECKING:
    from nodegraph.families.checkpoint_parts import CheckpointPart


def locate_transformers_model(name: str, folders: Sequence[Path], *, where: str) -> Path:
    """The folder, or a file in it, that a name means.

    Args:
        where: How such a model is put under a models folder, in a sentence.
    Raises:
        ModelNotFound: There is nothing of that name.
    """
    try:
        return find_path(name, folders)
    except ModelNotFound as error:
        problem = error.problem
        hint = f"{problem.hint} {where}" if problem.hint else where
        raise ModelNotFound(problem.message, given=problem.given, hint=hint) from error


def read_configuration(folder: Path, *, expected: str, where: str) -> Mapping[str, Any]:
    """What a model's folder says of it.

    Args:
        expected: What is looked for, in words.
    Raises:
        InvalidFile: There is no such file, or it is damaged.
    """
    if not (folder / layout.CONFIG).is_file():
        raise InvalidFile(f"{folder} has no {layout.CONFIG}", expected=expected, hint=where)
    return layout.read_config(folder / layout.CONFIG)


def computed_dtype(dtype: str, device: str) -> str:
    """The precision to take where one is asked for: float32 for float16 on a CPU that lacks it."""
    return "float32" if dtype == "float16" and lacks_float16(device) else dtype


def lacks_float16(device: str) -> bool:
    """Whether a device can't compute in float16."""
    return device == "cpu" and not cpu_has_float16()


def model_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes if `open_model` would return something else for the same name.

    It is computed from the sizes and times of the files, without reading them.

    Raises:
        NodegraphError: See `locate_model`.
    """
    source = locate_model(name, folders, allow_pickle=allow_pickle)
    family = get_family(source.family)
    ports = port_files(source, family, folders, allow_pickle=allow_pickle)
    files = {path for port in ports for part in port for path in part.files}
    files |= set(scheduler_files(source))
    if source.is_folder:
        index = layout.read_config(layout.index_file(source.path))
        files |= {layout.index_file(source.path), *further_files(source, index)}
    return files_stamp(files, device, [family_release(family)])


def files_stamp(files: Iterable[Path], device: str, releases: Iterable[Options]) -> str:
    """Text that changes when one of the files does, or what they would be loaded as on a device.

    Args:
        releases: Of the families that they may be of; see `family_release`.
    Raises:
        InvalidFile: One isn't there.
    """
    paths = sorted(files)
    kept = [str(device), lacks_float16(device), list(releases), *cpu_stamp(paths, device)]
    return digest_value([*map(file_stamp, paths), *kept])


def cpu_stamp(files: Iterable[Path], device: str) -> list[str]:
    """What the dtype ``auto`` is for a model's files on a CPU; nothing where it is float32."""
    try:
        precision = _cpu_precision(files, device)
    except InvalidFile:  # raised again when the file is opened
        return []
    return [] if precision == "float32" else [precision]


SETTINGS = "settings"
"""Option of a recipe: what its part heeds of ``model_index.json``, as JSON."""

_STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_WIDENED = "bfloat16"
"""What weights of 8 bits are computed in: they come from models that compute so."""


Options = tuple[tuple[str, str], ...]
"""Of recipes."""


def port_files(
    source: ModelSource, family: Family, folders: Sequence[Path], *, allow_pickle: bool
) -> tuple[list[PartFiles], list[PartFiles], list[PartFiles]]:
    """The files of a model's denoiser, text encoder and VAE."""
    from nodegraph.families.checkpoint_parts import sound_parts

    if not source.is_folder:
        return ports_within(source, family, folders)

    def files_of(parts: Sequence[Part]) -> list[PartFiles]:
        return [
            folder_part_files(
                source.path / part.role,
                "vae" if part.role == family.vae else part.role,
                allow_pickle=allow_pickle,
            )
            for part in parts
            if not part.may_lack or (source.path / part.role / layout.CONFIG).is_file()
        ]

    tokenizers = [
        PartFiles(part.role, layout.tokenizer_files(source.path / part.role))
        for part in family.tokenizers
    ]
    own = [Part(family.vae, ())] if family.latent.autoencoders else []
    vae = files_of([*own, *sound_parts(family.latent)])
    return files_of(family.denoisers), [*files_of(family.encoders), *tokenizers], vae


def folder_part_files(folder: Path, role: str, *, allow_pickle: bool) -> PartFiles:
    """The files of a part with weights: its configuration, and what holds them."""
    weights = layout.find_weights(folder.parent, folder.name, allow_pickle=allow_pickle)
    index = [weights.index] if weights.index else []
    return PartFiles(role, [folder / layout.CONFIG, *weights.files, *index], weights.files)


def scheduler_files(source: ModelSource) -> list[Path]:
    """The files beside its weights that say what noise a model was trained on."""
    if source.is_folder:
        path = source.path / layout.SCHEDULER / layout.SCHEDULER_FILE
        return [path] if path.is_file() else []
    config_path = find_original_config(source.path)
    return [] if config_path is None else [config_path]


def model_settings(source: ModelSource, family: Family) -> Options:
    """What a model's denoiser heeds of its index; nothing where that is nothing."""
    if not family.settings and not family.extra_configs:
        return ()
    if not source.is_folder:
        within = denoiser_within(source)
        return published_settings(family, within.layout, within.config)
    index = layout.read_config(layout.index_file(source.path))
    further: dict[str, dict[str, Any]] = {}
    for path in further_files(source, index):
        # A folder may have several, as that of a processor.
        further.setdefault(path.parent.name, {}).update(layout.read_config(path))
    return _settings({**_index_settings(index, family.settings), **further})


def encoder_settings(family: Family, folder: Path | None = None) -> Options:
    """Return the settings of a model's text encoder, by the model's index.

    Args:
        folder: Of the whole model; None without an index.
    """
    index: Config = {} if folder is None else layout.read_config(layout.index_file(folder))
    return _settings(_index_settings(index, family.encoder_settings))


def published_settings(family: Family, layout: FileLayout, config: Config) -> Options:
    """What a denoiser heeds that comes without an index: what was published.

    Args:
        layout: How the denoiser lies in its file.
        config: Its configuration.
    """
    if not family.settings and not family.extra_configs:
        return ()
    return _settings({**family.settings, **layout.settings(config)})


def _index_settings(index: Config, settings: Config) -> Config:
    return {name: index.get(name, default) for name, default in settings.items()}


def vae_settings(family: Family) -> Options:
    """What a recipe keeps of a family's `vae_config`."""
    return _settings(family.vae_config)


def settings_of(options: Options) -> Config:
    """What a recipe's options say that its part heeds of an index."""
    settings: Config = json.loads(dict(options).get(SETTINGS, "{}"))
    return settings


def _settings(settings: Config) -> Options:
    return ((SETTINGS, json.dumps(settings, sort_keys=True)),) if settings else ()


def further_files(source: ModelSource, index: Config) -> list[Path]:
    """The further configurations of a model's folder; `index` is its ``model_index.json``."""
    paths = [source.path / name for name in get_family(source.family).extra_configs]
    return [path for path in paths if any(index.get(path.parent.name) or ()) and path.is_file()]


def stored_precision(dtype: str, weights: Sequence[Path], device: str) -> str:
    """The precision that ``auto`` means: of several files the first tells."""
    if dtype != "auto":
        return dtype
    if device == "cpu":
        return _cpu_precision(weights, device)
    if file_suffix(weights[0]) not in HEADED:
        return "float32"
    names = list(header_of(weights[0]).dtypes.values())
    if not QUANTIZED_BITS.keys().isdisjoint(names):
        return _WIDENED
    most = max(set(names), key=names.count) if names else "F32"
    return _STORED.get(most, "float32")


def _cpu_precision(files: Iterable[Path], device: str) -> str:
    """What ``auto`` means on a CPU for weights that are used together: by how many they are."""
    if not isinstance(device, CpuDevice):
        return "float32"
    headed = {path for path in files if file_suffix(path) in HEADED}
    shapes = (shape for path in headed for shape in header_of(path).shapes.values())
    return device.precision(sum(map(prod, shapes)))


def model_dtype(
    dtype: str, denoiser: Sequence[PartFiles], encoder: Sequence[PartFiles], device: str
) -> str:
    """A dtype with what ``auto`` means on a CPU, where a model and its text encoder share it.

    Autoencoders are float32 there: bfloat16 shows in what they decode, and saves little time.
    """
    if dtype != "auto" or device != "cpu":
        return dtype
    return port_precision(dtype, [*denoiser, *encoder], device)


def port_precision(dtype: str, parts: Sequence[PartFiles], device: str) -> str:
    """See `stored_precision`."""
    return stored_precision(dtype, [path for part in parts for path in part.weights], device)


def port_storage(
    storage: str, parts: Sequence[PartFiles], beginnings: tuple[str, ...] = ("",)
) -> tuple[tuple[str, str], ...]:
    """What weights are kept in, as an option of recipes; nothing where that is what they are
    computed in.

    Args:
        beginnings: Of the names of the tensors that count.
    """
    weights = [path for part in parts for path in part.weights if file_suffix(path) in HEADED]
    kinds = {
        kind
        for path in weights
        for name, kind in header_of(path).dtypes.items()
        if name.startswith(beginnings)
    }
    return storage_option(storage, kinds)


def vae_storage(source: ModelSource, parts: Sequence[PartFiles]) -> Options:
    """The storage of a model's VAE, as `port_storage` gives it: always that of its file.

    Only its own tensors count, so that a VAE is the same beside a quantized denoiser.
    """
    return port_storage(AUTO, parts, port_prefixes(source)[2])


def model_schedule(source: ModelSource) -> dict[str, Any]:
    """The noise that a model was trained on, as its scheduler file says it."""
    if source.is_folder:
        return folder_scheduler(source.path, get_family(source.family))
    family, within = get_family(source.family), denoiser_within(source)
    header = with_original_config(header_of(source.path), source.path)
    return published_schedule(header, family, within.layout, within.config)


def published_schedule(
    header: Header, family: Family, layout: FileLayout, config: Config
) -> dict[str, Any]:
    """The noise that a denoiser without a scheduler file was trained on: what was published with
    models of its kind, and what the file declares of itself; arguments as of `published_settings`.

    Raises:
        InvalidFile: That isn't known.
    """
    schedule = layout.scheduler(config)
    if not schedule and family.noise == "flow":
        raise InvalidFile(f"the noise schedule of {layout.title} is not known")
    return {**(schedule or checkpoint_scheduler(header, family)), **family.scheduler}


def model_configs(source: ModelSource) -> tuple[Config, Config | None]:
    """Of the denoiser and the VAE; None for the latter of models without one."""
    if not source.is_folder:
        return configs_within(source)
    family = get_family(source.family)
    denoiser = layout.read_config(source.path / family.denoisers[0].role / layout.CONFIG)
    if not family.latent.autoencoders:
        return denoiser, None
    return denoiser, layout.read_config(source.path / family.vae / layout.CONFIG)


# Parts of a single file: which tensors belong to which part


def ports_within(
    source: ModelSource, family: Family, folders: Sequence[Path]
) -> tuple[list[PartFiles], list[PartFiles], list[PartFiles]]:
    """The parts of a single file: the file itself, whichever part it is for."""
    from nodegraph.families.checkpoint_parts import find_checkpoint_parts

    shapes = header_of(source.path).shapes
    ports = find_checkpoint_parts(family, shapes)
    words = _tokenizers(source, family, shapes, ports[1], folders)
    denoiser, encoders, vae = (_within(source, family, parts) for parts in ports)
    return denoiser, [*encoders, *words], vae


def _within(source: ModelSource, family: Family, parts: Sequence[Part]) -> list[PartFiles]:
    from nodegraph.families.checkpoint_parts import CHECKPOINT

    shared = family.single_file is not None
    roles = [CHECKPOINT] if shared else [part.role for part in parts]
    return [PartFiles(role, [source.path], [source.path]) for role in roles]


def _tokenizers(
    source: ModelSource,
    family: Family,
    shapes: Shapes,
    encoders: Sequence[Part],
    folders: Sequence[Path],
) -> list[PartFiles]:
    """The tokenizers for a single file's encoders: Gemma's may be in the file; nothing where none
    are found."""
    from nodegraph.families.checkpoint_parts import get_checkpoint_part

    tokenizers = []
    for encoder, tokenizer in pair_tokenizers(family):
        if encoder not in encoders:
            continue
        if is_in_file(tokenizer, shapes):
            tokenizers.append(PartFiles(tokenizer.role, [source.path]))
            continue
        try:
            config = get_checkpoint_part(family, encoder, shapes).config
            words = int((config.get("text_config") or config)["vocab_size"])
        except DAMAGED as error:
            message = f"the text encoder in {source.path} is damaged: {fault_text(error)}."
            raise InvalidFile(message, hint="Copy the file again.") from error
        files = find_tokenizer(tokenizer, words, [*folders, source.path.parent])
        tokenizers.append(PartFiles(tokenizer.role, files))
    return tokenizers


def denoiser_within(source: ModelSource) -> CheckpointPart:
    """The denoiser.

    Raises:
        InvalidFile: It is damaged.
    """
    from nodegraph.families.checkpoint_parts import get_checkpoint_part

    family = get_family(source.family)
    try:
        return get_checkpoint_part(family, family.denoisers[0], header_of(source.path).shapes)
    except DAMAGED as error:
        message = f"the denoiser in {source.path} is damaged: {fault_text(error)}."
        raise InvalidFile(message, hint="Copy the file again.") from error


def configs_within(source: ModelSource) -> tuple[Config, Config | None]:
    """The configurations of the denoiser and the VAE; None for the latter of models without one."""
    from nodegraph.families.checkpoint_parts import denoiser_config, get_checkpoint_part, vae_part

    shapes, family = header_of(source.path).shapes, get_family(source.family)
    if not family.latent.autoencoders:
        return denoiser_config(shapes, family), None
    autoencoder = get_checkpoint_part(family, vae_part(family.vae, family.latent), shapes)
    return denoiser_config(shapes, family), autoencoder.config


def port_prefixes(source: ModelSource) -> tuple[tuple[str, ...], ...]:
    """What names of tensors begin with, by port; all do in a folder's files."""
    if source.is_folder or file_suffix(source.path) != SAFETENSORS:
        return ("",), ("",), ("",)
    from nodegraph.families.checkpoint_parts import checkpoint_prefix, find_checkpoint_parts

    family = get_family(source.family)
    shapes = read_header(source.path).shapes
    return tuple(
        tuple(checkpoint_prefix(family, part, shapes) for part in parts)
        for parts in find_checkpoint_parts(family, shapes)
    )
