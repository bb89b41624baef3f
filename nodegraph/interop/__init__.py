"""Import and export of ComfyUI workflows, and diffusers pipelines as nodes."""
