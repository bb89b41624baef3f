"""ComfyUI's workflows: read, translated into native ones, and written."""
