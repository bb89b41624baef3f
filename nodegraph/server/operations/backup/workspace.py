"""A folder beside a file that is being made; nothing is left of it, whatever happens."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nodegraph.store.claims import Claims

_NAME = "0123456789abcdef"
"""Of the claim; any would do, as the lock's file has but this one."""
_YOUNG = 60.0
"""Seconds for which a folder without a claim is its maker's, who may be about to claim it."""


@contextmanager
def workspace(target: Path) -> Iterator[Path]:
    """A folder of its own beside a file, gone at the end of the `with`.

    What processes left that were killed is removed: theirs is no longer claimed.

    Raises:
        OSError: It can't be made.
    """
    _sweep(target)
    folder = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
    folder.mkdir(mode=0o700)
    try:
        claims = Claims(folder / "lock")
        try:
            claims.try_claim(_NAME)
            yield folder
        finally:
            claims.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(target: Path) -> None:
    for folder in target.parent.glob(f".{target.name}.????????.part"):
        with suppress(OSError):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    if not (folder / "lock").exists():
        return time.time() - folder.stat().st_mtime > _YOUNG
    claims = Claims(folder / "lock")
    try:
        return claims.is_shared and claims.try_claim(_NAME)
    finally:
        claims.close()
