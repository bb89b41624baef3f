"""Folders of transformers that models of one kind lie in. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.families import diffusers_folder as layout
from nodegraph.models.model_sources import find_path


def locate_transformers_model(name: str, folders: Sequence[Path], *, where: str) -> Path:
    """The folder, or a file in it, that a name means.

    Args:
        where: How such a model is put under a models folder, in a sentence.
    Raises:
        ModelNotFound: There is nothing of that name.
    """
    try:
        return find_path(name, folders)
    except ModelNotFound as error:
        problem = error.problem
        hint = f"{problem.hint} {where}" if problem.hint else where
        raise ModelNotFound(problem.message, given=problem.given, hint=hint) from error


def read_configuration(folder: Path, *, expected: str, where: str) -> Mapping[str, Any]:
    """What a model's folder says of it.

    Args:
        expected: What is looked for, in words.
    Raises:
        InvalidFile: There is no such file, or it is damaged.
    """
    if not (folder / layout.CONFIG).is_file():
        raise InvalidFile(f"{folder} has no {layout.CONFIG}.", expected=expected, hint=where)
    return layout.read_config(folder / layout.CONFIG)
