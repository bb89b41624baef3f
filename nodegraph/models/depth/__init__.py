"""Depth Anything V2 in files as its authors name their tensors; it is built by transformers."""
