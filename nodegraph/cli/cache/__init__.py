"""`nodegraph cache`: a module for each of its commands."""
