"""Installed packs: sources, environments, locks, and the index that names them."""
