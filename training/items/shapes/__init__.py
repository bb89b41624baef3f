"""Twelve solids as signed distances, and the model that makes such."""
