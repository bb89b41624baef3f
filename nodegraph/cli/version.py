"""`nodegraph version`."""

from __future__ import annotations

import sys

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import echo, print_json
from nodegraph.core.version import VERSION


def version(common: CommonOptions, json: JsonOption = False) -> int:
    """Print the version.

    `nodegraph doctor` shows more.
    """
    if json:
        python = ".".join(map(str, sys.version_info[:3]))
        print_json({"nodegraph": VERSION, "python": python})
    else:
        echo(f"nodegraph {VERSION}")
    return 0
