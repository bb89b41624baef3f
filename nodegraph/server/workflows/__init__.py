"""Workflows that clients want checked, planned or run."""
