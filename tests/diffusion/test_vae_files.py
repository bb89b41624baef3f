"""Autoencoders by themselves: what tells that one changed, and what it can be opened as."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nodegraph.diffusion import model_stamp
from nodegraph.errors import UnsafeFile
from nodegraph.models import model_files as model_stamps
from nodegraph.models.vae_files import vae_stamp


@pytest.fixture
def whole(sd1_folder: Path, tmp_path: Path) -> Path:
    """A model's folder called `whole`, whose VAE's is called `whole/vae`."""
    return Path(shutil.copytree(sd1_folder, tmp_path / "whole"))


@pytest.mark.parametrize("name", ["whole", "whole/vae"])
def test_a_stamp_says_what_float16_is_computed_in(
    whole: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = set()
    for device, capable in (("cpu", True), ("cpu", False), ("cuda", True)):
        monkeypatch.setattr(model_stamps, "cpu_has_float16", lambda capable=capable: capable)
        stamps.add(vae_stamp(name, [whole.parent], device=device))
    assert len(stamps) == 3


@pytest.mark.parametrize("name", ["whole", "whole/vae"])
def test_a_stamp_changes_with_the_files_that_count(whole: Path, name: str) -> None:
    before = vae_stamp(name, [whole.parent])
    (whole / "vae" / "README.md").write_text("does not count")
    assert vae_stamp(name, [whole.parent]) == before
    config = whole / "vae" / "config.json"
    config.write_text(config.read_text() + "\n")
    assert vae_stamp(name, [whole.parent]) != before


def test_the_stamp_of_a_whole_model_is_the_models_own(whole: Path) -> None:
    assert vae_stamp("whole", [whole.parent]) == model_stamp("whole", [whole.parent])


def test_the_stamp_of_a_pickle_is_refused_as_opening_it_is(whole: Path) -> None:
    weights = whole / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(UnsafeFile):
        vae_stamp("whole", [whole.parent])
    assert vae_stamp("whole", [whole.parent], allow_pickle=True)
