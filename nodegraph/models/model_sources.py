"""Find, list and identify models on disk.

Imports no torch, and reads no weights, so that listing models is quick.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import is_well_formed, to_well_formed
from nodegraph.core.weight_files import (
    HEADED,
    LEFT_OUT,
    PICKLES,
    file_suffix,
    without_ending,
)
from nodegraph.errors import InvalidFile, ModelNotFound, NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Config, Family, Part
from nodegraph.families.embedded_models import (
    CONTROL,
    EMBEDDED,
    control_folder,
    embedded_folder,
)
from nodegraph.families.identification import (
    LOAD_CONTROL,
    LOAD_DENOISER,
    LOAD_INVERSION,
    LOAD_LORA,
    LOAD_MODEL,
    LOAD_PIPELINE,
    LOAD_VISION,
    NO_READER,
    Identification,
    denoisers_of_class,
    has_class,
    identify_folder,
    supported,
)
from nodegraph.families.registry import FAMILIES, call_family, families_of_pipeline
from nodegraph.families.scheduler_file import folder_scheduler
from nodegraph.weights.attached_models import (
    ListedModel,
    RemoteStore,
    find_remote,
    find_remote_store,
    shown_folders,
    whole_size,
)
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.safetensors_header import UNDERSTOOD, read_header

if TYPE_CHECKING:
    from nodegraph.models.model_library import ModelRecord

_Mark: TypeAlias = tuple[tuple[str, int, int, int], ...]


class KnownModels:
    """The models under some folders; safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Path], tuple[_Mark, FoundModel]] = {}

    def list(self, folders: Sequence[Path]) -> list[FoundModel]:
        """As `list_models`, with records; files are read that are new, or were written since."""
        from nodegraph.models.model_library import read_facts

        described: dict[tuple[str, Path], tuple[_Mark, FoundModel]] = {}

        def describe(name: str, path: Path, kind: ModelKind) -> FoundModel:
            # Looked at before it is read: what changes meanwhile is read again the next time.
            mark = _mark(path)
            known = self._known.get((name, path))
            if known is None or known[0] != mark:
                model = describe_model(name, path, kind)
                known = mark, replace(model, record=read_facts(path))
            described[name, path] = known
            return known[1]

        models = list_models(folders, describe)
        self._known = described
        return models

    def get(self, name: str, folders: Sequence[Path]) -> FoundModel | None:
        """The model of that name, of a remote one with what its outline tells; None if there is
        none.

        Raises:
            InvalidFile: It is remote, and can't be had.
        """
        model = self._named(name, folders)
        if model is None or model.is_looked_at:
            return model
        find_remote(name, folders)
        return self._named(name, folders)

    def _named(self, name: str, folders: Sequence[Path]) -> FoundModel | None:
        return next((model for model in self.list(folders) if model.name == name), None)


def _mark(path: Path) -> _Mark:
    """What changes when a file, or any in a folder, is written, replaced or made readable.

    Files beside it that tell something of it count.
    """
    from nodegraph.models.model_library import facts_files

    return tuple(_of(file) for file in sorted([*all_below(path), *facts_files(path)]))


def _of(file: Path) -> tuple[str, int, int, int]:
    try:
        status = os.stat(file)  # noqa: PTH116 - of hundreds of files
    except OSError:
        return str(file), -1, 0, 0
    return str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns


ModelKind = Literal["diffusers", "checkpoint", "embedded"]
_LORA = "pytorch_lora_weights.safetensors"
_UPSCALER = "upscaler.safetensors"


Use = Literal["model", "lora", "embedding"]
_USES: Mapping[str | None, Use] = {LOAD_LORA: "lora", LOAD_INVERSION: "embedding"}


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A file or folder in the models folders that may be a model.

    Attributes:
        name: Path relative to its models folder, with forward slashes, as for LoadModel.
        family: For example ``sd1``. None if it cannot be used or fits several families.
        path: For a remote model, the path of its local outline.
        bytes: Size on disk or in the remote store. 0 for a remote model not inspected yet.
        problem: Why it cannot be used. None if it can.
        part: Title of a part of a model, such as "the transformer of Flux.1" or "a LoRA". None
            for whole models and for files that cannot be used.
        node: The node that loads it. None if there is none.
        remote_url: URL of the remote store, if it is downloaded on use.
        record: What else is known about it; None where it was not asked for.
    """

    name: str
    path: Path
    kind: ModelKind
    family: str | None
    bytes: int
    problem: str | None = None
    part: str | None = None
    node: str | None = None
    remote_url: str | None = None
    record: ModelRecord | None = None

    @property
    def is_looked_at(self) -> bool:
        """False for a remote model of which only the name is known."""
        return self.remote_url is None or bool(self.bytes or self.problem)

    @property
    def use(self) -> Use:
        """The kind of `File` input that accepts it."""
        return _USES.get(self.node, "model")


Describe = Callable[[str, Path, ModelKind], FoundModel]
"""Says what a file or folder is, by the name that it goes by."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that was found and whose architecture is supported.

    Attributes:
        name: The requested name.
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


