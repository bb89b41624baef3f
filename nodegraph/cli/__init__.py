"""The command line: `nodegraph`.

A module for each command or group of commands, imported when one is used; importing this package
costs nothing.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; that of this process if not given.
    Returns:
        The exit code: 0 fine, 1 a run failed, 2 bad input, 130 cancelled.
    """
    if arguments is not None:
        from nodegraph.cli.error_boundary import run_guarded

        return run_guarded(arguments)
    # Start-up makes many objects and no garbage: looking for it, now and once more at the exit,
    # takes a tenth of a short command's time. `run` turns it on again.
    gc.disable()
    if "run" not in sys.argv:
        # Looking for pydantic's plugins means opening a file of every installed distribution. Only
        # the nodes of a run, which are others' code, may count on having them.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from nodegraph.cli.error_boundary import run_guarded

    try:
        return run_guarded(sys.argv[1:])
    finally:
        gc.freeze()
