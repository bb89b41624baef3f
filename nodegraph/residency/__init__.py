"""Weights in memory: recipes become live modules on a device, within budgets."""

from nodegraph.core.host_memory import HostMemory
from nodegraph.residency.component_loading import Compact, PartialComponent, component_bytes
from nodegraph.residency.manager import ResidencyManager
from nodegraph.residency.memory import (
    MemoryPeak,
    OutOfMemory,
    has_own_memory,
    is_out_of_memory,
    measuring,
    memory_of,
)
from nodegraph.residency.placements import MOVING_RATE, Resident, device_name, resident_name

__all__ = [
    "MOVING_RATE",
    "Compact",
    "HostMemory",
    "MemoryPeak",
    "OutOfMemory",
    "PartialComponent",
    "ResidencyManager",
    "Resident",
    "component_bytes",
    "device_name",
    "has_own_memory",
    "is_out_of_memory",
    "measuring",
    "memory_of",
    "resident_name",
]
