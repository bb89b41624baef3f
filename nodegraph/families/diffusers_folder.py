"""A model in the diffusers folder layout: which files make up each component.

Layout: ``model_index.json`` names the pipeline; each component has a sub-folder with its
configuration and weights. Source: https://huggingface.co/docs/diffusers/using-diffusers/loading
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidFile, UnsafeFile
from nodegraph.families.base import Family, Part

INDEX = "model_index.json"
MODULAR_INDEX = "modular_model_index.json"
"""In place of `INDEX` in folders of modular pipelines, which name each part's class as it does."""
CONFIG = "config.json"
SCHEDULER = "scheduler"
SOUND_SCHEDULER = "audio_scheduler"
"""Folder of the scheduler of a video's sound, and the setting with its content."""
SCHEDULER_FILE = "scheduler_config.json"
PREVIEW_DECODER = "preview_decoder"
"""No part of the stock layout: a small decoder (`AutoencoderTiny`) that a model may bring."""

_STEMS = ("diffusion_pytorch_model", "model")
"""Of weight files: diffusers' own, and those of text encoders."""
_PICKLES = ("diffusion_pytorch_model.bin", "pytorch_model.bin")
_NAMED = "tokenizer_config.json"
IMAGE_PROCESSOR = "preprocessor_config.json"
"""The file of what makes images ready for a text encoder."""
_PROCESSORS = (IMAGE_PROCESSOR, "processor_config.json")
_TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.json",
    _NAMED,
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "tokenizer.model",
    "chat_template.json",
    "chat_template.jinja",
    *_PROCESSORS,
)
_SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")
_MAX_JSON_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ComponentFiles:
    """The weight files of a component.

    Attributes:
        files: One, or the shards of one.
        index: The file that tells which tensor is in which shard; None for a single file.
        is_pickle: Whether opening them unpickles.
    """

    files: tuple[Path, ...]
    index: Path | None = None
    is_pickle: bool = False


