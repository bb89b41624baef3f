"""Weights in pickle files, where a user allows those. Imports torch only to open one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    from torch import Tensor


_INNER = ("state_dict", "params_ema", "params-ema", "params")
"""Under which checkpoints, and upscale models as BasicSR saves them, keep their tensors."""


def pickle_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a pickle checkpoint, without reading their bytes."""
    return {name: tuple(tensor.shape) for name, tensor in _unpickle(path, "meta").items()}


def pickle_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors of a pickle checkpoint whose names start with `prefix`."""
    tensors = _unpickle(path, "cpu")
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _unpickle(path: Path, device: str) -> dict[str, Tensor]:
    """Open a pickle checkpoint that the user allows, without running code in it.

    Raises:
        InvalidFile: It is damaged or holds more than tensors.
    """
    import pickle

    import torch

    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InvalidFile(
            f"{path} can't be opened: it is damaged or holds objects besides tensors.",
            hint="Convert it to safetensors.",
        ) from error
    content = content if isinstance(content, dict) else {}
    content = next((content[key] for key in _INNER if isinstance(content.get(key), dict)), content)
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
