"""Files of weights: their kinds by the endings of their names, and stamps that tell changes.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from nodegraph.errors import InvalidFile

SAFETENSORS = ".safetensors"
GGUF = ".gguf"
HEADED = frozenset({SAFETENSORS, GGUF})
"""Files whose header tells names, shapes and types of all tensors."""
PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin"})
FOREIGN = frozenset(
    {".msgpack", ".h5", ".onnx", ".onnx_data", ".pb", ".tflite", ".ot", ".mlmodel", ".pkl"}
)
"""Of weights that other frameworks read, which lie beside in many a downloaded folder."""
_ALIASES = {".sft": SAFETENSORS}
LEFT_OUT = (SAFETENSORS, GGUF, *_ALIASES)
"""Endings that a model's name may leave out; the first that there is counts."""


def without_ending(name: str) -> str:
    """A file's name without an ending of `LEFT_OUT`."""
    return next((name.removesuffix(end) for end in LEFT_OUT if name.endswith(end)), name)


def file_suffix(path: PurePath) -> str:
    """The ending of a file's name: in lower case, as some systems write it in capitals, and the
    long form of those that have a short one.
    """
    suffix = path.suffix.lower()
    return _ALIASES.get(suffix, suffix)


def file_stamp(path: Path) -> str:
    """Text that changes when the file is written or replaced: its size, times and inode.

    Raises:
        InvalidFile: There is no such file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidFile(f"cannot read {path}: {reason}") from error
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{path} {status.st_size} {times} {status.st_ino}"


@dataclass(frozen=True, slots=True)
class PartFiles:
    """The files of a part.

    Attributes:
        weights: Those of `files` that hold tensors.
    """

    role: str
    files: Sequence[Path]
    weights: Sequence[Path] = ()
