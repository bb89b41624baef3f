"""Adapters: small files that change what a model does, put on weights that stay as they are.

From a file to changed layers: `parts` says which tensors belong together, `stems` and `originals`
what the file calls the layers, `matching` which layers of a model those are, `reading` makes the
`changes`, and `layers` puts them on a copy of the module that shares its weights. `applying` does
all of it for a recipe.
"""
