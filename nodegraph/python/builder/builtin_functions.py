"""What the stub beside this file tells editors and type checkers of `nodegraph.nodes`.

At run time the node types are those that are installed, so there is nothing in here.
"""

from __future__ import annotations


class BuiltinFunctions:
    """Node types as functions."""
