"""CLIP's vocabulary for single-file checkpoints, which carry the weights but not the words.

It is looked for under the models folders: in ``tokenizers/clip-l``, and in the ``tokenizer``
folder of any Stable Diffusion 1.x model in the diffusers layout.
"""

from __future__ import annotations

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


def find_tokenizer(folders: Sequence[Path], vocabulary: int) -> Path | None:
    """The first folder with a CLIP vocabulary of the right size; None if there is none.

    Args:
        folders: The models folders.
        vocabulary: Number of tokens that the text encoder knows.
    """
    fitting = (place for place in _places(folders) if _size(place) == vocabulary)
    return next(fitting, None)


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
