"""Blocking client of a nodegraph server."""
