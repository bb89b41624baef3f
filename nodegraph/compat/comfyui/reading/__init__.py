"""ComfyUI's files, read: whatever format a workflow is in, it becomes a `ForeignWorkflow`."""

from __future__ import annotations

from nodegraph.compat.comfyui.reading.checked import MAX_LINKS, MAX_NODES
from nodegraph.compat.comfyui.reading.reading import is_foreign, read_workflow

__all__ = ["MAX_LINKS", "MAX_NODES", "is_foreign", "read_workflow"]
