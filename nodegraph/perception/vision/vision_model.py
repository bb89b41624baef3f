"""Find and open vision models in folders and files. No torch, no weights read."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from nodegraph.core.digests import digest_value
from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests
from nodegraph.core.ports import port_type
from nodegraph.core.values import PipelineComponent, RecipeFile, VisionNetwork
from nodegraph.core.weight_files import PartFiles, file_stamp
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families import helper_networks as helpers
from nodegraph.families.helper_networks import (
    NATIVE_CLASSES,
    ONNX_DETECTOR,
    TASKS,
    Task,
    architecture,
    foreground_class,
    published_preparation,
)
from nodegraph.families.identification import identify_tensors
from nodegraph.interop.pipelines.pipeline_recipes import GENERATION, LIBRARY
from nodegraph.models.model_files import (
    folder_part_files,
    lacks_float16,
    locate_transformers_model,
    port_precision,
    read_configuration,
)
from nodegraph.models.model_recipes import DTYPES
from nodegraph.models.model_sources import file_shapes
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.safetensors_header import Shapes

NODE_BY_TASK: Mapping[Task, str] = MappingProxyType(
    {
        "points": "SegmentAnything",
        "text": "SegmentByText",
        "classes": "SegmentClass",
        "matting": "RefineMask",
        "depth": "EstimateDepth",
        "foreground": "ForegroundMask",
        "pose": "EstimatePose",
        "boxes": "DetectThings",
        "captions": "CaptionImage",
    }
)
"""Nodes, by what they need."""


@port_type(color="#7fa8c9")
@dataclass(frozen=True, slots=True)
class VisionModel:
    """A model that sees: what it is made of, not its weights.

    Attributes:
        model: Recipe of its weights; the family is its class in transformers, or its
            architecture.
        preparation: What ``preprocessor_config.json`` says: how images are prepared for it.
        tokenizer: Of a model that reads words, in a folder. A file without one is of SAM 3, whose
            words are CLIP's, which are built in.
        labels: Names of the classes that it knows, in their order.
    """

    model: PipelineComponent | VisionNetwork
    preparation: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: PipelineComponent | None = None
    labels: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What it does."""
        return TASKS[self.model.family]


KINDS = (
    "a file of BiRefNet, RMBG, ISNet, U²-Net, Depth Anything V2, SAM or SAM 3, an ONNX file of a "
    "detector"
)
_ELSEWHERE = {
    "pretrained.": (
        "a Depth Anything of another kind",
        "depth-anything/Depth-Anything-V2-Small-hf",
    ),
    "image_encoder.trunk.": ("SAM 2", "facebook/sam2-hiera-tiny"),
    "image_encoder.blocks.": ("SAM-HQ", "syscv-community/sam-hq-vit-base"),
}
"""Files in namings of their own, by how their tensors' names begin: what each is, and the folder
that transformers reads."""


def class_from_shapes(shapes: Shapes) -> str | None:
    """The class of what a file holds; None where that needs a configuration."""
    if helpers.is_depth(shapes):
        return helpers.DEPTH_ANYTHING
    if helpers.is_sam3(shapes):
        return helpers.SAM3
    return helpers.SAM if helpers.is_sam(shapes) else foreground_class(shapes)


def published_preprocessing(class_name: str, shapes: Shapes) -> Mapping[str, Any]:
    """How images are prepared for it, where nothing beside it says so."""
    if class_name == helpers.SAM3:
        return {}
    sam = helpers.sam_shape(shapes) if class_name == helpers.SAM else None
    if sam is not None:
        return helpers.sam_preparation(sam)
    return (
        helpers.PREPARATION
        if class_name == helpers.DEPTH_ANYTHING
        else published_preparation(shapes)
    )


def options_from_name(class_name: str, path: Path) -> tuple[tuple[str, str], ...]:
    """What of it only the file's name tells, as options of recipes."""
    is_metric = class_name == helpers.DEPTH_ANYTHING and helpers.METRIC in path.name.lower()
    return ((helpers.METRIC, "on"),) if is_metric else ()


def unsupported_file_error(path: Path, shapes: Shapes, expected: str, where: str) -> InvalidFile:
    """Why a file without a configuration beside it can't be used.

    Args:
        expected: What can be.
        where: What to do if it isn't known.
    """
    for name, (title, folder) in _ELSEWHERE.items():
        if any(item.startswith(name) for item in shapes):
            return InvalidFile(
                f"{path} holds only the weights of {title}, with the tensor names of its authors",
                expected="the folder for transformers, with its config.json",
                hint=f"Get {folder} as a folder, and choose that.",
            )
    identified = identify_tensors(shapes)
    return InvalidFile(
        f"{path} is {identified.title}, and there is no {layout.CONFIG} next to it",
        expected=expected,
        hint=f"Load it with {identified.node}." if identified.node else where,
    )


