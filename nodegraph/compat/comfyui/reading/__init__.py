"""ComfyUI's files, read: whatever format a workflow is in, it becomes a `ForeignWorkflow`."""
