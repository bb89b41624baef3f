"""Loads a model, overwrites its files with zeros and cuts them short, and uses it all the while.

Takes the model's folder. Ends with an error if a weight is not what it was.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from nodegraph.diffusion import load_component, open_model


def main(model: Path) -> None:
    recipes = open_model(str(model), [], dtype="float32", allow_pickle=True)
    components = [load_component(recipe, "cpu") for recipe in recipes]
    modules = [component.module for component in components]
    before = [copies(module) for module in modules]
    files = [*model.glob("*/*.safetensors"), *model.glob("*/*.bin")]
    for file in files:
        with file.open("r+b") as opened:
            opened.write(bytes(file.stat().st_size))
    check(modules, before)
    for file in files:
        os.truncate(file, 100)
    check(modules, before)


def copies(module: nn.Module) -> list[Tensor]:
    return [weight.clone() for weight in module.parameters()]


def check(modules: list[nn.Module], before: list[list[Tensor]]) -> None:
    for module, weights in zip(modules, before, strict=True):
        assert all(map(torch.equal, module.parameters(), weights)), type(module)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
