"""`nodegraph jobs`: a module for each of its commands."""
