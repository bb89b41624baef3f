"""What may change the last bits of a picture besides its inputs."""

from __future__ import annotations

import platform
import sys
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path


class LibraryNumerics:
    """Describes device kind and library versions; satisfies `core.context.Numerics`."""

    def profile(self, device: str) -> str:
        """Such as ``cpu torch 2.9.0 diffusers 0.36.0``; asks no library, so it is quick."""
        kind = device.partition(":")[0]
        return f"{kind} torch {_version('torch')} diffusers {_version('diffusers')}"


@lru_cache
def cpu_has_float16() -> bool:
    """Whether this machine's CPU computes in float16; others take hundreds of times as long.

    Asks the system, not torch. Where it doesn't say, the answer is no.
    """
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    try:
        said = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return False
    return bool(said & {"avx512_fp16", "asimdhp"})


@lru_cache
def _version(distribution: str) -> str:
    return version(distribution)
