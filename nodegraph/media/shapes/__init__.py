"""Shapes: meshes and clouds of points, their files, and images of them."""
