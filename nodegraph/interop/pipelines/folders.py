"""Read and check a saved pipeline folder. Imports no torch.

Layout: ``model_index.json`` names the pipeline's class and each part's library and class; each
part lies in a folder of its own. Source:
https://huggingface.co/docs/diffusers/using-diffusers/loading
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.weight_files import SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile
from nodegraph.families import diffusers_folder as layout
from nodegraph.weights.safetensors_header import read_header

PartKind = Literal["model", "scheduler", "tool"]
"""``tool``: has no weights, such as a tokenizer or what prepares images."""

_CLASS, _VERSION = "_class_name", "_diffusers_version"
_CONFIGS = (
    "config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    layout.SCHEDULER_FILE,
)


@dataclass(frozen=True, slots=True)
class FolderPart:
    """A part that a pipeline's folder names.

    Attributes:
        name: As the pipeline's constructor calls it, and its folder.
        library: ``diffusers``, ``transformers``, or a package of diffusers' pipelines.
        class_name: In that library.
        folder: Where it lies.
    """

    name: str
    library: str
    class_name: str
    folder: Path

    @property
    def kind(self) -> PartKind:
        """What it is, by the files that describe it."""
        if (self.folder / layout.SCHEDULER_FILE).is_file():
            return "scheduler"
        if not (self.folder / layout.CONFIG).is_file():
            return "tool"
        # Some tokenizers bring a configuration of the model that they are for.
        return "tool" if _TOOLS.search(self.class_name) else "model"


_TOOLS = re.compile(r"(Tokenizer(Fast)?|Processor(Fast|Pil)?|FeatureExtractor)$")

_TOKENIZERS = re.compile(r"Tokenizer(Fast)?$")
_OF_BYTES = ("ByT5Tokenizer", "PerceiverTokenizer", "CanineTokenizer")
"""Tokenizers that need no vocabulary."""
_BESIDE_WORDS = frozenset(
    {
        *_CONFIGS,
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.json",
        "chat_template.jinja",
        "generation_config.json",
        "README.md",
    }
)
"""Files beside a tokenizer's vocabulary."""


@dataclass(frozen=True, slots=True)
class PipelineFolder:
    """What ``model_index.json`` says.

    Attributes:
        class_name: Of the pipeline.
        parts: By name, without those that it does without.
        config: Plain values for the pipeline's constructor.
    """

    path: Path
    class_name: str
    parts: Mapping[str, FolderPart] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def index(self) -> Path:
        """The file that says it."""
        return layout.index_file(self.path)


def read_folder(path: Path, *, allow_pickle: bool = False) -> PipelineFolder:
    """A pipeline's folder, with all that its index names there and readable, as headers tell.

    Raises:
        InvalidFile: Names all that is missing or damaged, or the class that isn't known.
        UnsafeFile: A part is a pickle file, and those aren't allowed.
    """
    if not layout.is_whole_model(path):
        raise InvalidFile(
            f"{path} is not the folder of a pipeline: it has no {layout.INDEX}",
            hint="Choose a folder saved by diffusers' save_pretrained.",
        )
    index = layout.read_config(layout.index_file(path))
    folder = PipelineFolder(path, _class_of(path, index), _parts(path, index), _plain(index))
    _check_parts(folder, allow_pickle=allow_pickle)
    return folder


def _class_of(path: Path, index: Mapping[str, Any]) -> str:
    name = index.get(_CLASS)
    if isinstance(name, list):
        raise InvalidFile(
            f"{path} contains its own code ({name[0]}), which nodegraph does not run",
            expected="a pipeline of the installed diffusers",
        )
    if isinstance(name, str) and "Modular" in name:
        raise InvalidFile(
            f"{path} is a {name}, which consists of blocks; nodegraph does not run these",
            expected="the folder of a saved DiffusionPipeline",
        )
    if not isinstance(name, str):
        raise InvalidFile(f"{layout.index_file(path)} names no pipeline ({_CLASS})")
    if not is_known_class(name):
        wrote = index.get(_VERSION)
        by = f"it was written by diffusers {wrote}, and " if wrote else ""
        raise InvalidFile(
            f"{path} is a {name}, which the installed diffusers does not include: "
            f"{by}installed is {installed_version()}",
            given=name,
            hint=did_you_mean(name, [item for item in _exported() if item.endswith("Pipeline")]),
        )
    return name


