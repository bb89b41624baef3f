"""`nodegraph replay`: files made again from the files alone."""
