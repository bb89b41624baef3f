"""Gives processes pretend devices as soon as they have torch, if this folder is in PYTHONPATH.

Python imports a module of this name when it starts. So workers compute on ``cuda:0`` though nothing
in them knows of tests. `PRETEND_MIB` says how much memory each has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

MIB = 2**20


class _WithDevices(Loader):
    """Loads torch and enters the devices, until the process ends."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._pretend: Any = None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self._loader.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        from tests.accelerator.pretend import PretendAccelerator

        # By itself too little for the product by which a worker measures how fast a device
        # multiplies: it would take a minute here.
        room = int(os.environ.get("PRETEND_MIB", "30")) * MIB
        self._pretend = PretendAccelerator(room, room).__enter__()


class _Finder(MetaPathFinder):
    _is_looking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch" or self._is_looking:
            return None
        self._is_looking = True
        try:
            found = find_spec(name)
        finally:
            self._is_looking = False
        if found is not None and found.loader is not None:
            found.loader = _WithDevices(found.loader)
        return found


sys.meta_path.insert(0, _Finder())
