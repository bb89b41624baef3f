"""Models that come and go are noticed, without going through all of them each time."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.workflows.model_watch import ModelWatch


class Watched:
    """A models folder that is looked at.

    Attributes:
        told: How often it was told of.
        reads: How often folders were read.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told = self.reads = 0
        self._watch = ModelWatch(lambda: [folder], asyncio.to_thread, self._tell, lambda: True)
        read = os.scandir

        def scandir(*arguments: Any) -> Any:
            self.reads += 1
            return read(*arguments)

        monkeypatch.setattr(os, "scandir", scandir)
        for each in (folder, *folder.glob("**/")) if folder.exists() else ():
            os.utime(each, (1e9, 1e9))  # some file systems tell times in steps of milliseconds
        self.look(2)

    def _tell(self) -> None:
        self.told += 1

    def look(self, times: int = 1) -> int:
        """Look some times; how often it has been told of in all."""
        for _ in range(times):
            asyncio.run(self._watch.poll())
        return self.told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model in it."""
    found = tmp_path / "models"
    (found / "sd").mkdir(parents=True)
    (found / "sd" / "old.safetensors").write_bytes(b"old")
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new.safetensors").write_bytes(b"new"),
        lambda folder: (folder / "sd" / "old.png").write_bytes(b"an image"),
        lambda folder: (folder / "sd" / "old.safetensors").unlink(),
        lambda folder: (folder / "sd" / "old.safetensors").rename(folder / "sd" / "b.safetensors"),
        shutil.rmtree,
    ],
)
def test_what_comes_or_goes_is_told_of_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], Any]
) -> None:
    watched = Watched(folder, monkeypatch)
    assert watched.look() == 0
    change(folder)
    assert watched.look(4) == 1


def test_one_that_comes_and_goes_between_two_looks_is_told_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder, monkeypatch)
    (folder / "short").mkdir()
    (folder / "short" / "new.safetensors").write_bytes(b"new")
    shutil.rmtree(folder / "short")  # somebody has listed it meanwhile, for another reason
    assert watched.look(3) == 1


def test_a_model_in_a_new_folder_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path / "models", monkeypatch)
    (tmp_path / "models" / "flux").mkdir(parents=True)
    assert watched.look(3) == 1  # there is nothing in it yet, but may have been
    (tmp_path / "models" / "flux" / "new.safetensors").write_bytes(b"new")
    assert watched.look() == 2


def test_one_that_grows_is_told_of_until_it_is_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder, monkeypatch)
    with (folder / "large.safetensors").open("wb", buffering=0) as file:
        for told in (1, 2, 3):
            file.write(b"part")
            assert watched.look() == told
    assert watched.look(3) == 3


def test_nothing_is_read_while_nothing_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder, monkeypatch)
    before = watched.reads
    watched.look(10)
    assert watched.reads == before


def test_links_that_lead_back_are_followed_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sd" / "again").symlink_to(folder, target_is_directory=True)
    watched = Watched(folder, monkeypatch)
    (folder / "new.safetensors").write_bytes(b"new")
    assert watched.look(3) == 1


def test_links_to_nothing_hide_no_other_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (folder / "sd" / f"{number}.safetensors").symlink_to(folder / "none")
    watched = Watched(folder, monkeypatch)
    old = folder / "sd" / "old.safetensors"
    old.unlink()
    old.write_bytes(b"another one")
    assert watched.look(2) == 1
