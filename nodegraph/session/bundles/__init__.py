"""Bundles: a workflow with all that it needs, in one file that runs elsewhere."""