def _item_folders() -> Iterator[Path]:
    """Where small models of other things than images lie that come with the package."""
    return (path.parent for path in (embedded_folder().parent / "items").glob(f"*/{layout.CONFIG}"))


def _has_embedded() -> bool:
    return (embedded_folder() / layout.INDEX).is_file()


def _embedded() -> Iterator[tuple[str, Path]]:
    """What comes with the package and has a node that takes it, by name."""
    if _has_embedded():
        yield EMBEDDED, embedded_folder()
    for file in (_LORA, _UPSCALER):
        for path in embedded_folder().parent.glob(f"companions/*/{file}"):
            yield f"{EMBEDDED}/{path.parent.name}", path
    if control_folder().is_dir():
        yield f"{EMBEDDED}/{CONTROL}", control_folder()
    for path in sorted(_item_folders()):
        yield f"{EMBEDDED}/{path.name}", path


def list_models(folders: Sequence[Path], describe: Describe | None = None) -> list[FoundModel]:
    """List all models in the folders, and the embedded one with its LoRAs, by name.

    If several have the same name, only the first is listed, as the name refers to it. A remote
    model without a local outline has only a name: listing sends no request for it.

    Args:
        describe: Replaces `describe_model`, which reads headers.
    """
    models: dict[str, FoundModel] = {}
    describe = describe or describe_model
    for name, path in _embedded():
        models[name] = describe(name, path, "embedded")
    for folder in folders:
        remote = find_remote_store(folder)
        if remote is not None:
            for model in _remote_models(remote, describe):
                models.setdefault(model.name, model)
            continue
        for path in model_files(folder):
            name = path.relative_to(folder).as_posix()
            if name not in models:
                models[name] = describe(name, path, _kind(path))
    return [models[name] for name in sorted(models)]


def _remote_models(remote: RemoteStore, describe: Describe) -> Iterator[FoundModel]:
    for listed in remote.list_models():
        if listed.outline is None:
            yield _by_name(listed, remote)
            continue
        # An outline is a folder of models with one in it.
        for path in model_files(listed.outline):
            name = path.relative_to(listed.outline).as_posix()
            yield replace(describe(name, path, _kind(path)), remote_url=remote.url)


def _by_name(listed: ListedModel, remote: RemoteStore) -> FoundModel:
    kind: ModelKind = "checkpoint" if file_suffix(Path(listed.name)) in HEADED else "diffusers"
    path, problem = remote.root / listed.name, listed.problem
    return FoundModel(listed.name, path, kind, None, 0, problem, remote_url=remote.url)


def locate_model(name: str, folders: Sequence[Path], *, allow_pickle: bool = False) -> ModelSource:
    """Find the model with a name.

    Args:
        name: ``tiny`` for the embedded model, a name in the folders (the first match wins;
            ``.safetensors`` may be omitted), or a path.
        allow_pickle: Whether pickle files may be opened.
    Raises:
        ModelNotFound: There is no model with this name.
        UnsafeFile: It is a pickle file, and these are not allowed.
        InvalidFile: It is damaged, incomplete or of an unsupported family.
    """
    path = find_path(name, folders)
    kind: ModelKind = "embedded" if path == embedded_folder() else _kind(path)
    identified = _identify(path, allow_pickle)
    if identified.family is None:
        families = supported(in_files=not path.is_dir())
        form = UNDERSTOOD if identified.hint else f"a whole model of {families}"
        raise InvalidFile(f"{path} is {identified.refusal}", expected=form, hint=identified.hint)
    return ModelSource(name, path, kind, identified.family.name)


KIND_FOLDERS = (
    *("checkpoints", "diffusion_models", "unet", "text_encoders", "clip", "vae", "loras"),
    *("controlnet", "model_patches", "clip_vision", "style_models", "upscale_models"),
    *("embeddings", "ipadapter", "latent_upscale_models", "vae_approx", "background_removal"),
    *("gligen", "frame_interpolation"),
    *("audio_encoders", "geometry_estimation", "detection", "sams", "onnx"),
    *("ultralytics", "ultralytics/bbox", "ultralytics/segm"),
    *("Stable-diffusion", "Lora", "VAE", "ControlNet", "ESRGAN"),
)
"""Folders of models, one for each kind, as ComfyUI and A1111 have them: names leave them out."""


