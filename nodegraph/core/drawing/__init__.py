"""Workflows drawn: boxes and arrows, where they go, and the picture of them."""
