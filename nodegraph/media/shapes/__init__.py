"""Shapes: meshes and clouds of points, their files, and pictures of them."""