PREPROCESSOR_FILE = "preprocessor_config.json"
PROCESSOR_FILE = "processor_config.json"
_WORDS = ("vocab.json", "vocab.txt", "merges.txt", "tokenizer.json", "tokenizer_config.json",
          "special_tokens_map.json", "added_tokens.json")  # fmt: skip
_ROLE = "model"
_WHERE = (
    "Copy the model's folder (config.json, preprocessor_config.json and model.safetensors) "
    "into a models folder, for example models/segment/sam2-hiera-tiny, and choose it by "
    "that name."
)


@dataclass(frozen=True, slots=True)
class VisionFolder:
    """A model's folder, and what its configuration says.

    Attributes:
        is_file: It is a file by itself: what else lies in the folder is of no effect.
    """

    path: Path
    class_name: str
    config: Mapping[str, Any]
    files: PartFiles
    is_file: bool = False

    @property
    def tokenizer_files(self) -> list[Path]:
        """Files of a tokenizer."""
        return [self.path / name for name in _WORDS if (self.path / name).is_file()]

    @property
    def all_files(self) -> list[Path]:
        """All that is read of it."""
        further = (PREPROCESSOR_FILE, PROCESSOR_FILE, GENERATION)
        optional = [self.path / name for name in further if not self.is_file]
        existing = [path for path in optional if path.is_file()]
        return sorted({*self.files.files, *self.tokenizer_files, *existing})


def find_vision_folder(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False
) -> VisionFolder:
    """The folder that a name means, if a model that sees is in it.

    Raises:
        ModelNotFound: There is nothing of that name; says where such models go.
        InvalidFile: It is no such model, brings code of its own, or is incomplete.
        UnsafeFile: Its weights have to be unpickled, and that isn't allowed.
    """
    path = _locate(name, folders)
    if path.is_file():
        alone = _alone(path, allow_pickle)
        if alone is not None:
            return alone
        path = path.parent
    config = read_configuration(path, expected=_expected(), where=_WHERE)
    files = folder_part_files(path, _ROLE, allow_pickle=allow_pickle)
    name = _class_name(path, config)
    if name in NATIVE_CLASSES:
        name = _own_network(files.weights)
    return VisionFolder(path, name, config, files)


ONNX = ".onnx"
_CHECKPOINT = ".pt"


def _locate(name: str, folders: Sequence[Path]) -> Path:
    """The folder or file that a name means; of a detector that is not exported, how to do that."""
    try:
        return locate_transformers_model(name, folders, where=_WHERE)
    except ModelNotFound:
        if name.endswith(ONNX):
            checkpoint = name.removesuffix(ONNX) + _CHECKPOINT
            try:
                path = locate_transformers_model(checkpoint, folders, where=_WHERE)
            except ModelNotFound:
                pass  # then the first error tells what lacks
            else:
                raise _not_exported(path) from None
        raise


def _not_exported(path: Path) -> InvalidFile:
    return InvalidFile(
        f"{path} is a checkpoint of PyTorch, which contains code of the package it was made with",
        expected=f"the same detector as an ONNX file, {path.with_suffix(ONNX).name}",
        hint=f"If it is a YOLO model, run `yolo export model={path.name} format=onnx` where the "
        "package ultralytics is installed, and put the file next to it. If it is SAM or SAM 3, "
        "get its .safetensors file.",
    )


def _alone(path: Path, allow_pickle: bool) -> VisionFolder | None:
    """What is in a file that needs no configuration."""
    if path.suffix == ONNX:
        files = PartFiles(_ROLE, [path], [path])
        return VisionFolder(path.parent, ONNX_DETECTOR, _onnx_config(path), files, is_file=True)
    is_checkpoint = path.suffix == _CHECKPOINT
    try:
        shapes = file_shapes(path, allow_pickle)
    except NodegraphError:
        if is_checkpoint:
            raise _not_exported(path) from None
        raise
    name = class_from_shapes(shapes)
    if name is None and is_checkpoint:
        raise _not_exported(path)
    if name is not None:
        return VisionFolder(path.parent, name, {}, PartFiles(_ROLE, [path], [path]), is_file=True)
    if not (path.parent / layout.CONFIG).is_file():
        raise unsupported_file_error(path, shapes, _expected(), _WHERE)
    return None


def _own_network(weights: Sequence[Path]) -> str:
    shapes = {name: shape for path in weights for name, shape in file_shapes(path, True).items()}
    name = foreground_class(shapes)
    if name is None:
        raise InvalidFile(
            f"{weights[0]} is an unsupported kind of BiRefNet or ISNet",
            expected="BiRefNet with a Swin transformer (general, lite, HR, matting, RMBG-2.0 and "
            "others), or ISNet, RMBG-1.4 or U²-Net",
        )
    return name