def find_path(name: str, folders: Sequence[Path]) -> Path:
    """The file or folder that a name means, in the folders or in one of theirs for a kind.

    Of a remote model, which is looked for last, it is the outline.

    Raises:
        ModelNotFound: There is nothing of that name.
    """
    if name == EMBEDDED and _has_embedded():
        return embedded_folder()
    if name == f"{EMBEDDED}/{CONTROL}":
        return control_folder()
    for folder in _item_folders() if name.startswith(f"{EMBEDDED}/") else ():
        if name == f"{EMBEDDED}/{folder.name}":
            return folder
    if name.strip():
        places = [folder / name for folder in folders] + [Path(name).expanduser()]
        places += [folder / kind / name for folder in folders for kind in KIND_FOLDERS]
        for candidate in places:
            longer = (candidate.with_name(candidate.name + suffix) for suffix in LEFT_OUT)
            for path in (candidate, *longer):
                if _exists(path):
                    return path
        remote = find_remote(name, folders)
        if remote is not None:
            return remote
    raise _not_found(name, folders)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # A name too long for the file system, or with a zero byte, names nothing.
        return False


def _not_found(name: str, folders: Sequence[Path]) -> ModelNotFound:
    known = [
        path.relative_to(folder).as_posix() for folder in folders for path in model_files(folder)
    ]
    places = [remote for folder in folders if (remote := find_remote_store(folder)) is not None]
    known += [model.name for remote in places for model in remote.list_models()]
    if file_suffix(Path(name)) not in HEADED:
        # Compared as names are mostly given: endings that all have would make all look alike.
        known = [without_ending(item) for item in known]
    known += [EMBEDDED] if _has_embedded() else []
    embedded = (control_folder(), *_item_folders())
    known += [f"{EMBEDDED}/{folder.name}" for folder in embedded if _exists(folder)]
    searched = ", ".join(shown_folders(folders)) or "no models folder"
    return ModelNotFound(
        f"there is no model `{name}`; searched {searched}",
        given=name,
        hint=did_you_mean(name, known) if name else "Choose a model.",
    )


def model_files(folder: Path) -> Iterator[Path]:
    """Files and folders that look like models or parts of some, without descending into model
    folders.

    Names that are no UTF-8 are left out: neither a workflow nor an answer of the server holds them.
    """
    visited = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in visited:
            # A link back to where we have been.
            folders.clear()
            continue
        visited.add(real)
        if layout.INDEX in files or layout.MODULAR_INDEX in files:
            folders.clear()
            yield Path(root)
            continue
        folders[:] = sorted(filter(_is_shown, folders))
        for name in sorted(filter(_is_shown, files)):
            path = Path(root) / name
            if file_suffix(path) in {*HEADED, *PICKLES} and not _is_special(path):
                yield path


def _is_special(path: Path) -> bool:
    """Whether it is a pipe or a device, whose reading never ends."""
    return path.exists() and not path.is_file()


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and is_well_formed(name)


def describe_model(name: str, path: Path, kind: ModelKind) -> FoundModel:
    """What a file or folder is, by its headers."""
    from nodegraph.families.helper_networks import vision_class_beside

    size = _size(path)
    seeing = vision_class_beside(path) if path.is_file() else None
    if seeing is not None:
        part = f"a vision model ({seeing})"
        return FoundModel(name, path, kind, None, size, part=part, node=LOAD_VISION)
    try:
        identified = _identify(path, allow_pickle=False)
    except NodegraphError as error:
        # Headers are JSON, whose texts may hold halves of surrogate pairs.
        return FoundModel(name, path, kind, None, size, to_well_formed(str(error)))
    if identified.family is not None:
        return FoundModel(name, path, kind, identified.family.name, size, node=LOAD_MODEL)
    parts = identified.parts
    if not parts:
        refusal = to_well_formed(f"It is {identified.refusal}.")
        problem = None if identified.node else refusal
        what, node = identified.title if identified.node else None, identified.node
        return FoundModel(name, path, kind, None, size, problem, what, node)
    # Text encoders and VAEs are mostly shared; of denoisers the likeliest is told.
    families = {part.family.name for part in parts}
    is_denoiser = identified.node == LOAD_DENOISER
    family = parts[0].family.name if is_denoiser or len(families) == 1 else None
    title, node = identified.title, identified.node
    return FoundModel(name, path, kind, family, size, part=title, node=node)


def all_below(path: Path) -> list[Path]:
    """Files and folders in a folder and in those in it; the path itself if it is none.

    Unlike `Path.rglob` it bears that folders go while they are read.
    """
    if not path.is_dir():
        return [path]
    return [
        Path(root) / name for root, folders, files in os.walk(path) for name in (*folders, *files)
    ]


def _size(path: Path) -> int:
    return sum(map(_bytes, all_below(path)))


