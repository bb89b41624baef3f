"""Ray's token, which keeps strangers out of a cluster.

Ray leaves out one that is there where it is given an address, unless it is told to show it. Told
so, it takes no calls of a cluster that has none, so that its actors never start.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nodegraph.jobs.cluster.address import CLIENT

MODE = "RAY_AUTH_MODE"
_PATIENCE = 30.0
"""Seconds to be told; importing Ray takes most of them."""
_ASK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


def has_token() -> bool:
    """Whether there is a token where Ray looks for one."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return (Path(given) if given else Path.home() / ".ray" / "auth_token").is_file()


def wants_token(address: str) -> bool:
    """Whether it is to be shown there: by Ray's client always, which others don't call."""
    if address.startswith(CLIENT):
        return True
    try:
        # In another process: Ray reads once, as it is imported, how it is to show itself.
        asked = subprocess.run(  # noqa: S603 - this very Python, by its own path
            [sys.executable, "-c", _ASK, address],
            env={**os.environ, MODE: "disabled"},
            check=False,
            capture_output=True,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"AuthenticationError" in asked.stderr
