"""Graphs written in Python: node types as methods, outputs as attributes."""
