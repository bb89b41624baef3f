"""Weights are read into memory once, and converted tensor by tensor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from nodegraph.families.building import build_module
from nodegraph.residency import measuring
from nodegraph.weights.weight_files import read_tensors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak")

MIB = 2**20
PREFIX = "model.diffusion_model."


@pytest.fixture(scope="module")
def single_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 96 MiB in float32, in 24 tensors, of which 64 MiB have the prefix."""
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("models") / "single.safetensors"
    tensors = {
        f"{PREFIX if index < 16 else 'other.'}{index}": torch.full((MIB,), float(index))
        for index in range(24)
    }
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def unet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A UNet of more than 64 MiB in float32."""
    folder = tmp_path_factory.mktemp("models") / "large"
    state = torch.get_rng_state()
    UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(128, 256),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=2,
        attention_head_dim=8,
        cross_attention_dim=32,
    ).save_pretrained(folder / "unet")
    torch.set_rng_state(state)
    return folder


def test_a_single_file_is_never_in_memory_twice(single_file: Path) -> None:
    with measuring("cpu") as peak:
        found = read_tensors([single_file], "float32", prefix=PREFIX)

    assert sorted(found) == sorted(f"{PREFIX}{index}" for index in range(16))
    assert all(
        bool((item == float(name.removeprefix(PREFIX))).all()) for name, item in found.items()
    )
    assert peak.bytes is not None
    # Once, and one tensor as it lies in the file.
    assert peak.bytes < (64 + 16) * MIB


def test_reading_in_half_precision_takes_half(single_file: Path) -> None:
    with measuring("cpu") as peak:
        found = read_tensors([single_file], "float16", prefix=PREFIX)

    assert {item.dtype for item in found.values()} == {torch.float16}
    assert peak.bytes is not None
    assert peak.bytes < (32 + 16) * MIB


def test_a_folder_is_never_in_memory_twice(unet_folder: Path) -> None:
    files = sorted((unet_folder / "unet").iterdir())

    def load() -> nn.Module:
        return build_module(["UNet2DConditionModel"], files, "float32")

    size = sum(item.nbytes for item in load().parameters())
    with measuring("cpu") as peak:
        kept = load()

    assert kept is not None
    assert size > 48 * MIB
    assert peak.bytes is not None
    assert peak.bytes < 1.25 * size
