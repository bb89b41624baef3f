"""Find and open language models: in folders of transformers, in one file, and hosted.

No weights are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from nodegraph.core.digests import digest_value
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.json_text import read_json
from nodegraph.core.ports import port_type
from nodegraph.core.values import PipelineComponent, RecipeFile
from nodegraph.core.weight_files import SAFETENSORS, PartFiles, file_stamp, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.checkpoint_parts import LANGUAGE_FILES
from nodegraph.families.vocabulary import VOCABULARIES, Vocabulary
from nodegraph.interop.pipelines.pipeline_recipes import GENERATION, LIBRARY
from nodegraph.models.model_files import (
    Options,
    cpu_stamp,
    folder_part_files,
    lacks_float16,
    locate_transformers_model,
    port_precision,
    port_storage,
    read_configuration,
)
from nodegraph.models.model_recipes import DTYPES
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.precision.storage import AUTO, STORAGE, bytes_in_memory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import DAMAGED, FileLayout, fault_text
from nodegraph.weights.single_files.gemma4 import TOKENIZER_TENSOR
from nodegraph.weights.single_files.qwen35 import QWEN35, QWEN35_TEXT

HostedKind = Literal["openai", "ollama"]
DEFAULT_ADDRESSES: Mapping[HostedKind, str] = MappingProxyType(
    {"openai": "https://api.openai.com/v1", "ollama": "http://127.0.0.1:11434"}
)
"""Addresses of hosted models, by protocol, if none is given."""


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A language model of a server.

    Attributes:
        kind: Protocol: OpenAI's chat completions, or Ollama's own.
        address: Base address of the server, without a slash at the end.
        name: Name of the model there.
        secret: Name of the secret with its key; empty for none. The value is never part of it.
        options: Further fields of each request, as a JSON object.
    """

    kind: HostedKind
    address: str
    name: str
    secret: str = ""
    options: str = ""


@port_type(color="#a3b86c")
@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A language model by itself: what it is made of, not its weights.

    Attributes:
        model: Recipe of its weights; the family is its class in transformers. Or the server that
            hosts it.
        tokenizer: Of its words. None for a hosted model.
        processor: Settings of image processors and feature extractors, as JSON: objects
            ``image_processor`` and ``feature_extractor``. Empty for the usual ones.
    """

    model: PipelineComponent | HostedModel
    tokenizer: PipelineComponent | None = None
    processor: str = ""

    @property
    def hosted(self) -> HostedModel | None:
        """The server of the model; None for a local one."""
        return self.model if isinstance(self.model, HostedModel) else None

    @property
    def is_single_file(self) -> bool:
        """Whether its weights and tokenizer are in one file without a configuration."""
        if self.hosted is not None:
            return False
        assert isinstance(self.model, PipelineComponent)
        return all(Path(file.path).name != layout.CONFIG for file in self.model.files)


def parse_request_options(text: str, port: str = "options") -> dict[str, Any]:
    """Return further fields of requests.

    Raises:
        InvalidValue: The text is not a JSON object.
    """
    if not text.strip():
        return {}
    try:
        options = read_json(text)
    except InvalidFile as error:
        raise InvalidValue(
            f"this is not JSON: {error.problem.message}",
            port=port,
            expected='an object such as {"top_k": 20}',
        ) from None
    if not isinstance(options, dict):
        raise InvalidValue(
            "this is not a JSON object", port=port, expected='an object such as {"top_k": 20}'
        )
    return options


_WRITING = ("ForCausalLM", "ForConditionalGeneration")
"""How classes end that write."""
_WORDS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "merges.txt",
          "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")  # fmt: skip
_PROCESSORS = ("processor_config.json", "preprocessor_config.json")
_WHERE = (
    "Copy the model's folder (config.json, model.safetensors and its tokenizer) into a "
    "models folder, for example models/language/qwen3-4b, and choose it by that name."
)


@dataclass(frozen=True, slots=True)
class LanguageFolder:
    """A model's folder, or its one file.

    Attributes:
        vocabulary: Of the tokenizer that nodegraph has for a model of one file, a name in
            `VOCABULARIES`; empty where the file or folder holds its tokenizer.
    """

    path: Path
    class_name: str
    files: PartFiles
    vocabulary: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is one file."""
        return self.path in self.files.weights

    @property
    def tokenizer_class(self) -> str:
        """The class of its tokenizer in transformers."""
        if self.vocabulary:
            return _EMBEDDED_TOKENIZERS[self.vocabulary]
        return "PreTrainedTokenizerFast" if self.is_file else "AutoTokenizer"

    @property
    def tokenizer_files(self) -> list[Path]:
        """Files of its tokenizer, and the configuration by which that is found."""
        if self.vocabulary:
            return list(VOCABULARIES[self.vocabulary].files)
        if self.is_file:
            return [self.path]
        files = [self.path / name for name in _WORDS if (self.path / name).is_file()]
        return [self.path / layout.CONFIG, *files]

    @property
    def weight_files(self) -> list[Path]:
        """Files of the model."""
        if self.is_file:
            return [self.path]
        generation = self.path / GENERATION
        return [*self.files.files, *([generation] if generation.is_file() else [])]

    @property
    def processor_files(self) -> list[Path]:
        """Settings of what prepares images and audio for it."""
        paths = [] if self.is_file else [self.path / name for name in _PROCESSORS]
        return [path for path in paths if path.is_file()]


