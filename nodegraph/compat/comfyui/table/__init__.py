"""The table: what stands for ComfyUI's node types, and the other way round.

A module for each kind of node; each has its own `ENTRIES`.
"""

from __future__ import annotations

from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.table import latents

MODULES = (latents,)


def built_in() -> tuple[TableEntry, ...]:
    """All entries, those of loaders first."""
    return tuple(entry for module in MODULES for entry in module.ENTRIES)
