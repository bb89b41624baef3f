"""How many graphics cards torch will find, told without loading it, which takes seconds."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

_BUILT_FOR = re.compile(r"^(cuda|hip)\b[^=\n]*=\s*(?!None\b)\S", re.MULTILINE)
"""In torch/version.py, a line such as ``cuda: Optional[str] = '12.8'``."""


def visible_gpu_count(
    root: Path = Path("/"),
    variables: Mapping[str, str] = os.environ,
    torch_version: Path | None = None,
) -> int:
    """Cards of the kind that torch was built for, less those that variables hide from it.

    Args:
        root: Folder below which the system's files lie.
        variables: ``CUDA_VISIBLE_DEVICES`` for NVIDIA's; for AMD's also ``HIP_VISIBLE_DEVICES``,
            which goes before it, and ``ROCR_VISIBLE_DEVICES``, which goes before both.
        torch_version: The module that says what torch was built for; the installed one's if None.
    """
    if not sys.platform.startswith("linux"):
        return 0
    kind = _built_for(torch_version or _torch_version())
    if kind == "cuda":
        return _visible_count(variables.get("CUDA_VISIBLE_DEVICES"), _nvidia_gpu_count(root))
    if kind == "hip":
        card_count = _visible_count(variables.get("ROCR_VISIBLE_DEVICES"), _amd_gpu_count(root))
        names = variables.get("HIP_VISIBLE_DEVICES", variables.get("CUDA_VISIBLE_DEVICES"))
        return _visible_count(names, card_count)
    return 0


def _torch_version() -> Path | None:
    spec = find_spec("torch")  # it looks for it and doesn't import it
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "version.py"


def _built_for(version: Path | None) -> str | None:
    try:
        match = None if version is None else _BUILT_FOR.search(version.read_text(encoding="utf-8"))
    except OSError:
        return None
    return None if match is None else match[1]


def _nvidia_gpu_count(root: Path) -> int:
    return sum(path.name[6:].isdigit() for path in (root / "dev").glob("nvidia[0-9]*"))


def _amd_gpu_count(root: Path) -> int:
    """Nodes of the driver's topology that compute and that this process may use.

    Those without a GPU are processors, and the files of others' containers can't be read.
    Source: https://docs.kernel.org/gpu/amdgpu, `kfd_topology.c`: `gpu_id` is 0 for a processor.
    """
    if not (root / "dev/kfd").exists():
        return 0
    return sum(_number(path) > 0 for path in root.glob("sys/class/kfd/kfd/topology/nodes/*/gpu_id"))


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _visible_count(names: str | None, count: int) -> int:
    """How many of some cards a variable names, by numbers or by identifiers.

    A name that stands for none hides itself and what comes after it; one named twice, all.
    Source: CUDA C++ Programming Guide, "CUDA Environment Variables".
    """
    if names is None:
        return count
    identifiers: list[str | int] = []
    for name in (part.strip() for part in names.split(",")):
        number = int(name) if name.isdigit() else None
        is_known = name.startswith(("GPU-", "MIG-")) if number is None else number < count
        if not is_known:
            break
        identifiers.append(name if number is None else number)
    return min(len(identifiers), count) if len(set(identifiers)) == len(identifiers) else 0
