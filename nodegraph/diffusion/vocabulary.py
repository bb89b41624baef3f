"""CLIP's vocabulary for single-file checkpoints, which carry the weights but not the words.

The one that all published models have comes along. Others are looked for under the models folders:
in ``tokenizers/clip-l``, and in the ``tokenizer`` folder of any Stable Diffusion 1.x model in the
diffusers layout. Imports no torch.

Source of the vocabulary: https://github.com/openai/CLIP, ``bpe_simple_vocab_16e6.txt.gz``.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.families.identify import identify_folder
from nodegraph.diffusion.families.stable_diffusion import SD1
from nodegraph.errors import InvalidFile

PLACE = "tokenizers/clip-l"
"""Where under a models folder to put vocab.json and merges.txt."""
TOKENIZER = "tokenizer"
FILES = ("vocab.json", "merges.txt")
MERGES = Path(__file__).parent / "embedded" / "clip" / "merges.txt.gz"
"""The vocabulary that comes along: its pairs, a line each, most frequent first."""
WORDS = 49408
"""In that vocabulary."""


def find_vocabulary(folders: Sequence[Path], words: int) -> list[Path]:
    """The files of the first CLIP vocabulary of the right size; none if there is none.

    Args:
        folders: The models folders.
        words: Number of tokens that the text encoder knows.
    """
    if words == WORDS:
        return [MERGES]
    fitting = (place for place in _places(folders) if _size(place) == words)
    return [place / name for place in fitting for name in FILES][: len(FILES)]


def clip_words(merges: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary as `CLIPTokenizer` takes it, from its pairs: words by number, and the pairs.

    The words are the 256 bytes, the same at the end of a word, the pairs joined, and two marks.
    """
    lines = gzip.decompress(merges.read_bytes()).decode("utf-8").splitlines()
    pairs = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    units = _byte_characters()
    words = [*units, *(unit + "</w>" for unit in units), *(a + b for a, b in pairs)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}, pairs


def _byte_characters() -> list[str]:
    """The printable stand-ins that byte-level vocabularies have for bytes, in GPT-2's order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + number) for number in range(len(rest))]


def _places(folders: Sequence[Path]) -> Iterator[Path]:
    named = (folder / PLACE for folder in folders)
    within_models = (model / TOKENIZER for folder in folders for model in _models(folder))
    for place in chain(named, within_models):
        if all((place / name).is_file() for name in FILES):
            yield place


def _models(folder: Path) -> Iterator[Path]:
    """Diffusers folders of SD 1.x at most two levels down, in order of their names."""
    for pattern in ("*", "*/*"):
        for index in sorted(folder.glob(f"{pattern}/{layout.INDEX}")):
            if _is_sd1(index.parent):
                yield index.parent


def _is_sd1(folder: Path) -> bool:
    # Stable Diffusion 2.x has the same vocabulary but pads with another token.
    try:
        class_name = str(layout.read_config(folder / layout.INDEX).get("_class_name"))
        config = layout.read_config(folder / SD1.denoisers[0].role / layout.CONFIG)
    except InvalidFile:
        return False
    return identify_folder(class_name, {SD1.denoisers[0].role: config}).family is SD1


def _size(folder: Path) -> int:
    try:
        return len(layout.read_config(folder / FILES[0]))
    except InvalidFile:
        return -1
