"""Workflows drawn: boxes and arrows, where they go, and the image of them."""
