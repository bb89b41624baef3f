"""CLIP's vocabulary for single-file checkpoints, which carry the weights but not the words.

It is looked for under the models folders: in ``tokenizers/clip-l``, and in the ``tokenizer``
folder of any Stable Diffusion 1.x model in the diffusers layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from nodegraph.core.digests import Digest, digest_bytes, digest_value
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.families import identify_pipeline
from nodegraph.errors import InvalidFile

PLACE = "tokenizers/clip-l"
"""Where under a models folder to put vocab.json and merges.txt."""
FILES = ("vocab.json", "merges.txt")


def find_tokenizer(folders: Sequence[Path], vocabulary: int) -> Path | None:
    """The first folder with a CLIP vocabulary of the right size; None if there is none.

    Args:
        folders: The models folders.
        vocabulary: Number of tokens that the text encoder knows.
    """
    fitting = (place for place in _places(folders) if _size(place) == vocabulary)
    return next(fitting, None)


def tokenizer_with_digest(folders: Sequence[Path], digest: Digest) -> Path | None:
    """The first folder whose vocabulary has that digest."""
    same = (place for place in _places(folders) if tokenizer_digest(place) == digest)
    return next(same, None)


def tokenizer_digest(folder: Path) -> Digest:
    """Digest of the vocabulary files in a folder.

    Raises:
        InvalidFile: They can't be read.
    """
    try:
        return digest_value([digest_bytes((folder / name).read_bytes()) for name in FILES])
    except OSError as error:
        raise InvalidFile(f"can't read {error.filename}: {error.strerror}") from error


def _places(folders: Sequence[Path]) -> Iterator[Path]:
    named = (folder / PLACE for folder in folders)
    within_models = (model / layout.TOKENIZER for folder in folders for model in _models(folder))
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
        config = layout.read_config(folder / layout.UNET / "config.json")
    except InvalidFile:
        return False
    return identify_pipeline(class_name, config).family is not None


def _size(folder: Path) -> int:
    try:
        return len(layout.read_config(folder / FILES[0]))
    except InvalidFile:
        return -1
