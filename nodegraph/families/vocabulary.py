"""Tokenizers for models in single files, most of which hold the weights alone.

Those whose licences allow it come along. Others are looked for under the models folders: in
``tokenizers/<name>``, and in any model in the diffusers layout whose tokenizer is the same.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.errors import InvalidFile
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family, Part
from nodegraph.families.identification import identify_folder
from nodegraph.families.registry import families_of_pipeline
from nodegraph.weights.tokenizer_files import (
    byte_characters,
    find_tokenizer_tensor,
    read_packed,
    read_pairs,
)

TOKENIZER_FOLDER = "tokenizers"
"""Folder under a models folder that holds others, each in a folder of its name."""

_EMBEDDED = Path(__file__).parent / "embedded"
MERGES = _EMBEDDED / "clip" / "merges.txt.gz"
"""CLIP's vocabulary: its pairs, a line each, most frequent first.

Source: https://github.com/openai/CLIP, ``bpe_simple_vocab_16e6.txt.gz``.
"""
WORDS = 49408
"""In that vocabulary."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What splits prompts up for a kind of text encoder.

    Attributes:
        title: As people call it.
        files: Those built in; none where its licence doesn't allow it.
        words: In those.
        source: Where it is found, in words.
        exactly: Whether an encoder of more words has another one; published ones round up.
    """

    title: str
    files: tuple[Path, ...] = ()
    words: int = 0
    source: str = "the original model"
    exactly: bool = False

    def fits(self, words: int) -> bool:
        """Whether the built-in files are of an encoder that knows so many words."""
        known = words == self.words if self.exactly else words >= self.words
        return known and bool(self.files)


def _along(*names: str) -> tuple[Path, ...]:
    return tuple(_EMBEDDED / name for name in names)


VOCABULARIES = {
    "clip-l": Vocabulary("CLIP", (MERGES,), WORDS, exactly=True),
    "t5": Vocabulary("T5", _along("t5/tokenizer.json.gz", "t5/tokenizer_config.json"), 32100),
    "umt5": Vocabulary(
        "UMT5", _along("umt5/tokenizer.json.gz", "umt5/tokenizer_config.json"), 256300
    ),
    "byt5": Vocabulary("ByT5", _along("byt5/tokenizer_config.json"), 384),
    "qwen2.5-vl": Vocabulary(
        "Qwen2.5-VL", _along("qwen2/merges.txt.gz", "qwen2.5-vl/tokenizer_config.json"), 151665
    ),
    "qwen3": Vocabulary(
        "Qwen3",
        _along("qwen2/merges.txt.gz", "qwen3/tokenizer_config.json", "qwen3/chat_template.jinja"),
        151669,
    ),
    # Qwen3's, with an end of text behind each prompt.
    "qwen3-embedding": Vocabulary(
        "Qwen3-Embedding",
        _along("qwen2/merges.txt.gz", "qwen3-embedding/tokenizer_config.json"),
        151669,
    ),
    "qwen3.5": Vocabulary(
        "Qwen 3.5", _along("qwen3.5/pairs.txt.gz", "qwen3.5/tokenizer_config.json"), 248077
    ),
    "mistral3": Vocabulary(
        "Mistral 3",
        _along(
            "mistral3/words.txt.gz",
            "mistral3/tokenizer_config.json",
            "mistral3/chat_template.jinja",
        ),
        131072,
    ),
    # What makes images ready is found as what splits prompts up.
    "clip-pictures": Vocabulary("CLIP", _along("clip-pictures/preprocessor_config.json")),
    "clip-336-pictures": Vocabulary("CLIP", _along("clip-336-pictures/preprocessor_config.json")),
    "siglip-pictures": Vocabulary("SigLIP", _along("siglip-pictures/preprocessor_config.json")),
    "qwen2.5-vl-pictures": Vocabulary(
        "Qwen2.5-VL", _along("qwen2.5-vl-pictures/preprocessor_config.json")
    ),
    "qwen3-vl-pictures": Vocabulary(
        "Qwen3-VL", _along("qwen3-vl-pictures/preprocessor_config.json")
    ),
    # Qwen3's, with marks for speech and lyrics.
    "minimax-h3": Vocabulary(
        "MiniMax H3",
        _along(
            "qwen2/merges.txt.gz", "minimax-h3/tokenizer_config.json", "qwen3/chat_template.jinja"
        ),
        151676,
    ),
    # Qwen3's, with marks for songs.
    "minimax-music3": Vocabulary(
        "MiniMax Music 3",
        _along("qwen2/merges.txt.gz", "minimax-music3/tokenizer_config.json"),
        151675,
    ),
    "gemma2": Vocabulary("Gemma 2", source="Gemma 2, or of Lumina 2 or Sana"),
    "gemma3": Vocabulary("Gemma 3", source="Gemma 3, or of LTX-2"),
    "gemma4": Vocabulary("Gemma 4", source="Gemma 4, or of LTX-2.5"),
    "llama3": Vocabulary("Llama 3", source="Llama 3.1"),
    # Llama 3's, with words for images and for padding.
    "llava-llama3": Vocabulary("LLaVA Llama 3", source="HunyuanVideo"),
}
"""By the name that parts of families know them by, and folders under `TOKENIZER_FOLDER`."""


_PACKABLE = ("gemma2", "gemma3", "gemma4")
"""Vocabularies that files may bring; the others of such files are built in."""


def is_in_file(part: Part, names: Collection[str]) -> bool:
    """Whether a file holds a tokenizer beside the weights.

    Args:
        part: The tokenizer.
        names: Of all tensors in the file.
    """
    return part.vocabulary in _PACKABLE and find_tokenizer_tensor(names) is not None


def pair_tokenizers(family: Family) -> Iterator[tuple[Part, Part]]:
    """Text encoders with what splits prompts for them, or prepares images.

    A family may have more of the latter: the last encoder has several then.
    """
    last = len(family.encoders) - 1
    for at, tokenizer in enumerate(family.tokenizers):
        yield family.encoders[min(at, last)], tokenizer


def find_tokenizer(part: Part, words: int, folders: Sequence[Path]) -> list[Path]:
    """The files of the first tokenizer that fits; none if there is none.

    Args:
        part: The tokenizer.
        words: That its text encoder knows.
        folders: The models folders.
    """
    known = VOCABULARIES.get(part.vocabulary)
    if known is not None and known.fits(words):
        return list(known.files)
    if not part.vocabulary:
        return []
    for folder in _places(part, folders):
        if not (known and known.exactly) or _size(folder) == words:
            return layout.tokenizer_files(folder)
    return []


def missing_tokenizer_error(part: Part, source: str, *, port: str | None = None) -> InvalidFile:
    """What is raised where none was found.

    Args:
        part: The tokenizer.
        source: The file that holds the encoder.
        port: That names it.
    """
    known = VOCABULARIES.get(part.vocabulary, Vocabulary(part.classes[0]))
    needed = layout.tokenizer_needs(part)
    return InvalidFile(
        f"{source} holds no tokenizer, and none for {known.title} was found",
        port=port,
        expected=f"its {needed} in {TOKENIZER_FOLDER}/{part.vocabulary} under a models folder",
        hint=f"Copy {needed} from the `{part.role}` folder of {known.source}.",
    )


def read_clip_vocabulary(merges: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary as `CLIPTokenizer` takes it, from its pairs: words by number, and the pairs.

    The words are the 256 bytes, the same at the end of a word, the pairs joined, and two marks.
    """
    pairs, units = read_pairs(read_packed(merges)), byte_characters()
    words = [*units, *(unit + "</w>" for unit in units), *(a + b for a, b in pairs)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}, pairs


