"""Folders of tiny random models, made once in a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .equality import Model, random_pipeline

if TYPE_CHECKING:
    from .denoiser_writing import WrittenOf

Pair = tuple[Any, Model]
_KNOWN = pytest.StashKey[dict[Callable[[], Any], Pair]]()


@pytest.fixture(scope="session")
def model_of(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Callable[[], Any]], Pair]:
    """A stock pipeline, and the same saved as a folder and opened by nodegraph.

    Shared by all modules, also by those that import this, so leave both as they are.
    """
    known = pytestconfig.stash.setdefault(_KNOWN, {})

    def made(build: Callable[[], Any]) -> Pair:
        if build not in known:
            pipeline = random_pipeline(build)
            folder: Path = tmp_path_factory.mktemp("models") / build.__name__
            pipeline.save_pretrained(folder)
            known[build] = pipeline, Model(folder)
        return known[build]

    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenOf:
    """A stock pipeline by what builds it, and its denoiser in a file of its own."""
    from .denoiser_writing import written_denoisers

    return written_denoisers(tmp_path_factory)
