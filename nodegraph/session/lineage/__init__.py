"""Lineage of results: read from manifests, joined to a graph, and drawn."""
