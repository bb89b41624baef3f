"""The client within an event loop, from which the one in `nodegraph.client.blocking` is made.

After a change: `python docs/generate_blocking_client.py`.
"""
