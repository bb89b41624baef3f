"""Other programs: workflows of ComfyUI, and pipelines of the installed diffusers as nodes."""
