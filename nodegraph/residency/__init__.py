"""Weights in memory: recipes become live modules on a device, within budgets."""

from nodegraph.core.host_memory import HostMemory
from nodegraph.residency.entries import Resident, device_name, resident_name
from nodegraph.residency.failures import OutOfMemory, is_out_of_memory
from nodegraph.residency.manager import ResidencyManager
from nodegraph.residency.memory import has_own_memory, memory_of
from nodegraph.residency.needs import Compact, PartialComponent, component_bytes
from nodegraph.residency.peaks import MemoryPeak, measuring
from nodegraph.residency.shelves import MOVING_RATE

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
