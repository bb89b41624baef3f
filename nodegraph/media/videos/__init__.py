"""Videos: between files and frames, their audio and their rates."""
