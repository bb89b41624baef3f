"""Read ComfyUI files of any format into a `ForeignWorkflow`."""

from __future__ import annotations

from nodegraph.interop.comfyui.reading.document_check import MAX_LINKS, MAX_NODES
from nodegraph.interop.comfyui.reading.documents import (
    find_embedded_workflow,
    is_foreign,
    loose_document,
    read_workflow,
    ui_document,
)

__all__ = [
    "MAX_LINKS",
    "MAX_NODES",
    "find_embedded_workflow",
    "is_foreign",
    "loose_document",
    "read_workflow",
    "ui_document",
]
