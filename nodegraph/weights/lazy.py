"""torch, imported when it is first used.

Families are data that listing and checking models reads, which has to be quick, and arithmetic,
which needs torch: both stand in one file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
else:

    class _Later:
        """Stands for a module until something of it is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            attribute = getattr(import_module(self._name), name)
            setattr(self, name, attribute)
            return attribute

    torch = _Later("torch")
