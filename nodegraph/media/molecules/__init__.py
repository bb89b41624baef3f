"""Molecules: their files, and pictures of them."""
