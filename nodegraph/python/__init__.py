"""nodegraph in Python: graphs that are built, tests of packs."""
