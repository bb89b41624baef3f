"""Differences of workflows: fields, matching of nodes, entries, three-way merges, and drawings."""
