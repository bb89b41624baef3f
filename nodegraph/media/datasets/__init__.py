"""Datasets: made of files and images, edited, read to learn from, and written."""
