"""Folders of transformers to models that see. Imports no torch, and reads no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.core.digests import digest_value
from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests
from nodegraph.core.values import PipelineComponent, RecipeFile
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.file_stamps import file_stamp
from nodegraph.diffusion.model_files import PartFiles, port_precision, weighty_folder
from nodegraph.diffusion.models import find_path
from nodegraph.diffusion.opening import DTYPES, lacks_float16
from nodegraph.diffusion.vision_classes import TASKS, architecture
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, NodegraphError
from nodegraph.pipelines.opening import LIBRARY
from nodegraph.vision.values import VisionModel

PREPARATION = "preprocessor_config.json"
_WORDS = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
          "special_tokens_map.json")  # fmt: skip
_WHERE = (
    "Copy the model's folder (config.json, preprocessor_config.json and model.safetensors) under a "
    "models folder, such as models/segment/sam2-hiera-tiny, and name it as it lies there."
)


@dataclass(frozen=True, slots=True)
class VisionFolder:
    """A model's folder, and what its configuration says."""

    path: Path
    class_name: str
    config: Mapping[str, Any]
    files: PartFiles

    @property
    def words(self) -> list[Path]:
        """Files of a tokenizer."""
        return [self.path / name for name in _WORDS if (self.path / name).is_file()]

    @property
    def all_files(self) -> list[Path]:
        """All that is read of it."""
        preparation = self.path / PREPARATION
        return sorted({*self.files.files, *self.words, *([preparation] * preparation.is_file())})


def find_vision_folder(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False
) -> VisionFolder:
    """The folder that a name means, if a model that sees is in it.

    Raises:
        ModelNotFound: There is nothing of that name; says where such models go.
        InvalidFile: It is no such model, brings code of its own, or is incomplete.
        UnsafeFile: Its weights have to be unpickled, and that isn't allowed.
    """
    try:
        path = find_path(name, folders)
    except ModelNotFound as error:
        found = error.problem
        hint = f"{found.hint} {_WHERE}" if found.hint else _WHERE
        raise ModelNotFound(found.message, given=found.given, hint=hint) from error
    path = path.parent if path.is_file() else path
    if not (path / layout.CONFIG).is_file():
        raise InvalidFile(f"{path} has no {layout.CONFIG}.", expected=_expected(), hint=_WHERE)
    config = layout.read_config(path / layout.CONFIG)
    files = weighty_folder(path, "model", allow_pickle=allow_pickle)
    return VisionFolder(path, _class_name(path, config), config, files)


def _class_name(path: Path, config: Mapping[str, Any]) -> str:
    given = architecture(config)
    if given in TASKS:
        return given
    if config.get("auto_map"):
        raise InvalidFile(
            f"{path} is a {given}, which brings code of its own, and that isn't run here.",
            expected=_expected(),
            hint="SegmentAnything with a box, and RefineMask after it, cut out things as finely.",
        )
    what = f"is a {given}, which" if given else "names no class, and"
    raise InvalidFile(f"{path} {what} isn't a model that sees.", expected=_expected())


def _expected() -> str:
    return "a folder of transformers with one of " + ", ".join(TASKS)


def open_vision_model(
    name: str,
    folders: Sequence[Path],
    *,
    dtype: str = "auto",
    device: str = "cpu",
    digests: FileDigests | None = None,
    allow_pickle: bool = False,
) -> VisionModel:
    """A model that sees; nothing is loaded yet.

    Args:
        dtype, device, digests: As for `nodegraph.diffusion.opening.open_model`.
    Raises:
        InvalidValue: No such dtype.
        NodegraphError: See `find_vision_folder`.
    """
    if dtype not in DTYPES:
        raise InvalidValue(f"no precision is called {dtype!r}", expected=", ".join(DTYPES))
    folder = find_vision_folder(name, folders, allow_pickle=allow_pickle)
    known = digests or FILE_DIGESTS
    precision = port_precision(dtype, [folder.files], device)
    model = _component(folder.class_name, "model", folder.files.files, precision, known)
    words = None
    if TASKS[folder.class_name] == "text":
        words = _component("CLIPTokenizer", "tokenizer", folder.words, "float32", known)
    preparation = folder.path / PREPARATION
    return VisionModel(
        model,
        layout.read_config(preparation) if preparation.is_file() else {},
        words,
        labels_of(folder.config),
    )


def _component(
    class_name: str, role: str, files: Sequence[Path], dtype: str, digests: FileDigests
) -> PipelineComponent:
    return PipelineComponent(
        class_name,
        tuple(RecipeFile(role, str(path), digests.digest(path)) for path in sorted(files)),
        dtype,
        ((LIBRARY, "transformers"),),
    )


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes that a configuration tells of, in their order."""
    named = config.get("id2label")
    if not isinstance(named, Mapping):
        return ()
    try:
        return tuple(str(named[key]) for key in sorted(named, key=int))
    except (TypeError, ValueError) as error:
        raise InvalidFile(f"its {layout.CONFIG} numbers its classes by no numbers") from error


def vision_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_vision_model` would give something else for the same name.

    Raises:
        NodegraphError: See `find_vision_folder`.
    """
    folder = find_vision_folder(name, folders, allow_pickle=allow_pickle)
    return digest_value([*map(file_stamp, folder.all_files), device, lacks_float16(device)])


def vision_bytes(name: str, folders: Sequence[Path], *, allow_pickle: bool = False) -> int | None:
    """Bytes that its weights take on disk; None where there is no such model."""
    try:
        folder = find_vision_folder(name, folders, allow_pickle=allow_pickle)
    except NodegraphError:
        return None
    return sum(path.stat().st_size for path in folder.files.weights)
