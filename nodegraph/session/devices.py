"""Compute devices: count GPUs without torch, resolve device names, set thread waiting."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from nodegraph.errors import InvalidValue

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


def share_cores() -> None:
    """Let torch's threads spin only briefly while they wait for each other, then sleep.

    With other work on the cores, spinning threads keep out the very one that they wait for: twenty
    sampling steps of a small model then take many times as long. GNU OpenMP reads the variable
    when torch is loaded, so it has no effect after that; what the user has set stays.

    How many they are is settled as well: results depend on it in their last bits, so it is part of
    their keys, which are made before torch is there. It is what torch takes by itself on Linux: one
    for each core that the process may use.
    """
    if "torch" in sys.modules:
        return
    from nodegraph.weights.numerics import compute_threads

    os.environ.setdefault("OMP_NUM_THREADS", str(compute_threads()))
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def prepare_torch(cache: Path) -> None:
    """`share_cores`, and let what torch.compile makes be found again by later processes.

    By itself torch keeps it in the temporary folder, which restarts of the machine empty and which
    others can write to. What the user has set stays.

    Args:
        cache: The cache folder.
    """
    share_cores()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "compiled"))


def resolve_device(name: str) -> str:
    """A device that there is, by the one name that it has here: ``cuda`` is ``cuda:0``.

    Raises:
        InvalidValue: There is none of that name.
    """
    if name == "cpu":
        return name
    from nodegraph.residency import device_name

    there = list_devices()
    if device_name(name) not in there:
        raise InvalidValue(
            "there is no such device", given=name, expected=f"auto, {', '.join(there)}"
        )
    return device_name(name)


def list_devices() -> list[str]:
    """The devices that torch finds."""
    import torch

    there = ["cpu", *(f"cuda:{at}" for at in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    return there


def matmul_seconds(device: str) -> float | None:
    """Seconds that 1e9 multiplications take in a large product of matrices; None if unknown.

    It takes a few milliseconds. Of an accelerator it is known only once torch is in use, and only
    where its memory has room for them.
    """
    from nodegraph.residency import is_out_of_memory

    try:
        return _measure_matmul(device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def _measure_matmul(device: str) -> float | None:
    side, times = 768, 3
    if device == "cpu":
        import numpy

        ones = numpy.ones((side, side), numpy.float32)

        def multiply() -> object:
            return ones @ ones
    else:
        torch = sys.modules.get("torch")
        if torch is None:
            return None
        side, times = 4096, 3
        there = torch.ones((side, side), dtype=torch.float16, device=device)

        def multiply() -> object:
            return float((there @ there)[0, 0])  # it waits for the device

    multiply()
    return min(_seconds(multiply) for _ in range(times)) / side**3 * 1e9


def _seconds(action: Callable[[], object]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def default_device() -> str:
    """The first accelerator, else ``cpu``; imports torch only where there might be one."""
    if sys.platform == "linux" and not any(Path(path).exists() for path in _ACCELERATORS):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
