"""Weights in memory: recipes become live modules on a device, within a budget."""

from nodegraph.residency.manager import ResidencyManager, Resident
from nodegraph.residency.measure import component_bytes

__all__ = ["ResidencyManager", "Resident", "component_bytes"]
