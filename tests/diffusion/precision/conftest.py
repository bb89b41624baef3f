"""A tiny model whose files hold weights in 8 bits."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]
Rewritten = Callable[[Path, Change], Path]


@pytest.fixture
def rewritten(tmp_path: Path) -> Rewritten:
    """A copy of a model's folder with changed weights of denoiser and text encoder."""

    def write(source: Path, change: Change) -> Path:
        folder = tmp_path / f"model{len(list(tmp_path.iterdir()))}"
        shutil.copytree(source, folder)
        for part in ("unet", "text_encoder"):
            (file,) = (folder / part).glob("*.safetensors")
            save_file(change(load_file(file)), file, {"format": "pt"})
        return folder

    return write


def is_matrix(name: str, tensor: Tensor) -> bool:
    return name.endswith("weight") and tensor.dim() > 1


def in_float8(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As those who cast a whole file do."""
    return {
        name: item.to(torch.float8_e4m3fn if is_matrix(name, item) else torch.bfloat16)
        for name, item in tensors.items()
    }


def scaled(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As ComfyUI's older files have it: a factor for each layer, and a mark."""
    found = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}
    for name, item in tensors.items():
        if is_matrix(name, item):
            factor = item.abs().max().float() / 448
            found[name] = (item / factor).to(torch.float8_e4m3fn)
            stem = name.removesuffix("weight")
            found |= {f"{stem}scale_weight": factor, f"{stem}scale_input": torch.tensor(1.0)}
        else:
            found[name] = item.to(torch.bfloat16)
    return found


def scaled_by_row(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As compressors for language models write it, and ComfyUI's newer files do with one factor."""
    found = {}
    for name, item in tensors.items():
        if is_matrix(name, item):
            factor = item.flatten(1).abs().amax(1).float() / 448
            rows = factor.view(-1, *[1] * (item.dim() - 1))
            found[name] = (item / rows).to(torch.float8_e5m2)
            found[f"{name.removesuffix('weight')}weight_scale"] = factor[:, None]
        else:
            found[name] = item.to(torch.bfloat16)
    return found


def widened_by_hand(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights in float32."""
    found = {}
    for name, item in tensors.items():
        stem = name.removesuffix("weight")
        factor = tensors.get(f"{stem}scale_weight", tensors.get(f"{stem}weight_scale"))
        if name.endswith(("scale_weight", "weight_scale", "scale_input", "scaled_fp8")):
            continue
        wide = item.float()
        if is_matrix(name, item) and factor is not None:
            wide *= factor.view(-1, *[1] * (item.dim() - 1)) if factor.dim() else factor
        found[name] = wide
    return found
