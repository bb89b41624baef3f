"""ComfyUI workflows: import to native ones and export."""
