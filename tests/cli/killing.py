"""Does something again and again, and is killed each time at a later step of it.

A program of its own: it forks, which a process with threads had better not do. A step is whatever
Python's audit events tell of files and databases.

Prints a JSON list of what was found after each kill, as `look` gives it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from nodegraph.session.settings import Settings

_STEPS = (
    *("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"),
    "sqlite3.connect",
)


def killed_at(step: int, action: Callable[[], Any], below: Path) -> bool:
    """Do something in another process, which is killed at a step of it; whether it got so far."""
    child = os.fork()
    if not child:
        left = step

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in _STEPS and str(arguments[0]).startswith(str(below)):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - told by the exit code
            sys.stderr.write(repr(error))
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "it failed, see above"
    return False


def done(action: Callable[[], Any]) -> bool:
    """Do something in another process; whether it went well."""
    return not killed_at(0, action, Path("/nowhere"))


def look(folder: Path) -> dict[str, str]:
    """Digests of all files but locks, by path; journals are their databases' business."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(_content(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-lock", "-shm", "-wal"))
    }


def _content(path: Path) -> bytes:
    """A file's bytes; of a database, what is in it, but for the process that has it."""
    if path.suffix != ".sqlite":
        return path.read_bytes()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return "\n".join(line for line in connection.iterdump() if "'pid'" not in line).encode()


def restoring(old: Path, archive: Path, work: Path) -> list[Any]:
    """What a home folder is after each kill of a restore, once the next server has started."""
    from nodegraph.server.operations.backup import finish_restore, restore

    found = []
    for step in range(1, 10_000):
        home = work / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(old, home)
        settings = Settings(home=home)
        was_killed = killed_at(step, partial(restore, settings, archive, force=True), work)
        assert done(partial(finish_restore, home))
        found.append(look(home))
        if not was_killed:
            return found
    raise AssertionError("it never came to an end")


def packing(home: Path, target: Path, work: Path) -> list[Any]:
    """What there is of a backup after each kill of making it, and what is left once it is made."""
    from nodegraph.server.operations.backup import backup, check

    found = []
    for step in range(1, 10_000):
        was_killed = killed_at(step, lambda: backup(Settings(home=home), target), work)
        content = "none" if not target.exists() else target.read_bytes()[:4].hex()
        whole = target.exists() and content != b"old!".hex() and done(lambda: check(target))
        found.append([content, whole])
        if not was_killed:
            found.append(sorted(path.name for path in target.parent.iterdir()))
            return found
        target.write_bytes(b"old!")
        # Its maker is gone for good, so that it counts as left behind.
        for folder in target.parent.glob(".*.part"):
            os.utime(folder, (0, 0))
    raise AssertionError("it never came to an end")


if __name__ == "__main__":
    # What only a power cut would show isn't waited for.
    os.sync = lambda: None
    os.fsync = lambda descriptor: None
    action, *paths = sys.argv[1:]
    sys.stdout.write(json.dumps(globals()[action](*map(Path, paths))))
