"""Folders with something missing or wrong are refused; nothing is done without unnoticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nodegraph.diffusion import load_component, open_model
from nodegraph.errors import InvalidFile
from tests.messages import raises

from .conftest import Pair
from .test_flux import flux, sd3
from .test_stable_diffusion import sd1
from .video_models import wan22

ModelOf = Callable[[Callable[[], Any]], Pair]


def copy_of(model_of: ModelOf, build: Callable[[], Any], place: Path) -> Path:
    return Path(shutil.copytree(model_of(build)[1].folder, place / "model"))


def rewrite(file: Path, **entries: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


@pytest.mark.parametrize(
    ("build", "role"),
    [(wan22, "transformer_2"), (sd3, "text_encoder_3"), (sd3, "tokenizer_3")],
)
def test_a_part_that_the_index_names_is_not_done_without(
    model_of: ModelOf, tmp_path: Path, build: Callable[[], Any], role: str
) -> None:
    folder = copy_of(model_of, build, tmp_path)
    shutil.rmtree(folder / role)
    with raises(InvalidFile):
        open_model(str(folder), [])


def test_a_part_that_was_copied_in_half_is_not_done_without(
    model_of: ModelOf, tmp_path: Path
) -> None:
    folder = copy_of(model_of, wan22, tmp_path)
    (folder / "transformer_2" / "config.json").unlink()
    with raises(InvalidFile):
        open_model(str(folder), [])


def test_a_part_that_the_index_leaves_out_may_be_missing(model_of: ModelOf, tmp_path: Path) -> None:
    folder = copy_of(model_of, sd3, tmp_path)
    for role in ("text_encoder_3", "tokenizer_3"):
        shutil.rmtree(folder / role)
        rewrite(folder / "model_index.json", **{role: [None, None]})
    encoder = load_component(open_model(str(folder), []).text_encoder, "cpu")
    assert set(encoder.modules) == {"text_encoder", "text_encoder_2"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shift", 0),
        ("shift", "big"),
        ("num_train_timesteps", 0),
        ("shift_terminal", 1.0),
        ("base_shift", None),
    ],
)
def test_numbers_that_give_no_noise_levels(
    model_of: ModelOf, tmp_path: Path, key: str, value: object
) -> None:
    folder = copy_of(model_of, flux, tmp_path)
    rewrite(folder / "scheduler" / "scheduler_config.json", **{key: value})
    with raises(InvalidFile, port="model"):
        open_model(str(folder), [])


def test_weights_of_whole_numbers(model_of: ModelOf, tmp_path: Path) -> None:
    folder = copy_of(model_of, flux, tmp_path)
    file = folder / "text_encoder_2" / "model.safetensors"
    # Those of 8 bits are refused as they are read.
    whole = {name: item.to(torch.int16) for name, item in load_file(file).items()}
    save_file(whole, file, metadata={"format": "pt"})
    with raises(InvalidFile):
        load_component(open_model(str(folder), []).text_encoder, "cpu")


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_train_timesteps", 0), ("beta_start", "big"), ("beta_end", 2.0), ("steps_offset", None)],
)
def test_numbers_that_give_no_noise_levels_are_refused(
    model_of: ModelOf, tmp_path: Path, key: str, value: object
) -> None:
    folder = copy_of(model_of, sd1, tmp_path)
    rewrite(folder / "scheduler" / "scheduler_config.json", **{key: value})
    with pytest.raises(InvalidFile, match=key):
        open_model(str(folder), [])


def test_a_flux_of_unknown_channels_is_refused(model_of: ModelOf, tmp_path: Path) -> None:
    folder = copy_of(model_of, flux, tmp_path)
    rewrite(folder / "transformer" / "config.json", in_channels=192)
    with raises(InvalidFile):
        open_model(str(folder), [])


@pytest.mark.parametrize(
    ("role", "needed"),
    [("tokenizer", "vocab.json with merges.txt"), ("tokenizer_2", "tokenizer.json")],
)
def test_a_missing_tokenizer_is_told_by_the_files_that_it_needs(
    model_of: ModelOf, tmp_path: Path, role: str, needed: str
) -> None:
    folder = copy_of(model_of, flux, tmp_path)
    shutil.rmtree(folder / role)
    with raises(InvalidFile):
        open_model(str(folder), [])