def find_language_folder(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False
) -> LanguageFolder:
    """The folder or file that a name means, if a language model is in it.

    Raises:
        ModelNotFound: There is nothing of that name; says where such models go.
        InvalidFile: It is no such model, brings code of its own, or is incomplete.
        UnsafeFile: Its weights have to be unpickled, and that isn't allowed.
    """
    path = locate_transformers_model(name, folders, where=_WHERE)
    if path.is_file() and not (path.parent / layout.CONFIG).is_file():
        return _single_file(path)
    path = path.parent if path.is_file() else path
    config = read_configuration(path, expected=_EXPECTED, where=_WHERE)
    class_name = _class_name(path, config)
    files = folder_part_files(path, _ROLE, allow_pickle=allow_pickle)
    opened = LanguageFolder(path, class_name, files)
    if len(opened.tokenizer_files) == 1:
        raise InvalidFile(f"{path} has no tokenizer", expected=_WORDS[0], hint=_WHERE)
    return opened


_ROLE = "model"
FILE_VOCABULARIES = {QWEN35.class_name: "qwen3.5", QWEN35_TEXT.class_name: "qwen3.5"}
"""Of classes whose files hold no tokenizer, and whose tokenizer nodegraph has."""
_PICTURES = {QWEN35.class_name: "qwen3-vl-pictures"}
"""What makes images ready for them: Qwen 3.5 sees with the encoder of Qwen3-VL."""
_EMBEDDED_TOKENIZERS = {"qwen3.5": "Qwen3_5Tokenizer"}
"""Classes of transformers."""


def _single_file(path: Path) -> LanguageFolder:
    shapes = header_of(path).shapes if file_suffix(path) == SAFETENSORS else {}
    for class_name, part in LANGUAGE_FILES.items():
        layouts = [item for item in part if item.prefix(shapes) is not None]
        if layouts:
            vocabulary = FILE_VOCABULARIES.get(class_name, "")
            if vocabulary:
                _check_words(path, layouts[0], shapes, VOCABULARIES[vocabulary])
            elif TOKENIZER_TENSOR not in shapes:
                raise InvalidFile(
                    f"{path} has no tokenizer",
                    expected=f"a tensor {TOKENIZER_TENSOR}, as ComfyUI's files have",
                    hint=_WHERE,
                )
            return LanguageFolder(path, class_name, PartFiles(_ROLE, [path], [path]), vocabulary)
    raise InvalidFile(
        f"{path} is not a supported language model in one file",
        expected="Gemma 4 (E2B, E4B or 31B) as ComfyUI names its tensors, Qwen 3.5 as transformers "
        f"names them, or {_EXPECTED}",
        hint=_WHERE,
    )


def _check_words(path: Path, file: FileLayout, shapes: Shapes, vocabulary: Vocabulary) -> None:
    """Refuse a damaged file, and a model that has fewer words than the tokenizer.

    Raises:
        InvalidFile: So it is.
    """
    try:
        config = file.config(shapes)
    except DAMAGED as error:
        raise InvalidFile(
            f"{path} is {file.title}, but it is damaged: {fault_text(error)}",
            hint="Copy the file again.",
        ) from error
    words = int((config.get("text_config") or config)["vocab_size"])
    if not vocabulary.fits(words):
        raise InvalidFile(
            f"{path} has {words} words, fewer than the tokenizer of {vocabulary.title}",
            expected=f"at least {vocabulary.words} words",
            hint=_WHERE,
        )


