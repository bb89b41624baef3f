"""Tones: a node for nodegraph with a widget and a panel of its own."""
