"""What may change the last bits of a picture besides its inputs."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version


class LibraryNumerics:
    """Describes device kind and library versions; satisfies `core.context.Numerics`."""

    def profile(self, device: str) -> str:
        """Such as ``cpu torch 2.9.0 diffusers 0.36.0``; asks no library, so it is quick."""
        kind = device.partition(":")[0]
        return f"{kind} torch {_version('torch')} diffusers {_version('diffusers')}"


@lru_cache
def _version(distribution: str) -> str:
    return version(distribution)
