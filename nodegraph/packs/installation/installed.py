"""The list of installed packs below the home folder, and the packs that sessions load from it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodegraph.core.digests import digest_bytes
from nodegraph.core.files import make_folder, write_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue, PackError
from nodegraph.packs.installation.environments import EnvironmentLock, host_versions
from nodegraph.packs.installation.installers import is_complete, python_of
from nodegraph.packs.installation.projects import NodeModule
from nodegraph.packs.installation.sources import PackSource
from nodegraph.packs.pack import Isolation, Pack, PackKind

INSTALLED = "installed.json"
_FORMAT = 1
_LOCK = ".installing.lock"
MOST_HISTORY = 3
"""Earlier versions of a pack that are kept, with their environments."""
_WAIT_SECONDS = 600.0

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@dataclass(frozen=True)
class PackVersion:
    """One installed state of a pack.

    Attributes:
        folder: Its files: an absolute path, or one from the home's folder of packs.
        modules, search_path: See `Project`.
        environment: Name of its environment's folder; empty where it uses the host's packages.
        lock: Of that environment, from which it can be built again.
        host: Versions of the host's packages that it uses, where it has no environment.
        needs_process: Whether it runs outside of the main process.
        node_types: As far as its source shows them.
        time: Unix time of the installation.
    """

    version: str
    source: PackSource
    kind: PackKind
    folder: str
    modules: tuple[NodeModule, ...]
    search_path: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    environment: str = ""
    lock: EnvironmentLock | None = None
    host: Mapping[str, str] | None = None
    needs_process: bool = False
    summary: str = ""
    license: str = ""
    node_types: tuple[str, ...] = ()
    time: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        document = {
            name: value for name, value in vars(self).items() if value not in ("", (), None)
        }
        document["source"] = self.source.to_dict()
        document["modules"] = [vars(each) for each in self.modules]
        if self.lock is not None:
            document["lock"] = self.lock.to_dict()
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PackVersion:
        values: dict[str, Any] = {"version": "", **document}
        values["source"] = PackSource.from_dict(values["source"])
        values["modules"] = tuple(NodeModule(**each) for each in values["modules"])
        if values.get("lock") is not None:
            values["lock"] = EnvironmentLock.from_dict(values["lock"])
        for name in ("search_path", "requires", "node_types"):
            values[name] = tuple(values.get(name, ()))
        known = cls.__dataclass_fields__
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True)
class InstalledPack:
    """A pack in the list.

    Attributes:
        trusted: Whether its code has the rights of the user; else it runs in a sandbox.
        isolated: Whether the user wants a separate process for it.
        allowed: Scripts of it that may run.
        history: Earlier versions, the newest first.
        attempt: Raised by `update` and `enable`: an import that took too long is tried again.
    """

    name: str
    current: PackVersion
    trusted: bool = True
    isolated: bool = False
    allowed: tuple[str, ...] = ()
    enabled: bool = True
    history: tuple[PackVersion, ...] = ()
    attempt: int = 0

    @property
    def is_isolated(self) -> bool:
        """Whether its code runs in a process of its own alone."""
        version = self.current
        has_to = not self.trusted or version.kind != "native" or bool(version.environment)
        return has_to or self.isolated or version.needs_process

    @property
    def versions(self) -> tuple[PackVersion, ...]:
        return (self.current, *self.history)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trusted": self.trusted,
            "isolated": self.isolated,
            "allowed": list(self.allowed),
            "enabled": self.enabled,
            "current": self.current.to_dict(),
            "history": [each.to_dict() for each in self.history],
            "attempt": self.attempt,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> InstalledPack:
        return cls(
            str(document["name"]),
            PackVersion.from_dict(document["current"]),
            bool(document["trusted"]),
            bool(document["isolated"]),
            tuple(document["allowed"]),
            bool(document["enabled"]),
            tuple(map(PackVersion.from_dict, document["history"])),
            int(document.get("attempt", 0)),
        )


@dataclass(frozen=True)
class PackFolder:
    """The home's folder of packs: the list, sources and environments.

    Args:
        root: ``packs`` in the home folder.
    """

    root: Path

    @property
    def file(self) -> Path:
        return self.root / INSTALLED

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    @property
    def sources(self) -> Path:
        return self.root / "sources"

    def read(self) -> dict[str, InstalledPack]:
        """The installed packs by name.

        Raises:
            PackError: The list is damaged.
        """
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise PackError(f"cannot read {self.file}: {error.strerror or error}") from error
        try:
            document: Any = json.loads(data)
            if document["checksum"] != _checksum(document["packs"]):
                raise ValueError("its checksum does not match")
            packs = [InstalledPack.from_dict(each) for each in document["packs"]]
        except (ValueError, TypeError, KeyError, AttributeError, InvalidFile) as error:
            raise PackError(
                f"the list of installed packs is damaged: {error}",
                given=str(self.file),
                hint="Restore it from a backup, or remove it and add the packs again.",
            ) from error
        return {pack.name: pack for pack in packs}

    def write(self, packs: Mapping[str, InstalledPack]) -> None:
        """Replace the list in one step."""
        rows = [packs[name].to_dict() for name in sorted(packs)]
        rows = json.loads(json.dumps(rows))
        document = {"format": _FORMAT, "checksum": _checksum(rows), "packs": rows}
        make_folder(self.root)
        write_file(self.file, json.dumps(document, indent=1).encode())

    def get(self, name: str) -> InstalledPack:
        """A pack by name.

        Raises:
            InvalidValue: It is not installed.
        """
        packs = self.read()
        if name not in packs:
            raise InvalidValue(
                f"the pack `{name}` is not installed", hint=did_you_mean(name, packs)
            )
        return packs[name]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder alone; other processes that install wait.

        Raises:
            PackError: Another process holds it for ten minutes.
        """
        make_folder(self.root)
        descriptor = os.open(self.root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = time.monotonic() + _WAIT_SECONDS
            while not _try_lock(descriptor):
                if time.monotonic() > end:
                    raise PackError(
                        "another process is installing packs", hint="Wait until it is done."
                    )
                time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)  # which also lets go of the lock

    def project_folder(self, version: PackVersion) -> Path:
        """The files of a pack."""
        return self.root / version.folder  # an absolute path replaces the start

    def environment_folder(self, version: PackVersion) -> Path | None:
        return self.environments / version.environment if version.environment else None

    def faults(self, pack: InstalledPack, versions: Mapping[str, str]) -> list[str]:
        """Reasons why an installed pack may not run as it was installed, as text.

        Args:
            versions: Those of the host now.
        """
        version = pack.current
        if not self.project_folder(version).is_dir():
            return [f"its folder {self.project_folder(version)} is gone"]
        folder = self.environment_folder(version)
        if folder is None:
            host = version.host or {}
            return EnvironmentLock((), (), host).changed_host(versions)
        if not is_complete(folder):
            return ["its environment is gone"]
        return [] if version.lock is None else version.lock.changed_host(versions)


