"""`nodegraph pack`: a module for each of its commands."""
