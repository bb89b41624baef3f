"""Putting a backup back: all of it, or nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from nodegraph.errors import InvalidValue, OutputError
from nodegraph.jobs.queue.moving import take_over
from nodegraph.jobs.queue.ownership import Ownership
from nodegraph.server.operations.backup.databases import (
    CONFIG,
    DATABASES,
    DERIVED,
    IGNORED,
    QUEUE,
    check_database,
)
from nodegraph.server.operations.backup.manifest import BackupManifest
from nodegraph.server.operations.backup.reading import BackupReader, opened
from nodegraph.server.operations.backup.unfinished import NEW, commit, finish_restore, staging
from nodegraph.session.settings import Settings, config_file

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
            raise OutputError(f"can't restore {home}: {error.strerror or error}") from error


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
                f"the home folder {self._home} isn't empty",
                given=", ".join(there[:5]) + (", …" if len(there) > 5 else ""),
                hint="With --force, what is in the backup takes the place of what is there.",
            )

    def _has_config_outside(self) -> bool:
        return CONFIG in self._manifest.parts and self._config.parent != self._home

    def _gone(self) -> list[str]:
        """Names of what goes: all that the backup speaks of, whether or not it held any of it."""
        parts = self._manifest.parts
        gone = [part for part in parts if part != CONFIG or not self._has_config_outside()]
        return [*gone, *(DERIVED if QUEUE in parts else ())]

    def _outside(self) -> dict[str, str]:
        return {CONFIG: str(self._config)} if self._has_config_outside() else {}

    def _check_parts(self) -> None:
        """What is replaced can be: no renaming takes a link's meaning, or leads to another disk."""
        mounted = mount_points()
        for name in self._gone():
            path = self._home / name
            if path.is_symlink() or path.resolve() in mounted or path.is_mount():
                raise OutputError(
                    f"{path} is a link, or a disk of its own, so it can't be replaced at once",
                    hint="Take it away, restore, move what was restored to where it leads, and put "
                    "it back.",
                )

    def _check_room(self) -> None:
        free, needed = shutil.disk_usage(self._home).free, self._manifest.bytes
        if needed > free:
            raise OutputError(
                f"{self._home} has too little room for the backup",
                given=f"{free} bytes free",
                expected=f"{needed} bytes",
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
