"""Listing models again and again: only what has changed is read once more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from nodegraph.models.model_sources import (
    FoundModel,
    ModelKind,
    all_below,
    describe_model,
    list_models,
)
from nodegraph.weights.attached_models import find_remote

_Mark: TypeAlias = tuple[tuple[str, int, int, int], ...]


class KnownModels:
    """The models under some folders; safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Path], tuple[_Mark, FoundModel]] = {}

    def list(self, folders: Sequence[Path]) -> list[FoundModel]:
        """As `list_models`; headers are read of files that are new, or were written since."""
        described: dict[tuple[str, Path], tuple[_Mark, FoundModel]] = {}

        def describe(name: str, path: Path, kind: ModelKind) -> FoundModel:
            # Looked at before it is read: what changes meanwhile is read again the next time.
            mark = _mark(path)
            known = self._known.get((name, path))
            if known is None or known[0] != mark:
                known = mark, describe_model(name, path, kind)
            described[name, path] = known
            return known[1]

        models = list_models(folders, describe)
        self._known = described
        return models

    def get(self, name: str, folders: Sequence[Path]) -> FoundModel | None:
        """The model of that name, of a remote one with what its outline tells; None if there is
        none.

        Raises:
            InvalidFile: It is remote, and can't be had.
        """
        model = self._named(name, folders)
        if model is None or model.is_looked_at:
            return model
        find_remote(name, folders)
        return self._named(name, folders)

    def _named(self, name: str, folders: Sequence[Path]) -> FoundModel | None:
        return next((model for model in self.list(folders) if model.name == name), None)


def _mark(path: Path) -> _Mark:
    """What changes when a file, or any in a folder, is written, replaced or made readable."""
    return tuple(_of(file) for file in sorted(all_below(path)))


def _of(file: Path) -> tuple[str, int, int, int]:
    try:
        status = os.stat(file)  # noqa: PTH116 - of hundreds of files
    except OSError:
        return str(file), -1, 0, 0
    return str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns
