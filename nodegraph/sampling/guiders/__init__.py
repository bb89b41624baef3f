"""Guiders: what a model's answers to several prompts add up to, one method a module."""
