"""Spectrograms of audio."""
