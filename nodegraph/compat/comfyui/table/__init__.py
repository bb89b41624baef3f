"""The table: what stands for ComfyUI's node types, and the other way round.

A module for each kind of node; each has its own `ENTRIES`.
"""

from __future__ import annotations

from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.table import (
    conditioning,
    control,
    editing,
    guiding,
    latents,
    loaders,
    methods,
    patches,
    sampling,
    schedules,
)

MODULES = (
    loaders,
    conditioning,
    editing,
    control,
    patches,
    guiding,
    methods,
    schedules,
    sampling,
    latents,
)


def built_in() -> tuple[TableEntry, ...]:
    """All entries, those of loaders first."""
    return tuple(entry for module in MODULES for entry in module.ENTRIES)
