"""ComfyUI's node packs, which run in separate processes and environments."""
