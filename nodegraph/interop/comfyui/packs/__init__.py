"""ComfyUI's node packs, run in processes with environments of their own."""
