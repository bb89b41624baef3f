"""Files of trained weights: named by their content, in a folder kept between runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import RecipeFile
from nodegraph.errors import OutputError

WEIGHTS = "weights.safetensors"
DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"
TRANSFORMERS_WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def trained_folder(environment: Environment) -> Path:
    """Where files of what was taught lie."""
    return environment.trained or environment.temporary / "taught"


def write_trained(
    environment: Environment,
    role: str,
    tensors: Mapping[str, Tensor],
    about: Mapping[str, Any] | None = None,
    *,
    name: str = WEIGHTS,
    configs: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[RecipeFile, ...]:
    """Write what was taught, unless it is there: in a folder by the digest of its content.

    Args:
        role: Of the files; see `RecipeFile`.
        about: Plain values that are noted in the file of weights; if left out, it says no more
            than what the libraries look for.
        name: Of the file of weights.
        configs: Configurations by the names of their files.
    Returns:
        The file of weights, and those of configurations behind it.
    Raises:
        OutputError: It can't be written.
    """
    folder = trained_folder(environment)
    # One entry: the order of several differs from time to time, and the digest with it.
    noted = {"format": "pt"} if about is None else {"nodegraph": json.dumps(about, sort_keys=True)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=".", dir=folder))
        save_file(dict(tensors), made / name, metadata=noted)
        for file, config in (configs or {}).items():
            (made / file).write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
        files = [made / file for file in (name, *(configs or ()))]
        digests = [FILE_DIGESTS.digest(path) for path in files]
        target = folder / digests[0]
        _move(made, target)
    except (OSError, SafetensorError) as error:
        # safetensors reports a full disk as its own error.
        raise OutputError(f"cannot write the trained weights to {folder}: {error}") from error
    return tuple(
        RecipeFile(role, str(target / path.name), digest)
        for path, digest in zip(files, digests, strict=True)
    )


def _move(made: Path, target: Path) -> None:
    """A finished folder to its place; what is there is the same, or is damaged and replaced."""
    target.mkdir(exist_ok=True)
    for path in made.iterdir():
        # Somebody may read what is there: each file is replaced as a whole.
        path.replace(target / path.name)
    made.rmdir()
