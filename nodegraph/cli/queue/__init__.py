"""`nodegraph queue`: a module for each of its commands."""
