"""Molecules: their files, and images of them."""
