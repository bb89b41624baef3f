"""Prompts with correct plurals and articles."""
