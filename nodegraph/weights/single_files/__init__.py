"""How parts of models lie in files of their own, and in those that hold a whole model.

Most layouts of one family alone stand in its module of `nodegraph.families`.
"""
