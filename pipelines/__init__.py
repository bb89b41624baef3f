"""Each pipeline class of the installed diffusers as a node type; package `nodegraph_pipelines`.

The node types are made from what `nodegraph.interop.pipelines` reads in diffusers' source; no list
of them is kept here. `made_of.txt` tells this to code that caches the declarations of packs.
"""
