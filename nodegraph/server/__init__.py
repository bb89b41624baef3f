"""The server: jobs, workflows and results over HTTP and websocket."""
