"""Lineage of results."""
