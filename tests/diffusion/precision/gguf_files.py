"""GGUF files, written with the library of those who made the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

Kind = Callable[[str, Tensor], str]


def everywhere(kind: str) -> Kind:
    """One type for matrices whose rows are whole blocks; else float32, as its makers have it."""

    def of(name: str, tensor: Tensor) -> str:
        is_blocky = tensor.dim() > 1 and tensor.shape[-1] % 32 == 0 and name.endswith("weight")
        return kind if is_blocky or (kind == "F16" and tensor.dim() > 1) else "F32"

    return of


def write_gguf(
    path: Path, tensors: Mapping[str, Tensor], kind: Kind, **entries: Any
) -> dict[str, Tensor]:
    """Write a file; returns what is in it, in float32, as the library itself reads it."""
    import gguf
    import torch

    writer = gguf.GGUFWriter(str(path), "flux")
    for name, value in entries.items():
        writer.add_string(name, value)
    held = {}
    for name, tensor in tensors.items():
        numbers = tensor.float().numpy()
        wanted = gguf.GGMLQuantizationType[kind(name, tensor)]
        stored = gguf.quantize(np.ascontiguousarray(numbers), wanted)
        writer.add_tensor(name, stored, raw_dtype=wanted)
        held[name] = torch.from_numpy(gguf.dequantize(stored, wanted).reshape(numbers.shape).copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held
