"""The gallery: workflows that run as they are. Installed as ``nodegraph.gallery``."""
