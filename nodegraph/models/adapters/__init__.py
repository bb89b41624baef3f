"""Adapters: small files that change what a model does, put on weights that stay as they are.

From a file to changed layers: `tensor_names` says which tensors belong together and what the file
calls the layers, `layer_matching` which layers of a model those are, and `layer_changes` puts the
changes on a copy of the module that shares its weights. `derived_components` does all of it for a
recipe.
"""
