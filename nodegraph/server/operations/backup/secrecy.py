"""Which files of a home folder are as secret as its tokens."""

from __future__ import annotations

import sys
from pathlib import Path

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.postgres.address import PostgresAddress

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def has_password(config: Path) -> bool:
    """Whether a password is, or may be, in a config file: that of the jobs' database."""
    try:
        server = tomllib.loads(config.read_text("utf-8")).get("server")
    except OSError:
        return False  # there is none, or none that can be packed
    except ValueError:
        return True  # nobody can tell
    queue = server.get("queue") if isinstance(server, dict) else None
    try:
        return queue is not None and PostgresAddress(queue).has_password
    except InvalidValue:
        return True
