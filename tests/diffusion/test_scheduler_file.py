"""A model's noise schedule is read without its weights, and is the one that comes with them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import DiffusionModel
from nodegraph.diffusion import NoiseSchedule, load_component, open_model, scheduler_config
from nodegraph.errors import InvalidFile


@pytest.fixture
def folder(tmp_path: Path, sd1_v_folder: Path) -> Path:
    return Path(shutil.copytree(sd1_v_folder, tmp_path / "model"))


def model_of(folder: Path) -> DiffusionModel:
    return open_model(str(folder), [], digests=FileDigests()).model


def test_it_is_what_the_loaded_model_has_and_needs_no_weights(folder: Path) -> None:
    recipe = model_of(folder)
    expected = load_component(recipe, "cpu").scheduler_config
    shutil.rmtree(folder / "unet")

    assert scheduler_config(recipe) == expected
    assert NoiseSchedule.from_config(scheduler_config(recipe)).prediction_type == "v_prediction"


@pytest.mark.parametrize(
    ("declared", "prediction"),
    [({}, "epsilon"), ({"modelspec.prediction_type": "v"}, "v_prediction")],
)
def test_a_single_file_says_what_it_predicts(
    tmp_path: Path, declared: dict[str, str], prediction: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(1)}, path, declared)
    recipe = DiffusionModel("sd1", str(path), "0" * 64)

    assert scheduler_config(recipe)["prediction_type"] == prediction
    pickle = replace(recipe, source=str(tmp_path / "model.ckpt"))
    assert scheduler_config(pickle)["prediction_type"] == "epsilon"


def test_a_damaged_file_is_named(folder: Path) -> None:
    recipe = model_of(folder)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps([]))

    with pytest.raises(InvalidFile, match=r"scheduler_config\.json"):
        scheduler_config(recipe)


def test_reading_it_imports_no_torch() -> None:
    code = "import sys, nodegraph.diffusion.scheduler_file; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
