"""What was taught, written where people look for it. Imports no torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

from nodegraph.core.taught_values import TrainedWeights
from nodegraph.errors import InvalidValue, OutputError
from nodegraph.images.output_files import SavedFile
from nodegraph.images.output_names import check_name

_LETTERS = 8
"""Of the weights' digest, that a folder's name ends with."""


def save_folder(weights: TrainedWeights, outputs: Path, name: str) -> Iterator[SavedFile]:
    """Copy weights with their configurations into a folder, as diffusers and transformers read
    one; what is there is left as it is.

    Args:
        name: What the folder's name begins with; may have sub-folders.
    Raises:
        InvalidValue: The name leads out of the outputs.
        OutputError: It can't be written.
    """
    check_name(name)
    folder = outputs / f"{name}_{weights.files[0].digest[:_LETTERS]}"
    if not folder.parent.resolve().is_relative_to(outputs.resolve()):
        raise InvalidValue(
            "this can't be the name of a result: a link leads it out of the output folder",
            port="name",
            given=name,
        )
    try:
        existed = folder.is_dir()
        if not existed:
            _copied(weights, folder)
    except OSError as error:
        raise OutputError(f"can't write {folder}: {error.strerror or error}") from error
    for file in weights.files:
        yield SavedFile(folder / Path(file.path).name, existed=existed)


def _copied(weights: TrainedWeights, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(prefix=".", dir=folder.parent))
    made.chmod(0o755)
    for file in weights.files:
        shutil.copyfile(file.path, made / Path(file.path).name)
    made.rename(folder)