def _checksum(rows: Any) -> str:
    return digest_bytes(json.dumps(rows, sort_keys=True).encode())


def installed_here(home: Path) -> list[Pack]:
    """The enabled packs that are installed below a home folder; runs none of their code.

    Raises:
        PackError: The list is damaged.
    """
    return read_installed(home)[0]


def read_installed(home: Path) -> tuple[list[Pack], list[Path]]:
    """What is installed below a home folder, at one moment; runs no code of packs.

    Returns:
        The enabled packs, and the folders whose code runs in processes of its own alone, also
        while a pack is disabled. The folders that packs are copied to are among them.
    Raises:
        PackError: The list is damaged.
    """
    folder = PackFolder(home / "packs")
    packs = folder.read().values()
    isolated = [pack for pack in packs if pack.is_isolated]
    roots = [folder.project_folder(pack.current) for pack in isolated]
    versions = host_versions() if isolated else {}
    enabled = [each for pack in packs if pack.enabled for each in _packs_of(pack, folder, versions)]
    return enabled, [*roots, folder.sources, folder.environments]


def _packs_of(
    pack: InstalledPack, folder: PackFolder, versions: Mapping[str, str]
) -> Sequence[Pack]:
    version = pack.current
    root = folder.project_folder(version)
    isolation = _isolation(pack, folder, versions) if pack.is_isolated else None
    packs = [
        Pack(
            each.name,
            each.package.partition(":")[0],
            root / each.root if each.root != "." else root,
            version.version,
            pack.name,
            replace(isolation, module=each.module) if isolation and each.module else isolation,
        )
        for each in version.modules
    ]
    # The name that the user gave replaces that of the only entry.
    return [replace(packs[0], name=pack.name)] if len(packs) == 1 else packs


def _isolation(pack: InstalledPack, folder: PackFolder, versions: Mapping[str, str]) -> Isolation:
    version = pack.current
    root = folder.project_folder(version)
    environment = folder.environment_folder(version)
    lock = version.lock or EnvironmentLock((), (), version.host or {})
    python = python_of(environment) if environment is not None else sys.executable
    return Isolation(
        python=str(python),
        lock=lock.effective_digest(versions),
        kind=version.kind,
        trusted=pack.trusted,
        search_path=tuple(os.path.normpath(root / each) for each in version.search_path),
        allowed=pack.allowed,
        attempt=pack.attempt,
    )
