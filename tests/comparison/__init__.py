"""Differences and merges of workflows."""