_EXPECTED = f"a transformers folder whose class name ends with {' or '.join(_WRITING)}"


def _class_name(path: Path, config: Mapping[str, Any]) -> str:
    named = config.get("architectures")
    class_name = str(named[0]) if isinstance(named, list) and named else ""
    words = path / "tokenizer_config.json"
    tokenizer_config = layout.read_config(words) if words.is_file() else {}
    if config.get("auto_map") or tokenizer_config.get("auto_map"):
        raise InvalidFile(
            f"{path} contains its own code, which nodegraph does not run", expected=_EXPECTED
        )
    if not class_name.endswith(_WRITING) or config.get("is_encoder_decoder"):
        what = f"is a {class_name}, which" if class_name else "names no class, and"
        raise InvalidFile(f"{path} {what} is not a text generation model", expected=_EXPECTED)
    return class_name


def open_language_model(
    name: str,
    folders: Sequence[Path],
    *,
    dtype: str = "auto",
    device: str = "cpu",
    allow_pickle: bool = False,
) -> LanguageModel:
    """A language model; nothing is loaded yet.

    Args:
        dtype, device: As for `nodegraph.models.model_recipes.open_model`.
    Raises:
        InvalidValue: No such dtype.
        NodegraphError: See `find_language_folder`.
    """
    if dtype not in DTYPES:
        raise InvalidValue(f"there is no precision {dtype!r}", expected=", ".join(DTYPES))
    folder = find_language_folder(name, folders, allow_pickle=allow_pickle)
    precision = port_precision(dtype, [folder.files], device)
    kept = port_storage(AUTO, [folder.files])
    return LanguageModel(
        _component(folder.class_name, _ROLE, folder.weight_files, precision, kept),
        _component(folder.tokenizer_class, "tokenizer", folder.tokenizer_files, "float32"),
        _processor_settings(folder),
    )


def _processor_settings(folder: LanguageFolder) -> str:
    """Those of newer folders, which name the parts of a processor, and of older ones; of models of
    one file the published ones."""
    settings: dict[str, Any] = {}
    if folder.is_file and folder.class_name in _PICTURES:
        (published,) = VOCABULARIES[_PICTURES[folder.class_name]].files
        settings = {"image_processor": layout.read_config(published)}
    for path in reversed(folder.processor_files):
        read = layout.read_config(path)
        is_whole = path.name == _PROCESSORS[0]
        settings |= read if is_whole else {"image_processor": read}
    kept = {name: settings[name] for name in _PREPARING if isinstance(settings.get(name), dict)}
    return json.dumps(kept, sort_keys=True) if kept else ""


_PREPARING = ("image_processor", "feature_extractor")


def _component(
    class_name: str, role: str, files: Sequence[Path], dtype: str, options: Options = ()
) -> PipelineComponent:
    return PipelineComponent(
        class_name,
        tuple(RecipeFile(role, str(path), FILE_DIGESTS.digest(path)) for path in sorted(files)),
        dtype,
        tuple(sorted(((LIBRARY, "transformers"), *options))),
    )


def language_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_language_model` would give something else for the same name."""
    folder = find_language_folder(name, folders, allow_pickle=allow_pickle)
    files = sorted({*folder.weight_files, *folder.tokenizer_files, *folder.processor_files})
    kept = [str(device), lacks_float16(device), *cpu_stamp(folder.weight_files, device)]
    return digest_value([*map(file_stamp, files), *kept])


def language_bytes(folder: LanguageFolder, *, dtype: str = "auto", device: str = "cpu") -> int:
    """Bytes that its weights take in memory, from the files' headers; of pickled ones on disk.

    Args:
        dtype, device: As for `open_language_model`.
    Raises:
        InvalidFile: A file is damaged.
    """
    weights = folder.files.weights
    if any(file_suffix(path) != SAFETENSORS for path in weights):
        return sum(whole_size(path, path.stat().st_size) for path in weights)
    tensors = [
        (name, shape, header.dtypes.get(name, ""))
        for header in map(header_of, weights)
        for name, shape in header.shapes.items()
        if name != TOKENIZER_TENSOR
    ]
    kept = dict(port_storage(AUTO, [folder.files])).get(STORAGE, "")
    return bytes_in_memory(tensors, port_precision(dtype, [folder.files], device), kept)
