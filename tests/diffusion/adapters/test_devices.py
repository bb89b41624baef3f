"""Adapters on an accelerator, and over weights that stay at the host; real or pretended."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nodegraph.models.derived_components import adapt_modules
from nodegraph.models.offloading import offload_layers
from tests.accelerator.card import Card

from . import files
from .denoisers import build

pytestmark = pytest.mark.gpu


@pytest.fixture
def unet() -> nn.Module:
    torch.manual_seed(0)
    return build("sd1")


@pytest.fixture
def path(unet: nn.Module, tmp_path: Path) -> Path:
    pairs = files.own_pairs(unet)
    return files.saved(files.peft_file(pairs, "unet."), tmp_path / "lora.safetensors")


def _run(unet: Any, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x, text = (torch.randn(*shape, generator=generator) for shape in ((1, 4, 8, 8), (1, 5, 32)))
    with torch.no_grad():
        found: Tensor = unet(
            x.to(device), torch.tensor(500, device=device), text.to(device), return_dict=False
        )[0]
    return found.cpu()


def _changed(unet: nn.Module, path: Path) -> nn.Module:
    return adapt_modules({"unet": unet}, [files.adapter(path, 0.5)], dtype="float32")["unet"]


@pytest.mark.slow
def test_they_lie_where_the_weights_do(unet: nn.Module, path: Path, cuda: Card) -> None:
    expected = _run(_changed(unet, path), "cpu")
    there = _changed(deepcopy(unet).to("cuda:0"), path)
    assert {tensor.device.type for tensor in there.buffers()} == {"cuda"}
    cuda.assert_as_on_cpu(_run(there, "cuda:0"), expected, rounding=1e-5)


def test_they_go_with_the_layer_that_is_at_work(unet: nn.Module, path: Path, cuda: Card) -> None:
    changed = _changed(unet, path)
    expected = _run(changed, "cpu")
    with offload_layers({"unet": changed}, "cuda:0") as brought:
        found = _run(brought.modules["unet"], "cuda:0")
    cuda.assert_as_on_cpu(found, expected, rounding=1e-5)
    assert {tensor.device.type for tensor in changed.buffers()} == {"cpu"}
