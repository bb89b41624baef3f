"""Which device to compute on, and how its threads wait."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nodegraph.errors import InvalidValue


def share_cores() -> None:
    """Let torch's threads spin only briefly while they wait for each other, then sleep.

    With other work on the cores, spinning threads keep out the very one that they wait for: twenty
    sampling steps of a small model then take many times as long. GNU OpenMP reads the variable
    when torch is loaded, so it has no effect after that; what the user has set stays.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def checked_device(name: str) -> str:
    """A device that there is.

    Raises:
        InvalidValue: There is none of that name.
    """
    if name == "cpu":
        return name
    import torch

    there = ["cpu", *(f"cuda:{at}" for at in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if name not in there and not (name == "cuda" and len(there) > 1):
        raise InvalidValue(
            "there is no such device", given=name, expected=f"auto, {', '.join(there)}"
        )
    return name


_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def default_device() -> str:
    """The first accelerator, else ``cpu``; imports torch only where there might be one."""
    if sys.platform == "linux" and not any(Path(path).exists() for path in _ACCELERATORS):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
