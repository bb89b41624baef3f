"""ComfyUI's files, read: whatever format a workflow is in, it becomes a `ForeignWorkflow`."""

from __future__ import annotations

from nodegraph.interop.comfyui.reading.checked import MAX_LINKS, MAX_NODES
from nodegraph.interop.comfyui.reading.documents import (
    carried_workflow,
    drawing_of,
    is_foreign,
    loose_document,
    read_workflow,
)

__all__ = [
    "MAX_LINKS",
    "MAX_NODES",
    "carried_workflow",
    "drawing_of",
    "is_foreign",
    "loose_document",
    "read_workflow",
]
