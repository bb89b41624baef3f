"""Putting restored files in place, and going on with that where it was interrupted.

All that a restore brings is written beside what is there first, in a folder of the home folder. One
renaming of that folder decides: before it, nothing has happened; after it, all will be put in
place, by this process or by whoever comes next. Each step can be seen to have been done, so that
any of them may be the last one of a process.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing, suppress
from pathlib import Path

from nodegraph.core.files import write_file
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.queue.ownership import Ownership
from nodegraph.server.operations.backup.databases import QUEUE

DECIDED = ".restore"
"""In the home folder: a restore that is to be finished."""
NEW, OLD, PLAN = "new", "old", "plan.json"
_STAGED = f"{DECIDED}-*.tmp"


def staging(home: Path) -> Path:
    """A new folder to write into what is to be restored."""
    folder = home / f"{DECIDED}-{os.urandom(4).hex()}.tmp"
    (folder / NEW).mkdir(parents=True, mode=0o700)
    (folder / OLD).mkdir()
    return folder


def commit(home: Path, staged: Path, gone: list[str], outside: dict[str, str]) -> None:
    """Have what is staged put in place; the caller has the home folder to itself.

    Args:
        gone: Names in the home folder whose content goes, whether or not something comes instead.
        outside: Where to put files that don't belong into the home folder, by their names.
    Raises:
        OSError: It can't be done; before it was decided nothing has happened, after that it goes on
            another time.
    """
    plan = {"gone": gone, "outside": outside}
    write_file(staged / PLAN, json.dumps(plan).encode())
    _sync()
    staged.rename(home / DECIDED)
    _sync()
    _put_in_place(home)


def finish_restore(home: Path) -> None:
    """Go on with a restore that was interrupted after it was decided, and tidy up after others.

    Raises:
        QueueInUse: A server is running in this folder, or somebody restores it right now.
        OutputError: It can't be finished.
    """
    if not any(home.glob(f"{DECIDED}*")):
        return
    with closing(Ownership(home / QUEUE)):
        for folder in home.glob(_STAGED):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            _put_in_place(home)
        except OSError as error:
            raise OutputError(
                f"a restore of {home} was interrupted and can't be finished: {error}",
                hint=f"All of it is still in {home / DECIDED}.",
            ) from error


def _put_in_place(home: Path) -> None:
    folder = home / DECIDED
    if not folder.is_dir():
        return
    plan = _plan(folder / PLAN)
    for name in plan["gone"]:
        _set_aside(home, folder, name)
    for name, target in plan["outside"].items():
        _put_outside(folder / NEW / name, Path(target))
    for path in sorted((folder / NEW).iterdir()):
        path.rename(home / path.name)
    _sync()
    done = home / f"{DECIDED}-{os.urandom(4).hex()}.tmp"
    folder.rename(done)
    shutil.rmtree(done, ignore_errors=True)


def _plan(path: Path) -> dict[str, dict[str, str]]:
    try:
        plan: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidFile(f"{path} is damaged: {error}") from error
    return plan


def _set_aside(home: Path, folder: Path, name: str) -> None:
    """Take away what was there; nothing if it is away already, or the new one in its place."""
    done = folder / OLD / f"{name}.done"
    if done.exists():
        return
    with suppress(FileNotFoundError):
        (home / name).rename(folder / OLD / name)
    # From here on what has this name is new, or nothing.
    done.touch()


def _put_outside(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        data = source.read_bytes()
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, data)
        source.unlink()


def _sync() -> None:
    """Have all that was written survive a power cut, where a process can see to that."""
    sync = getattr(os, "sync", None)
    if sync is not None:
        sync()
