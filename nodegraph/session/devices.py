"""Which device to compute on, and how its threads wait."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from nodegraph.errors import InvalidValue


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
