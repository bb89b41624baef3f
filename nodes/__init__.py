"""The built-in pack: one module for each category of the palette.

It is loaded like anyone's pack, uses nodegraph's public API and the public names of
`nodegraph.diffusion`, and nothing else. This file imports nothing, so that a hook can be asked
without importing torch.
"""
