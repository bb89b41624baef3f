"""Memory that this process has."""

from __future__ import annotations

import sys
from typing import Any

import psutil

from nodegraph.jobs.supervisor.platforms import held_memory


class Memory:
    """Measures this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def used(self) -> int:
        """Bytes of the host's memory, see `held_memory`."""
        return held_memory(self._process)

    def used_on_device(self) -> int | None:
        """Bytes that torch has taken on accelerators; None as long as it has taken none."""
        torch: Any = sys.modules.get("torch")
        # Half imported, it has no `cuda` yet; and asking must not be what starts a device up.
        cuda: Any = getattr(torch, "cuda", None)
        is_initialized = getattr(cuda, "is_initialized", None)
        if is_initialized is None or not is_initialized():
            return None
        return sum(int(cuda.memory_reserved(at)) for at in range(cuda.device_count()))
