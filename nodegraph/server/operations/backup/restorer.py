"""Restore a backup into the home folder, all of it or nothing.

Everything is first written to a new folder in the home folder. One rename of that folder decides:
before it, nothing has happened; after it, this process or the next one moves every file into place.
Each step leaves a trace, so a process may stop after any of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.files import write_file
from nodegraph.core.text_format import format_excess
from nodegraph.errors import InvalidFile, InvalidValue, OutputError
from nodegraph.jobs.queue.sqlite_queue import Ownership, take_over
from nodegraph.server.operations.backup.archive import (
    CONFIG,
    DATABASES,
    IGNORED,
    QUEUE,
    BackupManifest,
    BackupReader,
    check_database,
    opened,
    replaced_files,
)
from nodegraph.session.settings import Settings, config_file

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
                f"a restore of {home} was interrupted and cannot be finished: {error}",
                hint=f"All files are still in {home / DECIDED}.",
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


_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mount_points() -> frozenset[Path]:
    """All that this process sees; none where the system doesn't list them.

    Unlike `Path.is_mount`, it has folders too that were bound there from the same disk, as
    containers have them.
    """
    try:
        lines = _TABLE.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(Path(_plain(fields[4])) for line in lines if len(fields := line.split()) > 4)


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back.

    Attributes:
        bytes: Of the files.
        came_from: Home folder that the backup was made of.
        missing: See `BackupManifest`.
    """

    files: int
    bytes: int
    jobs: int
    came_from: str
    missing: list[str]


def check(path: Path, progress: Progress | None = None) -> BackupManifest:
    """Read a whole backup and compare it with its list, which it gives.

    Raises:
        InvalidFile: It is no backup, is damaged, or was written by a newer version.
    """
    with opened(path) as reader:
        reader.check(progress or _untold)
        return reader.manifest


def restore(
    settings: Settings, path: Path, *, force: bool = False, progress: Progress | None = None
) -> Restored:
    """Put a backup's files into the home folder.

    Whatever happens meanwhile, the folder is as it was, or as the backup says; see `unfinished`.
    What the backup doesn't speak of stays: the cache, and models and tokens that aren't in it.

    Args:
        force: Replace what is there.
    Raises:
        InvalidFile: It is no backup, is damaged, or was written by a newer version.
        InvalidValue: The home folder holds something, and `force` isn't given.
        QueueInUse: A server is running in that folder.
        OutputError: The folder can't be written.
    """
    home = settings.data_folder.absolute()
    with opened(path) as reader:
        try:
            home.mkdir(parents=True, exist_ok=True)
            finish_restore(home)
            with closing(Ownership(home / QUEUE)):
                return _Restoring(settings, home, reader, progress or _untold).run(force)
        except OSError as error:
            raise OutputError(f"cannot restore {home}: {error.strerror or error}") from error


class _Restoring:
    """One restore; the home folder is the caller's."""

    def __init__(
        self, settings: Settings, home: Path, reader: BackupReader, progress: Progress
    ) -> None:
        self._home = home
        self._config = config_file(settings.home).absolute()
        self._reader = reader
        self._manifest = reader.manifest
        self._progress = progress

    def run(self, force: bool) -> Restored:
        if not force:
            self._check_empty()
        self._check_parts()
        self._check_room()
        staged = staging(self._home)
        try:
            self._reader.extract(staged / NEW, self._progress)
            self._prepare(staged / NEW)
            commit(self._home, staged, self._gone(), self._outside())
        except BaseException:
            # Once it is decided the folder has another name.
            shutil.rmtree(staged, ignore_errors=True)
            raise
        manifest = self._manifest
        return Restored(
            len(manifest.files), manifest.bytes, manifest.jobs, manifest.home, manifest.missing
        )

    def _check_empty(self) -> None:
        names = sorted(path.name for path in self._home.iterdir())
        there = [name for name in names if not IGNORED.fullmatch(name)]
        if self._has_config_outside() and self._config.exists():
            there.append(str(self._config))
        if there:
            raise InvalidValue(
                f"the home folder {self._home} is not empty",
                given=", ".join(there[:5]) + (", …" if len(there) > 5 else ""),
                hint="Use --force to replace its content with the backup.",
            )

    def _has_config_outside(self) -> bool:
        return CONFIG in self._manifest.parts and self._config.parent != self._home

    def _gone(self) -> list[str]:
        """Names of what goes: all that the backup speaks of, whether or not it held any of it."""
        parts = self._manifest.parts
        gone = [part for part in parts if part != CONFIG or not self._has_config_outside()]
        return [*gone, *replaced_files(parts)]

    def _outside(self) -> dict[str, str]:
        return {CONFIG: str(self._config)} if self._has_config_outside() else {}

    def _check_parts(self) -> None:
        """What is replaced can be: no renaming takes a link's meaning, or leads to another disk."""
        mounted = mount_points()
        for name in self._gone():
            path = self._home / name
            if path.is_symlink() or path.resolve() in mounted or path.is_mount():
                raise OutputError(
                    f"{path} is a link or a mounted disk, so it cannot be replaced in one step",
                    hint="Remove it, restore the backup, move the restored files to its target, "
                    "and put it back.",
                )

    def _check_room(self) -> None:
        free, needed = shutil.disk_usage(self._home).free, self._manifest.bytes
        if needed > free:
            needed_text, free_text = format_excess(needed, free)
            raise OutputError(
                f"{self._home} has too little space for the backup",
                given=f"{free_text} free",
                expected=needed_text,
            )

    def _prepare(self, folder: Path) -> None:
        """See that the databases are good, and make them this folder's own."""
        for name, kind in DATABASES.items():
            if (folder / name).exists():
                check_database(folder / name, kind())
        if (folder / QUEUE).exists():
            take_over(folder / QUEUE, self._manifest.home, str(self._home))


def _untold(done: int, total: int) -> None:
    pass
