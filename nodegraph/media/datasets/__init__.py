"""Datasets: made of files and pictures, edited, read to learn from, and written."""
