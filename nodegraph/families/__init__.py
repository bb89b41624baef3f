"""Families of models: layouts, latent formats, encoders, and how to tell what files hold."""
