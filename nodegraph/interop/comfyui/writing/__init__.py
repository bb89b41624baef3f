"""Write a `ForeignWorkflow` as a ComfyUI document."""
