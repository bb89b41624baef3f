"""Blocks of a network compiled by torch.compile."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

_SHAPES = 64
"""Sizes that one kind of block may be compiled for in a process, before it computes as ever."""


def compile_blocks(module: Any) -> None:
    """Compile a network's repeated blocks, in place; each size of inputs by itself, at its first
    use.

    What was compiled is found again for others of the same blocks.
    """
    import torch._dynamo.config as dynamo

    dynamo.recompile_limit = max(dynamo.recompile_limit, _SHAPES)
    # For one size at a time: else it would depend on the sizes before which kernels compute, and
    # with them the last bits.
    if getattr(module, "_repeated_blocks", None):
        module.compile_repeated_blocks(dynamic=False)
        return
    for block in _blocks(module):
        block.compile(dynamic=False)


def _blocks(module: Any) -> list[Any]:
    from torch import nn

    lists = [child for child in module.children() if isinstance(child, nn.ModuleList)]
    return [block for blocks in lists for block in blocks]


def missing_compiler(device: str) -> str | None:
    """What torch.compile lacks to compile for a device, in words; None if nothing is known to."""
    if sys.platform == "win32" and not device.startswith("cuda"):
        return None  # Which compiler there is, torch finds in many places.
    if device.startswith("cuda"):
        return None if importlib.util.find_spec("triton") else "the package triton"
    if device == "cpu":
        compilers = (os.environ.get("CXX") or "g++", "clang++")
        if not any(map(shutil.which, compilers)):
            return "a C++ compiler (g++ or clang++)"
        if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
            return "Python's header files (Python.h)"
    return None
