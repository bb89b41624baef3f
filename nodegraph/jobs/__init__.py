"""Jobs: the durable queue, the workers that run it, and who supervises them."""
