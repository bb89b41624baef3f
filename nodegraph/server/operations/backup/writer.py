"""Write a backup of the home folder while a server may run."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blake3 import blake3

from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue, OutputError
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.server.access.tokens import TOKENS_FILE as TOKENS
from nodegraph.server.operations.backup import archive as listed
from nodegraph.server.operations.backup.archive import (
    ALWAYS,
    CONFIG,
    DATABASES,
    MODELS,
    OUTPUTS,
    STEP,
    BackupManifest,
    FileEntry,
    Reference,
    copy_database,
    is_passing,
    opened,
    references,
)
from nodegraph.session.settings import Settings, config_file
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


Progress = Callable[[int, int], None]
"""Is told how many bytes of how many are done."""

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_PACKED = (".sqlite", ".json", ".toml", ".py", ".txt", ".md")
"""Ends of names of files that get smaller by being packed; images and weights don't."""
_REBUILT = ("packs/environments", "packs/indexes")
"""Folders that are made again: `nodegraph pack update` builds environments from their locks."""

_PASSES = 2
"""Over all bytes: they are written, and read again to see that they were."""


@dataclass(frozen=True, slots=True)
class Options:
    """What else is to be in a backup.

    Attributes:
        outputs: What jobs have written.
        models: Weights in the home folder.
        tokens: The digests of the tokens that let clients in, and a config file with a password.
    """

    outputs: bool = True
    models: bool = False
    tokens: bool = False

    @property
    def parts(self) -> list[str]:
        """Names in the home folder that are in it."""
        chosen = {OUTPUTS: self.outputs, TOKENS: self.tokens, MODELS: self.models}
        return [*ALWAYS, *(name for name, is_in in chosen.items() if is_in)]


@dataclass(frozen=True, slots=True)
class WrittenBackup:
    """What a backup holds.

    Attributes:
        size: Bytes of the backup.
        bytes: Of the files in it.
        missing, left_out: See `BackupManifest`.
        elsewhere: Folders that settings name outside of the home folder; they aren't in it.
        secret: Files that are in it only with the tokens, as they have a password in them.
    """

    size: int
    files: int
    bytes: int
    jobs: int
    missing: list[str]
    left_out: list[str]
    elsewhere: list[str]
    secret: list[str]


def backup(
    settings: Settings,
    target: Path,
    options: Options | None = None,
    progress: Progress | None = None,
) -> WrittenBackup:
    """Write a home folder into one file; it is there whole and checked, or as it was before.

    Databases are as of one moment each, the queue first: what its jobs refer to is taken after it.

    Args:
        target: The file; one that is there is replaced.
    Raises:
        OutputError: It can't be written.
        InvalidFile: A database can't be read.
    """
    chosen, target = options or Options(), target.resolve()
    try:
        if target.is_dir():
            raise OutputError(f"cannot write {target}: it is a folder")
        with workspace(target) as folder:
            manifest = _Writing(settings, folder, chosen, progress or _untold).run()
            archive = folder / "archive"
            size = archive.stat().st_size
            archive.replace(target)
            _sync_folder(target.parent)
    except OSError as error:
        hint = None if target.parent.is_dir() else f"Make the folder {target.parent} first."
        raise OutputError(f"cannot write {target}: {error.strerror or error}", hint=hint) from error
    return WrittenBackup(
        size,
        len(manifest.files),
        manifest.bytes,
        manifest.jobs,
        manifest.missing,
        manifest.left_out,
        _elsewhere(settings),
        [] if CONFIG in manifest.parts else [str(config_file(settings.home))],
    )