def installed_version() -> str:
    """The version of diffusers."""
    try:
        return version("diffusers")
    except PackageNotFoundError:
        return "none"


def is_known_class(name: str) -> bool:
    """Whether the installed diffusers exports a class of this name, told without importing it."""
    return name in _exported()


@lru_cache(maxsize=1)
def _exported() -> frozenset[str]:
    spec = find_spec("diffusers")
    text = Path(spec.origin).read_text("utf-8") if spec and spec.origin else ""
    return frozenset(re.findall(r'"(\w+)"', text))


def _is_part(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(item is None or isinstance(item, str) for item in value)
    )


def _parts(path: Path, index: Mapping[str, Any]) -> dict[str, FolderPart]:
    return {
        name: FolderPart(name, str(value[0]), str(value[1]), path / name)
        for name, value in index.items()
        if not name.startswith("_") and _is_part(value) and all(value)
    }


def _plain(index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in index.items()
        if not name.startswith("_") and not _is_part(value)
    }


def _check_parts(folder: PipelineFolder, *, allow_pickle: bool) -> None:
    missing = [f"{part.name}/{file}" for part in folder.parts.values() for file in _missing(part)]
    if missing:
        raise InvalidFile(
            f"{folder.path} is not a complete pipeline: it has no {', no '.join(missing)}",
            hint="Copy the whole folder. Optional components may be [null, null] in "
            f"{layout.INDEX}.",
        )
    for part in folder.parts.values():
        _check_class(part)
        for name in _CONFIGS:
            if (part.folder / name).is_file():
                layout.read_config(part.folder / name)
        if part.kind == "model":
            weights = layout.find_weights(folder.path, part.name, allow_pickle=allow_pickle)
            for file in weights.files:
                if file_suffix(file) == SAFETENSORS:
                    read_header(file)


def _missing(part: FolderPart) -> Iterator[str]:
    """What a part's folder lacks."""
    if not part.folder.is_dir() or not any(part.folder.iterdir()):
        yield ""
    elif part.class_name.endswith("Scheduler") and part.kind != "scheduler":
        yield layout.SCHEDULER_FILE
    elif part.kind == "tool" and not any(part.folder.glob("*config.json")):
        yield layout.CONFIG
    elif _TOKENIZERS.search(part.class_name) and not _has_words(part):
        yield "tokenizer.json"


def _has_words(part: FolderPart) -> bool:
    """Whether a tokenizer's vocabulary is there: without it, it would take all texts for empty."""
    files = {path.name for path in part.folder.iterdir()}
    return bool(files - _BESIDE_WORDS) or part.class_name in _OF_BYTES


def _check_class(part: FolderPart) -> None:
    """Refuse what is neither of diffusers nor of transformers: it would be code from elsewhere."""
    if part.library == "diffusers" and not is_known_class(part.class_name):
        raise InvalidFile(
            f"the {part.name} in {part.folder.parent} is a {part.class_name}, which the "
            f"installed diffusers ({installed_version()}) does not include",
            hint=did_you_mean(part.class_name, _exported()),
        )
    if part.library not in ("diffusers", "transformers") and not _is_own(part.library):
        raise InvalidFile(
            f"the {part.name} in {part.folder.parent} is a {part.class_name} of "
            f"{part.library}, which is not imported",
            expected="a class of diffusers or transformers",
        )


def _is_own(library: str) -> bool:
    """Whether it is a package of diffusers' pipelines, such as ``stable_diffusion``."""
    spec = find_spec("diffusers")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    name = library.removeprefix("diffusers.pipelines.").replace(".", "/")
    return library.isidentifier() and any(
        (folder / "pipelines" / name).is_dir() for folder in folders
    )
