"""The built-in pack: one module for each category of the palette.

It is loaded like any other pack. It uses nodegraph's public API and the packages that its nodes
need, for example `nodegraph.media` and `nodegraph.sampling`, but neither the engine nor the store.
This file imports nothing, so that hooks can be called without importing torch.
"""
