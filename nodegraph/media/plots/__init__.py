"""Plots: pictures and files of them, and what is made of plots."""
