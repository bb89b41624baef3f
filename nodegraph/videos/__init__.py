"""Videos: between files and frames, their sound and their rates."""
