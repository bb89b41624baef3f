"""Plots: images and files of them, and what is made of plots."""
