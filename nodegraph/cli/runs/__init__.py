"""`nodegraph runs`: a module for each of its commands."""