def _places(part: Part, folders: Sequence[Path]) -> Iterator[Path]:
    named = (folder / TOKENIZER_FOLDER / part.vocabulary for folder in folders)
    yield from (path for path in named if layout.has_tokenizer(path))
    for folder in folders:
        for model in _models(folder):
            for same in _tokenizers(model, part):
                if layout.has_tokenizer(model / same.role):
                    yield model / same.role


def _models(folder: Path) -> Iterator[Path]:
    """Diffusers folders at most two levels down, in order of their names."""
    for pattern in ("*", "*/*"):
        models = {
            index.parent
            for name in (layout.INDEX, layout.MODULAR_INDEX)
            for index in folder.glob(f"{pattern}/{name}")
        }
        yield from sorted(models)


def _tokenizers(model: Path, part: Part) -> list[Part]:
    """Those of a model that are the same; with another padding one isn't."""
    family = _family(model)
    parts = () if family is None else family.tokenizers
    return [
        item for item in parts if (item.vocabulary, item.padding) == (part.vocabulary, part.padding)
    ]


def _family(model: Path) -> Family | None:
    try:
        class_name = str(layout.read_config(layout.index_file(model)).get("_class_name"))
        roles = {
            role
            for family in families_of_pipeline(class_name)
            for role in (family.vae, *(item.role for item in family.denoisers))
        }
        files = {role: model / role / layout.CONFIG for role in sorted(roles)}
        configs = {role: layout.read_config(file) for role, file in files.items() if file.is_file()}
    except InvalidFile:
        return None
    return identify_folder(class_name, configs).family


def _size(folder: Path) -> int:
    try:
        return len(layout.read_config(folder / "vocab.json"))
    except InvalidFile:
        return -1