def _class_name(path: Path, config: Mapping[str, Any]) -> str:
    class_name = architecture(config)
    if class_name in TASKS:
        if class_name.startswith("Florence2") and config.get("auto_map"):
            raise InvalidFile(
                f"{path} has the weights of Florence-2 with the tensor names of its authors",
                expected="a folder for transformers",
                hint="Get florence-community/Florence-2-base as a folder, and choose that.",
            )
        return class_name
    if config.get("auto_map"):
        raise InvalidFile(
            f"{path} is a {class_name}, which contains its own code; nodegraph does not run it",
            expected=_expected(),
            hint="BiRefNet, RMBG, ISNet and U²-Net are built in: load their weights file only.",
        )
    what = f"is a {class_name}, which" if class_name else "names no class, and"
    raise InvalidFile(f"{path} {what} is not a vision model", expected=_expected())


def _expected() -> str:
    known = ", ".join(name for name in TASKS if name not in NATIVE_CLASSES)
    return f"{KINDS}, or a transformers folder with one of {known}"


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
        dtype, device, digests: As for `nodegraph.models.model_recipes.open_model`.
    Raises:
        InvalidValue: No such dtype.
        NodegraphError: See `find_vision_folder`.
    """
    if dtype not in DTYPES:
        raise InvalidValue(f"there is no precision {dtype!r}", expected=", ".join(DTYPES))
    folder = find_vision_folder(name, folders, allow_pickle=allow_pickle)
    known = digests or FILE_DIGESTS
    precision = port_precision(dtype, [folder.files], str(device))
    model = _network(folder, precision, known)
    words = None
    if TASKS[folder.class_name] == "text" and not folder.is_file:
        words = _component("CLIPTokenizer", "tokenizer", folder.tokenizer_files, "float32", known)
    elif TASKS[folder.class_name] == "captions":
        if not folder.tokenizer_files:
            raise InvalidFile(f"{folder.path} has no tokenizer", expected=_WORDS[0], hint=_WHERE)
        files = [folder.path / layout.CONFIG, *folder.tokenizer_files]
        words = _component("AutoTokenizer", "tokenizer", files, "float32", known)
    return VisionModel(model, _preparation(folder), words, class_labels(folder.config))


def _network(
    folder: VisionFolder, dtype: str, digests: FileDigests
) -> PipelineComponent | VisionNetwork:
    if folder.class_name not in NATIVE_CLASSES and not folder.is_file:
        generation = folder.path / GENERATION
        files = [*folder.files.files, *([generation] if generation.is_file() else [])]
        return _component(folder.class_name, _ROLE, files, dtype, digests)
    # A network is told by its tensors: what else lies beside them is of no effect.
    weights = sorted(folder.files.weights)
    recipe_files = (RecipeFile(_ROLE, str(path), digests.digest(path)) for path in weights)
    options = options_from_name(folder.class_name, weights[0])
    return VisionNetwork(folder.class_name, tuple(recipe_files), dtype, options)


def _preparation(folder: VisionFolder) -> Mapping[str, Any]:
    path = folder.path / PREPROCESSOR_FILE
    settings = layout.read_config(path) if not folder.is_file and path.is_file() else {}
    whole = folder.path / PROCESSOR_FILE
    if not settings and not folder.is_file and whole.is_file():
        settings = layout.read_config(whole).get("image_processor") or {}
    if folder.class_name not in NATIVE_CLASSES and not folder.is_file:
        return settings
    if folder.class_name == ONNX_DETECTOR:
        return {}
    shapes = file_shapes(folder.files.weights[0], True)
    return {**published_preprocessing(folder.class_name, shapes), **settings}


def _component(
    class_name: str, role: str, files: Sequence[Path], dtype: str, digests: FileDigests
) -> PipelineComponent:
    return PipelineComponent(
        class_name,
        tuple(RecipeFile(role, str(path), digests.digest(path)) for path in sorted(files)),
        dtype,
        ((LIBRARY, "transformers"),),
    )


def class_labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes that a configuration tells of, in their order."""
    named = config.get("id2label")
    if not isinstance(named, Mapping):
        return ()
    try:
        return tuple(str(named[key]) for key in sorted(named, key=int))
    except (TypeError, ValueError) as error:
        raise InvalidFile(
            f"the keys of the classes in its {layout.CONFIG} are not numbers"
        ) from error


