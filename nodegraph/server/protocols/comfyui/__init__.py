"""ComfyUI's HTTP and websocket protocol."""
