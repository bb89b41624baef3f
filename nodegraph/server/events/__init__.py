"""What happens to jobs, on its way to clients: the hub and websockets."""
