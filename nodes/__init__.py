"""The built-in pack: one module for each category of the palette.

It is loaded like anyone's pack. It uses nodegraph's public API and the packages of what its nodes
do, such as `nodegraph.media` and `nodegraph.sampling`, but neither the engine nor the store. This
file imports nothing, so that a hook can be asked without importing torch.
"""
