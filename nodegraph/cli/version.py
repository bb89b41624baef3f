"""`nodegraph version`."""

from __future__ import annotations

import sys

from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, say
from nodegraph.core.version import VERSION


def version(common: Common, json: JsonOption = False) -> int:
    """Print the version.

    `nodegraph doctor` tells more.
    """
    if json:
        python = ".".join(map(str, sys.version_info[:3]))
        print_json({"nodegraph": VERSION, "python": python})
    else:
        say(f"nodegraph {VERSION}")
    return 0
