"""`nodegraph token`: a module for each of its commands."""
