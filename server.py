"""The server: `python server.py` is `nodegraph serve`, and `uvicorn server:app` works as well."""

from __future__ import annotations

import sys
from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nodegraph.server.serve import application

    globals()["app"] = found = application()
    return found


if __name__ == "__main__":
    from nodegraph.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