def _bytes(path: Path) -> int:
    """Of a file; 0 of anything else, and of one that has gone meanwhile."""
    try:
        return whole_size(path, path.stat().st_size) if path.is_file() else 0
    except OSError:
        return 0


def _kind(path: Path) -> ModelKind:
    return "diffusers" if path.is_dir() else "checkpoint"


def _identify(path: Path, allow_pickle: bool) -> Identification:
    if not path.is_dir():
        from nodegraph.families.identification import identify_tensors

        return identify_tensors(file_shapes(path, allow_pickle))
    if (path / layout.CONFIG).is_file():
        part = _control_in(path) or _denoiser_in(path, allow_pickle)
        if part is not None:
            return part
    if not layout.is_whole_model(path):
        raise InvalidFile(
            f"{path} is not a model folder: it has no {layout.INDEX}",
            hint="Choose a folder in the diffusers layout or a single .safetensors file.",
        )
    class_name = str(layout.read_config(layout.index_file(path)).get("_class_name"))
    families = families_of_pipeline(class_name)
    if not families:
        known = _is_of_diffusers(class_name)
        title = f"a {class_name}" if known else f"a {class_name}, {NO_READER}"
        is_run = known and "Modular" not in class_name
        return Identification(title, node=LOAD_PIPELINE if is_run else None)
    identified = identify_folder(class_name, _part_configs(path, families))
    if identified.family is not None:
        _check_folder(path, identified.family, allow_pickle)
    return identified


def _is_of_diffusers(class_name: str) -> bool:
    """Whether the installed diffusers exports a class. It is not imported, which takes seconds."""
    spec = find_spec("diffusers")
    names = Path(spec.origin).read_text("utf-8") if spec is not None and spec.origin else ""
    return f'"{class_name}"' in names


def _control_in(path: Path) -> Identification | None:
    """The control network that a folder of its own holds; None where it is something else."""
    config = layout.read_config(path / layout.CONFIG)
    class_name = str(config.get("_class_name"))
    families = (
        family
        for family in FAMILIES.values()
        if call_family(family, lambda each: each.leads(class_name, config), otherwise=False)
    )
    title = next((f"a {class_name} for {family.title}" for family in families), None)
    return None if title is None else Identification(title, node=LOAD_CONTROL)


def _denoiser_in(path: Path, allow_pickle: bool) -> Identification | None:
    """The denoiser that a folder of its own holds; None where it is something else."""
    from nodegraph.families.identification import identify_parts, identify_tensors

    if layout.is_whole_model(path):
        return None  # of a whole model
    class_name = str(layout.read_config(path / layout.CONFIG).get("_class_name") or "")
    is_known = any(has_class(family, class_name) for family in FAMILIES.values())
    try:
        weights = layout.find_weights(path.parent, path.name, allow_pickle=allow_pickle)
    except InvalidFile:
        if is_known:
            raise
        return None
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weights.files:
        shapes.update(file_shapes(file, allow_pickle))
    identified = identify_tensors(shapes)
    if identified.node != LOAD_DENOISER:
        return identified if is_known else None
    if class_name:
        return identify_parts(shapes, denoisers_of_class(path, class_name, shapes))
    return identified


def _part_configs(path: Path, families: Sequence[Family]) -> dict[str, Config]:
    """The configurations of the parts that are there."""
    roles = {
        role
        for family in families
        for role in (family.vae, *(part.role for part in (*family.denoisers, *family.encoders)))
    }
    files = {role: path / role / layout.CONFIG for role in sorted(roles)}
    return {role: layout.read_config(file) for role, file in files.items() if file.is_file()}


def _check_folder(path: Path, family: Family, allow_pickle: bool) -> None:
    """Find what is missing or damaged, from headers."""
    layout.check_complete(path, family)
    for part in (*family.denoisers, Part(family.vae, ()), *family.encoders):
        if (path / part.role / layout.CONFIG).is_file():
            _check_weights(layout.find_weights(path, part.role, allow_pickle=allow_pickle))
    folder_scheduler(path, family)


def _check_weights(weights: layout.ComponentFiles) -> None:
    if not weights.is_pickle:
        for path in weights.files:
            read_header(path)


def file_shapes(path: Path, allow_pickle: bool) -> Mapping[str, tuple[int, ...]]:
    """Shapes of all tensors in a file, by name.

    Raises:
        UnsafeFile: It is a pickle file, and those aren't allowed.
        InvalidFile: It is no model file, or damaged.
    """
    if file_suffix(path) not in HEADED | PICKLES:
        raise InvalidFile(
            f"{path} is not a model file", expected="a .safetensors file or a diffusers folder"
        )
    if file_suffix(path) in PICKLES and not allow_pickle:
        raise layout.unsafe(path)
    return header_of(path).shapes
