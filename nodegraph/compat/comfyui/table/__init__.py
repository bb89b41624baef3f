"""The table: what stands for ComfyUI's node types, and the other way round.

A module for each kind of node; each has its own `ENTRIES`.
"""

from __future__ import annotations

from dataclasses import replace

from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.table import (
    audio,
    conditioning,
    control,
    curves,
    editing,
    finding,
    guiding,
    image_edit,
    images,
    latents,
    loaders,
    logic,
    masks,
    methods,
    pack_media,
    packs,
    patches,
    preprocessors,
    sampling,
    schedules,
    structured,
    text,
    values,
    video,
    vision,
)
from nodegraph.compat.comfyui.table.unused import UNUSED

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
    images,
    image_edit,
    masks,
    vision,
    finding,
    curves,
    values,
    logic,
    text,
    structured,
    video,
    audio,
    packs,
    pack_media,
    preprocessors,
)


def built_in() -> tuple[TableEntry, ...]:
    """All entries, those of loaders first."""
    entries = (entry for module in MODULES for entry in module.ENTRIES)
    return tuple(
        replace(entry, is_built_in=True, unused=UNUSED.get(entry.type, ())) for entry in entries
    )
