"""Protocols of other tools, spoken over the server's own queue, cache and rules of access."""