class _Writing:
    """One backup being made."""

    def __init__(
        self, settings: Settings, folder: Path, options: Options, progress: Progress
    ) -> None:
        self._home = settings.data_folder.absolute()
        self._config = config_file(settings.home)
        self._folder = folder
        self._parts = options.parts
        if not options.tokens and has_password(self._config):
            self._parts.remove(CONFIG)
        self._progress = progress
        self._files: dict[str, FileEntry] = {}
        self._left_out: list[str] = []
        self._done = self._total = 0

    def run(self) -> BackupManifest:
        copies = self._copies()
        sources = {**copies, **dict(self._sources())}
        self._total = _PASSES * sum(map(_size, sources.values()))
        path = self._folder / "archive"
        with path.open("xb") as file:
            os.chmod(path, 0o600)  # noqa: PTH101 - it may hold what only its owner may read
            with zipfile.ZipFile(file, "w") as archive:
                for name, source in sources.items():
                    self._add(archive, name, source)
                manifest = self._manifest(copies)
                _write_list(archive, manifest)
            file.flush()
            os.fsync(file.fileno())
        self._verify(path)
        return manifest

    def _copies(self) -> dict[str, Path]:
        """Copies of the databases."""
        copies: dict[str, Path] = {}
        for name, kind in DATABASES.items():
            source = self._home / name
            if source.exists():
                copy = copies[name] = self._folder / name.replace("/", "-")
                copy_database(source, copy, kind())
        return copies

    def _sources(self) -> Iterator[tuple[str, Path]]:
        """Names and places of all other files."""
        for part in self._parts:
            path = self._config if part == CONFIG else self._home / part
            if part in DATABASES or not path.exists():
                continue
            # A link at the top is the operator's: what it leads to belongs to the folder.
            if path.is_dir():
                yield from self._below(part, path)
            else:
                yield part, path.resolve()

    def _below(self, name: str, folder: Path) -> Iterator[tuple[str, Path]]:
        for entry in sorted(_listed(folder), key=lambda entry: entry.name):
            inner = f"{name}/{entry.name}"
            if is_passing(entry.name) or _is_database(inner) or inner in _REBUILT:
                continue
            if not _is_text(entry.name) or entry.is_symlink():
                self._left_out.append(ascii(inner)[1:-1])
            elif entry.is_dir():
                yield from self._below(inner, Path(entry.path))
            elif entry.is_file():
                yield inner, Path(entry.path)
            else:
                self._left_out.append(inner)

    def _add(self, archive: zipfile.ZipFile, name: str, source: Path) -> None:
        """Copy a file; one that is gone or locked by now is passed over, its referrer tells."""
        try:
            descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0) | _NO_FOLLOW)
        except OSError:
            self._left_out.append(name)
            return
        hasher, size = blake3(max_threads=blake3.AUTO), 0
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                self._left_out.append(name)
                return
            with archive.open(_member(name), "w", force_zip64=True) as member:
                while chunk := file.read(STEP):
                    hasher.update(chunk)
                    size += member.write(chunk)
                    self._went_on(len(chunk))
        self._files[name] = FileEntry(
            path=name,
            size=size,
            digest=hasher.hexdigest(),
            modified=status.st_mtime_ns,
            mode=stat.S_IMODE(status.st_mode) & 0o777,
        )

    def _went_on(self, count: int) -> None:
        self._done += count
        self._progress(min(self._done, self._total), self._total)

    def _manifest(self, copies: Mapping[str, Path]) -> BackupManifest:
        referenced = references(copies, self._home)
        parts = self._parts
        wanted = [each for each in referenced.files if PurePosixPath(each.path).parts[0] in parts]
        return BackupManifest(
            program=VERSION,
            created=time.time(),
            home=str(self._home),
            parts=parts,
            files=list(self._files.values()),
            jobs=referenced.jobs,
            missing=[each.path for each in wanted if not self._has(each)],
            left_out=self._left_out,
        )

    def _has(self, reference: Reference) -> bool:
        entry = self._files.get(reference.path)
        return entry is not None and entry.digest == reference.digest

    def _verify(self, path: Path) -> None:
        """Read it all once more."""
        with opened(path) as reader:
            reader.check(lambda done, total: self._progress(total + done, 2 * total))


def _is_database(name: str) -> bool:
    """Whether a file belongs to a database, of which there is a copy."""
    return any(name.startswith(database) for database in DATABASES)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # it was removed meanwhile


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _member(name: str) -> zipfile.ZipInfo:
    about = zipfile.ZipInfo(name)
    about.external_attr = 0o600 << 16
    is_packed = name.endswith(_PACKED)
    about.compress_type = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
    return about


def _write_list(archive: zipfile.ZipFile, manifest: BackupManifest) -> None:
    with archive.open(_member(listed.NAME), "w", force_zip64=True) as file:
        file.write(manifest.model_dump_json(indent=1).encode())


def _elsewhere(settings: Settings) -> list[str]:
    """What settings have put outside of the home folder."""
    home = settings.data_folder.absolute()
    paths = [settings.outputs, settings.inputs, *settings.models, *settings.packs]
    return [str(each) for each in paths if each and not each.absolute().is_relative_to(home)]


def _sync_folder(folder: Path) -> None:
    """Have a name survive a power cut, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _untold(done: int, total: int) -> None:
    pass


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
