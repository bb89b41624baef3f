"""GLIGEN files of random weights for tiny UNets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers as d
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.weights.single_files.unet import unet_blocks


def is_gligen(name: str) -> bool:
    return ".fuser." in name or name.startswith("position_net.")


def fill(network: Any) -> Any:
    """A UNet with gated layers, whose weights that begin at zero have effect."""
    with torch.no_grad():
        for name, weight in network.eval().requires_grad_(False).named_parameters():
            if "alpha" in name:
                weight.fill_(0.8)
            elif not bool(weight.any()):
                weight.normal_(0, 0.02)
    return network


def original_names(network: Any) -> dict[str, Tensor]:
    """The gated layers of a UNet under the names that files in circulation use."""
    blocks = unet_blocks(network.config)
    tensors = {}
    for name, tensor in network.state_dict().items():
        if not is_gligen(name):
            continue
        block, dot, end = name.partition(".transformer_blocks")
        tensors[f"{blocks[block]}{dot}{end}" if dot else name] = tensor.clone()
    return tensors


def write_gligen(network: Any, path: Path, seed: int = 0) -> Path:
    """A file with gated layers for a UNet."""
    torch.manual_seed(seed)
    config = {**network.config, "attention_type": "gated"}
    save_file(original_names(fill(d.UNet2DConditionModel.from_config(config))), path)
    return path
