"""A `ForeignWorkflow`, written in ComfyUI's formats."""
