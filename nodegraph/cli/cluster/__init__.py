"""`nodegraph cluster`: a module for each of its commands."""