def vision_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_vision_model` would give something else for the same name.

    Raises:
        NodegraphError: See `find_vision_folder`.
    """
    folder = find_vision_folder(name, folders, allow_pickle=allow_pickle)
    return digest_value([*map(file_stamp, folder.all_files), str(device), lacks_float16(device)])


def vision_bytes(name: str, folders: Sequence[Path], *, allow_pickle: bool = False) -> int | None:
    """Bytes that its weights take on disk; None where there is no such model."""
    try:
        folder = find_vision_folder(name, folders, allow_pickle=allow_pickle)
    except NodegraphError:
        return None
    return sum(whole_size(path, path.stat().st_size) for path in folder.files.weights)


TAGGER_FILE, TAGS_FILE = "model.onnx", "selected_tags.csv"
_TAGGER = (
    f"Copy the tagger's folder ({TAGGER_FILE} and {TAGS_FILE}) into a models folder, for example "
    "models/taggers/wd-vit-tagger-v3, and choose it by that name."
)


def find_tagger(name: str, folders: Sequence[Path]) -> Path:
    """The folder of a tagger of the WD14 kind.

    Raises:
        ModelNotFound: There is nothing of that name.
        InvalidFile: A file is missing.
    """
    path = locate_transformers_model(name, folders, where=_TAGGER)
    folder = path if path.is_dir() else path.parent
    for file in (TAGGER_FILE, TAGS_FILE):
        if not (folder / file).is_file():
            raise InvalidFile(f"{folder} has no {file}", expected="a tagger", hint=_TAGGER)
    return folder


def check_runtime(extra: str = "tag") -> None:
    """Check that the package that runs ONNX files is installed.

    Args:
        extra: Of nodegraph, which brings it.
    Raises:
        InvalidValue: It is not.
    """
    if find_spec("onnxruntime") is None:
        raise InvalidValue(
            "ONNX files need the package onnxruntime, which is not installed",
            hint=f"Run `pip install 'nodegraph[{extra}]'`, which includes it.",
        )


_METADATA, _KEY, _TEXT = 14, 1, 2
_LONGEST_METADATA = 1 << 20


def _onnx_config(path: Path) -> Mapping[str, Any]:
    """Names of the classes that an ONNX file holds, as ``id2label``.

    Raises:
        InvalidFile: It is no ONNX file, or its detector does not return upright boxes.
    """
    try:
        with path.open("rb") as file:
            pairs = dict(_onnx_metadata(file, path.stat().st_size))
    except (OSError, ValueError, IndexError) as error:
        raise InvalidFile(f"cannot read {path}: {error}", expected="an ONNX file") from error
    if pairs.get("task", "detect") not in ("detect", "segment", "pose"):
        raise InvalidFile(
            f"{path} is a model for the task {pairs['task']}",
            expected="a model for detection or segmentation",
        )
    try:
        names = ast.literal_eval(pairs.get("names", "{}"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        names = {}
    return {"id2label": {str(index): name for index, name in enumerate(_class_names(names))}}


_MOST_CLASSES = 10_000


def _class_names(names: object) -> list[str]:
    """Names of classes by number. A class without a name has its number.

    Args:
        names: What the file says: a dictionary or a list. Anything else says nothing.
    """
    if isinstance(names, (list, tuple)):
        return [str(name) for name in names[:_MOST_CLASSES]]
    if not isinstance(names, dict):
        return []
    numbered = {
        int(key): str(name)
        for key, name in names.items()
        if str(key).isdecimal() and len(str(key)) < 9 and int(key) < _MOST_CLASSES
    }
    return [numbered.get(index, str(index)) for index in range(max(numbered, default=-1) + 1)]


def _onnx_metadata(file: BinaryIO, end: int) -> Iterator[tuple[str, str]]:
    """Metadata of an ONNX file: keys and values. The network itself is skipped.

    Source: the format of protocol buffers, and the message of a model in onnx.proto.
    """
    while file.tell() < end:
        tag = _varint(file)
        field_number, wire = tag >> 3, tag & 7
        if wire == 0:
            _varint(file)
        elif wire in (1, 5):
            file.seek(8 if wire == 1 else 4, 1)
        elif wire == 2:
            length = _varint(file)
            if length > end - file.tell():
                raise ValueError("the file is truncated")
            if field_number == _METADATA and length <= _LONGEST_METADATA:
                yield _entry(file.read(length))
            else:
                file.seek(length, 1)
        else:
            raise ValueError("it is not a message of protocol buffers")


def _entry(message: bytes) -> tuple[str, str]:
    texts = {_KEY: "", _TEXT: ""}
    file = BytesIO(message)
    while file.tell() < len(message):
        tag = _varint(file)
        texts[tag >> 3] = file.read(_varint(file)).decode(errors="replace")
    return texts[_KEY], texts[_TEXT]


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value
        if shift > 63:
            raise ValueError("it is not a message of protocol buffers")


def tagger_stamp(name: str, folders: Sequence[Path]) -> str:
    """Text that changes when a file of a tagger does."""
    folder = find_tagger(name, folders)
    return digest_value([file_stamp(folder / file) for file in (TAGGER_FILE, TAGS_FILE)])
