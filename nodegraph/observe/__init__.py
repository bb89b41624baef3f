"""Watching runs: records, traces and spans made from a run's events and its result."""
