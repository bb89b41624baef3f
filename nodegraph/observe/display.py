"""Which way of showing progress suits a script or a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from nodegraph.observe.lines import Silent
from nodegraph.observe.notebook import NotebookBars, notebook_display


def display_for(types: Mapping[str, str], *, is_wanted: bool) -> Silent:
    """A display in a notebook, bars on a terminal, and nothing where nobody looks.

    Args:
        types: Node types by node.
    """
    if not is_wanted:
        return Silent()
    display = notebook_display()
    if display is not None:
        return NotebookBars(types, display)
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from nodegraph.observe.bars import Bars

        return Bars(types)
    return Silent()