def read_config(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        InvalidFile: It is missing, unreadable, too large or holds something else.
    """
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise InvalidFile(f"{path} is too large for a configuration file")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidFile(f"{path} holds a {type(content).__name__} instead of a JSON object")
    return content


def index_file(folder: Path) -> Path:
    """The file that names a folder's pipeline, whether it is there or not."""
    modular = folder / MODULAR_INDEX
    return folder / INDEX if (folder / INDEX).is_file() or not modular.is_file() else modular


def lacks_scheduler(folder: Path, family: Family) -> bool:
    """Whether a folder has no scheduler file because its pipeline makes the scheduler."""
    if (folder / SCHEDULER / SCHEDULER_FILE).is_file():
        return False
    if "_class_name" in family.scheduler:
        return True
    named = index_file(folder)
    is_modular = named.name == MODULAR_INDEX and named.is_file()
    return is_modular and not _names(read_config(named), SCHEDULER)


def is_whole_model(folder: Path) -> bool:
    """Whether a folder has a file that names its pipeline."""
    return index_file(folder).is_file()


def check_complete(folder: Path, family: Family) -> None:
    """Make sure that a folder has every component that its family needs.

    Raises:
        InvalidFile: Names all that is missing.
    """
    named = index_file(folder)
    index = read_config(named) if named.is_file() else {}

    def is_due(part: Part) -> bool:
        # What the index names isn't done without, which would give other images unnoticed.
        if part.apart:
            return (folder / part.role).is_dir()
        return not part.optional or _names(index, part.role) or (folder / part.role).is_dir()

    vae = [Part(family.vae, ())] if family.latent.autoencoders else []
    parts = [*family.denoisers, *vae, *family.encoders]
    wanted = [
        named.name,
        *([] if lacks_scheduler(folder, family) else [f"{SCHEDULER}/{SCHEDULER_FILE}"]),
        *(f"{part.role}/{CONFIG}" for part in parts if is_due(part)),
    ]
    missing = [name for name in wanted if not (folder / name).is_file()]
    missing += [
        f"{part.role}/{tokenizer_needs(part)}"
        for part in family.tokenizers
        if is_due(part) and not (has_tokenizer(folder / part.role) or _reads_bytes(folder, part))
    ]
    if missing:
        raise InvalidFile(
            f"{folder} is not a complete model folder: it has no {', no '.join(missing)}",
            hint="Copy the whole folder, or choose a single .safetensors file. Optional parts of "
            f"the pipeline may be [null, null] in {INDEX}.",
        )


def _names(index: Mapping[str, Any], role: str) -> bool:
    """Whether ``model_index.json`` says that there is such a part; null stands for none."""
    named = index.get(role)
    return isinstance(named, list) and any(named)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds what a tokenizer, or a processor of images, is made of."""
    both = (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    single = ("tokenizer.json", "spiece.model", "tokenizer.model", "vocab.txt")
    return both or any((folder / name).is_file() for name in (*single, *_PROCESSORS))


def tokenizer_needs(part: Part) -> str:
    """The files that a tokenizer, or a processor of images, is made of, in words."""
    return _NEEDS.get(part.classes[0], _ONE_FILE)


_ONE_FILE, _TWO_FILES = "tokenizer.json", "vocab.json with merges.txt"
_NEEDS = {
    "CLIPTokenizer": _TWO_FILES,
    "Qwen2Tokenizer": f"{_ONE_FILE}, or {_TWO_FILES}",
    "BertTokenizer": "vocab.txt",
    "ByT5Tokenizer": _NAMED,
    "ChatGLMTokenizer": "tokenizer.model",
    "CLIPImageProcessor": IMAGE_PROCESSOR,
    "SiglipImageProcessor": IMAGE_PROCESSOR,
    "Siglip2ImageProcessorPil": IMAGE_PROCESSOR,
    "Qwen2VLImageProcessorPil": IMAGE_PROCESSOR,
}


def _reads_bytes(folder: Path, part: Part) -> bool:
    """Whether it is a tokenizer without a vocabulary, as bytes are its words."""
    return "ByT5Tokenizer" in part.classes and (folder / part.role / _NAMED).is_file()


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that make up a tokenizer, as far as they are there."""
    return [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]


def find_weights(folder: Path, component: str, *, allow_pickle: bool = False) -> ComponentFiles:
    """The weight files of a component: safetensors, one file before shards, both before variants.

    Raises:
        InvalidFile: There are none, or a shard is missing.
        UnsafeFile: There are only pickle files, and `allow_pickle` is False.
    """
    component_folder = folder / component
    # A variant's name, such as fp16, stands at another place in the index's file name.
    for single, index in (
        ("{}.safetensors", "{}.safetensors.index.json"),
        ("{}.*.safetensors", "{}.safetensors.index.*.json"),
    ):
        files = [
            path for path in _matching(component_folder, single) if not _SHARD.search(path.name)
        ]
        if files:
            return ComponentFiles((min(files, key=_fp16_first),))
        indices = sorted(_matching(component_folder, index), key=_fp16_first)
        if indices:
            return ComponentFiles(_shards(indices[0]), indices[0])
    return _pickle_weights(component_folder, allow_pickle)


def _matching(folder: Path, pattern: str) -> list[Path]:
    return [path for stem in _STEMS for path in folder.glob(pattern.format(stem))]


def _pickle_weights(folder: Path, allow_pickle: bool) -> ComponentFiles:
    pickles = [folder / name for name in _PICKLES if (folder / name).is_file()]
    if not pickles:
        stem = _STEMS[folder.name.startswith("text_encoder")]
        raise InvalidFile(f"{folder} has no weights: {stem}.safetensors is missing")
    if not allow_pickle:
        raise unsafe(pickles[0])
    return ComponentFiles((pickles[0],), is_pickle=True)


def unsafe(path: Path) -> UnsafeFile:
    """The refusal of a pickle file."""
    return UnsafeFile(
        f"{path} is refused: it is a pickle file, and opening one can run any code in it",
        expected="a .safetensors file",
        hint="Get the model as .safetensors, or convert it on a machine you can spare. If you "
        "trust its author, allow pickle files in the settings (allow_pickle).",
    )


def _shards(index: Path) -> tuple[Path, ...]:
    names = read_config(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InvalidFile(f"{index} has no weight map")
    shards = sorted({str(name) for name in names.values()})
    for name in shards:
        # A shard outside the folder would let an index file reach any file on the machine.
        if Path(name).name != name or not (index.parent / name).is_file():
            raise InvalidFile(f"{index} names {name}, which is not in the same folder")
    return tuple(index.parent / name for name in shards)


def _fp16_first(path: Path) -> tuple[bool, str]:
    return (".fp16." not in path.name, path.name)
