"""Files of what was taught: named by their content, in a folder that is kept between runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import RecipeFile
from nodegraph.errors import OutputError

WEIGHTS = "weights.safetensors"
DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"
CONFIG = "config.json"


def taught_folder(environment: Environment) -> Path:
    """Where files of what was taught lie."""
    return environment.taught or environment.temporary / "taught"


def keep_taught(
    environment: Environment,
    role: str,
    tensors: Mapping[str, Tensor],
    about: Mapping[str, Any],
    *,
    config: Mapping[str, Any] | None = None,
) -> tuple[RecipeFile, ...]:
    """Write what was taught, unless it is there: in a folder by the digest of its content.

    Args:
        role: Of the files; see `RecipeFile`.
        about: Plain values that are noted in the file.
        config: The module's, where a file without one doesn't tell what it is.
    Returns:
        The file of weights, and that of the configuration behind it.
    Raises:
        OutputError: It can't be written.
    """
    folder = taught_folder(environment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=".", dir=folder))
        weights = made / (WEIGHTS if config is None else DIFFUSERS_WEIGHTS)
        # One entry: the order of several differs from time to time, and the digest with it.
        save_file(dict(tensors), weights, metadata={"nodegraph": json.dumps(about, sort_keys=True)})
        files = [weights]
        if config is not None:
            files.append(made / CONFIG)
            files[-1].write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
        digests = [FILE_DIGESTS.digest(path) for path in files]
        place = folder / digests[0]
        _move(made, place)
    except OSError as error:
        raise OutputError(f"can't write what was taught to {folder}: {error}") from error
    return tuple(
        RecipeFile(role, str(place / path.name), digest)
        for path, digest in zip(files, digests, strict=True)
    )


def _move(made: Path, place: Path) -> None:
    """A finished folder to its place; what is there is the same, or is damaged and replaced."""
    for path in made.iterdir():
        # Somebody may read what is there: it is replaced as a whole.
        place.mkdir(exist_ok=True)
        path.replace(place / path.name)
    made.rmdir()
