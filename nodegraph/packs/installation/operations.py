"""Add, update, roll back and remove packs. Each changes the list of packs in one step at its end.

A killed operation leaves the list as it was; what it left behind is removed by the next one.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidFile, InvalidValue, PackError
from nodegraph.packs.installation.environments import (
    PLATFORM,
    PYTHON,
    EnvironmentLock,
    LockedPackage,
    host_versions,
    run_tool,
)
from nodegraph.packs.installation.index import IndexEntry, PackIndexes
from nodegraph.packs.installation.installed import (
    MOST_HISTORY,
    InstalledPack,
    PackFolder,
    PackVersion,
)
from nodegraph.packs.installation.installers import (
    build_environment,
    installed_in,
    python_of,
)
from nodegraph.packs.installation.plans import (
    INSTALL_SCRIPT,
    InstallOptions,
    InstallPlan,
    InstallPlanner,
)
from nodegraph.packs.installation.projects import ProjectReader, pack_name
from nodegraph.packs.installation.sources import (
    PackSource,
    digest_of_files,
    fetch,
    newest_commit,
    parse_source,
)

DEFAULT_OPTIONS = InstallOptions()
LOCKS_FORMAT = "nodegraph-packs/1"
_SCRIPT_SECONDS = 1800.0
_ASIDE = ".making-"
_RESERVED = ("nodegraph", "comfyui")
"""A workflow's `requires` and its placeholders use these."""
_LONGEST_NAME = 100
_KEPT = "kept"
"""Marks an environment that stays although no pack uses it."""


Confirm = Callable[[InstallPlan], bool]
"""Shows a plan; whether to go ahead."""


@dataclass
class PackOperations:
    """Operations on the packs below a home folder. Processes exclude one another.

    Args:
        confirm: Decides on each plan; its false answer leaves everything as it is.
    """

    folder: PackFolder
    indexes: PackIndexes
    confirm: Confirm = lambda plan: True

    # Adding

    def add(self, text: str, options: InstallOptions = DEFAULT_OPTIONS) -> InstallPlan:
        """Install a pack from a folder, a git address, a wheel, an index or pip's index.

        Raises:
            InvalidValue: Nothing is there, or a pack of this name is installed.
            PackError: It cannot be fetched, has no node types, or its needs cannot be met.
        """
        source = parse_source(text, copy=options.copy)
        entry: IndexEntry | None = None
        if source is None or source.kind == "pypi":
            self.indexes.refresh()
            name, version = _split_requirement(text)
            if source is None or name in self.indexes.entries():
                entry = self.indexes.find(name, options.version or version)
                source = entry.source
        if entry is not None:
            source, options = _listed(entry, options)
        assert source is not None
        with self._changing() as packs:
            return self._install(source, options, packs, None)

    def add_listed(self, name: str, options: InstallOptions) -> InstallPlan:
        """Install a pack of an index, and of nowhere else.

        Raises:
            InvalidValue: No index lists it, or a pack of this name is installed.
            PackError: See `add`.
        """
        self.indexes.refresh()
        entry = self.indexes.find(name, options.version)
        source, options = _listed(entry, options)
        with self._changing() as packs:
            return self._install(source, options, packs, None)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, InstalledPack]]:
        """Hold the folder alone; afterwards remove what no pack uses.

        Raises:
            PackError: Files cannot be read or written, as on a full disk.
        """
        try:
            with self.folder.locked():
                try:
                    yield self.folder.read()
                finally:
                    self._collect_garbage()
        except OSError as error:
            # A copy of a folder collects its errors: rows whose last part says why.
            is_list = isinstance(error, shutil.Error) and isinstance(error.args[0], list)
            why = error.args[0][0][-1] if is_list else error.strerror or error
            raise PackError(f"the packs in {self.folder.root} cannot be changed: {why}") from error

    def _install(
        self,
        source: PackSource,
        options: InstallOptions,
        packs: dict[str, InstalledPack],
        previous: InstalledPack | None,
        exact: EnvironmentLock | None = None,
    ) -> InstallPlan:
        """Fetch, plan, confirm and install; with the folder held."""
        aside = self.folder.root / f"{_ASIDE}{os.urandom(4).hex()}"
        base = source.base_name
        root, source = fetch(source, aside / base)
        trusted = source.is_local and not source.index
        trusted = trusted if options.trusted is None else options.trusted
        project = ProjectReader(root, base, options.kind, options.allowed).read()
        name = options.name or project.name
        if previous is None:
            self._check_name(name, packs)
        plan = InstallPlanner(name, source, project, root, trusted, options).plan(exact)
        if not self.confirm(plan):
            return plan
        if source.kind != "link":
            root = self._keep(aside, name, source)
        version = self._build(plan, root, options)
        history = () if previous is None else previous.versions
        if previous is not None and _is_same(version, previous.current):
            version, history = previous.current, previous.history
        enabled = previous is None or previous.enabled
        packs[name] = InstalledPack(
            name,
            version,
            trusted,
            options.isolated,
            options.allowed,
            enabled,
            history[:MOST_HISTORY],
            0 if previous is None else previous.attempt,
        )
        self.folder.write(packs)
        return plan

    def _check_name(self, name: str, packs: Mapping[str, InstalledPack]) -> None:
        from nodegraph.packs.pack import installed_packs

        if name in _RESERVED or len(name) > _LONGEST_NAME:
            raise InvalidValue(
                "a pack cannot have this name",
                given=name[:_LONGEST_NAME],
                expected=f"another name than {', '.join(_RESERVED)}, of at most {_LONGEST_NAME} "
                "characters",
                hint="Use --name for another name.",
            )
        if name in packs:
            raise InvalidValue(
                f"the pack `{name}` is installed",
                given=str(packs[name].current.source),
                hint=f"Use `nodegraph pack update {name}`, or --name for another name.",
            )
        if any(pack.name == name for pack in installed_packs()):
            raise InvalidValue(
                f"a package beside nodegraph has a pack `{name}`",
                hint="Remove it with pip, or use --name for another name.",
            )

    def _keep(self, aside: Path, name: str, source: PackSource) -> Path:
        """Move fetched files to their place, which their digest names."""
        final = self.folder.sources / f"{name}-{source.digest[:16]}" / source.base_name
        if not final.exists():
            final.parent.mkdir(parents=True, exist_ok=True)
            (aside / source.base_name).rename(final)
        return final

    def _build(self, plan: InstallPlan, root: Path, options: InstallOptions) -> PackVersion:
        project, environment, lock = plan.project, "", plan.lock
        if lock is not None:
            environment = lock.folder_name
            script = root / INSTALL_SCRIPT
            lock = build_environment(
                self.folder.environments / environment,
                lock,
                options.installer,
                wheels_only=not plan.trusted,
                finish=partial(run_script, script) if lock.salt else None,
            )
        is_inside = root.is_relative_to(self.folder.root)
        return PackVersion(
            project.version,
            plan.source,
            project.kind,
            root.relative_to(self.folder.root).as_posix() if is_inside else str(root),
            project.modules,
            project.search_path,
            project.requires,
            environment,
            lock,
            dict(plan.host),
            bool(plan.reasons),
            project.summary,
            project.license,
            project.node_types,
            time.time(),
        )

    # Changing

    def update(self, name: str) -> InstallPlan | None:
        """Take the newest version of a pack; the former one stays for `rollback`.

        Files and an environment that are gone are brought again.

        Returns:
            What was done; None if there is nothing newer.
        """
        with self._changing() as packs:
            pack = packs[name] = self._tried_again(self.folder.get(name))
            self.folder.write(packs)
            current = pack.current
            self._repair(current, pack.trusted)
            # What is gone, or was resolved for another host, is installed again.
            is_whole = not self.folder.faults(pack, host_versions())
            source = replace(current.source, commit="", digest="")
            if current.source.index:
                self.indexes.refresh()
                listed = current.source.listed
                source = replace(self.indexes.find(listed or name).source, listed=listed)
                if is_whole and is_same_source(source, current.source):
                    return None
            elif source.kind == "git":
                newest = newest_commit(current.source)
                if is_whole and newest == current.source.commit:
                    return None
            options = InstallOptions(
                pack.trusted, pack.isolated, pack.allowed, current.kind, name=name
            )
            plan = self._install(source, options, packs, pack)
            return None if is_whole and packs[name].current == current else plan

    def _tried_again(self, pack: InstalledPack) -> InstalledPack:
        """A pack whose import is tried again if it took too long before."""
        return replace(pack, attempt=pack.attempt + 1)

    def _repair(self, version: PackVersion, trusted: bool) -> None:
        """Build an environment that is gone, as after the restoration of a backup."""
        folder = self.folder.environment_folder(version)
        if folder is not None and version.lock is not None:
            build_environment(folder, version.lock, wheels_only=not trusted)

    def rollback(self, name: str) -> InstalledPack:
        """Use the former version of a pack, and its environment, again.

        Raises:
            InvalidValue: There is none.
        """
        with self._changing() as packs:
            pack = self.folder.get(name)
            if not pack.history:
                raise InvalidValue(f"there is no earlier version of the pack `{name}`")
            former, *others = pack.history
            self._repair(former, pack.trusted)
            packs[name] = replace(pack, current=former, history=(pack.current, *others))
            self.folder.write(packs)
            return packs[name]

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Offer the node types of a pack, or leave them out."""
        with self._changing() as packs:
            pack = self._tried_again(self.folder.get(name))
            packs[name] = replace(pack, enabled=enabled)
            self.folder.write(packs)

    def remove(self, name: str, *, keep_environment: bool = False) -> None:
        """Remove a pack with its files and, where no other pack uses it, its environment.

        The files of a linked folder stay.
        """
        with self._changing() as packs:
            pack = self.folder.get(name)
            environment = self.folder.environment_folder(pack.current)
            if keep_environment and environment is not None:
                (environment / _KEPT).touch()
            del packs[name]
            self.folder.write(packs)

    def _collect_garbage(self) -> None:
        """Remove sources and environments that no version of a pack uses."""
        try:
            versions = [each for pack in self.folder.read().values() for each in pack.versions]
        except PackError:
            return  # of a damaged list it is not known what is used
        folders = {version.folder for version in versions}
        sources = {folder.split("/")[1] for folder in folders if folder.startswith("sources/")}
        environments = {version.environment for version in versions}
        for path in self.folder.root.glob(f"{_ASIDE}*"):
            shutil.rmtree(path, ignore_errors=True)
        for parent, used in (
            (self.folder.sources, sources),
            (self.folder.environments, environments),
        ):
            for path in parent.iterdir() if parent.is_dir() else ():
                if path.name not in used and not (path / _KEPT).exists():
                    shutil.rmtree(path, ignore_errors=True)

    # Locks

    def lock(self, names: Sequence[str]) -> dict[str, Any]:
        """What other machines need to install exactly these packs, for a file.

        Raises:
            InvalidValue: One is not installed.
        """
        rows: dict[str, Any] = {}
        for name in sorted(names):
            version = self.folder.get(name).current
            source = _with_digest(version.source)
            lock = version.lock
            rows[name] = {
                "version": version.version,
                "kind": version.kind,
                "source": source.to_dict(),
                "requires": list(version.requires),
                "environment": None if lock is None else lock.to_dict(),
                "host": dict(version.host or {}),
            }
        return {
            "format": LOCKS_FORMAT,
            "python": PYTHON,
            "platform": PLATFORM,
            "packs": rows,
        }

    def sync(
        self, document: Any, base: Path, options: InstallOptions = DEFAULT_OPTIONS
    ) -> dict[str, InstallPlan | None]:
        """Install the packs of a lock: the same files, and the same versions of what they need.

        A lock gives no rights: packs are untrusted and their scripts do not run, except where
        `options` say otherwise or the same source is installed so.

        Args:
            base: Folder of the lock, where wheels are looked for, too.
        Returns:
            By name what was done; None where all is there.
        Raises:
            PackError: A source or a file has another digest, or is for another Python.
        """
        try:
            if document["format"] != LOCKS_FORMAT:
                raise ValueError(f"its format is {document['format']!r}")
            rows: dict[str, Any] = dict(document["packs"])
            locks = {name: _locked_environment(row, document) for name, row in rows.items()}
            sources = {name: PackSource.from_dict(row["source"]) for name, row in rows.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidFile(f"this is no lock of packs: {error}") from error
        done: dict[str, InstallPlan | None] = {}
        for name, source in sources.items():
            with self._changing() as packs:
                done[name] = self._sync(name, _nearby(source, base), locks[name], options, packs)
        return done

    def _sync(
        self,
        name: str,
        source: PackSource,
        lock: EnvironmentLock,
        options: InstallOptions,
        packs: dict[str, InstalledPack],
    ) -> InstallPlan | None:
        if lock.python != PYTHON:
            raise PackError(
                f"the pack `{name}` was locked for another Python",
                given=lock.python,
                expected=PYTHON,
                hint=f"Run nodegraph with Python {lock.python}, or add the pack without the lock.",
            )
        pack = packs.get(name)
        wanted = replace(options, name=name, trusted=bool(options.trusted))
        if pack is not None and is_same_source(_with_digest(pack.current.source), source):
            known = pack.current.lock
            known = known or EnvironmentLock((), (), pack.current.host or {})
            versions = host_versions()
            trusted = pack.trusted if options.trusted is None else options.trusted
            is_here = self.folder.project_folder(pack.current).is_dir() and (
                known.effective_digest(versions) == _visible_digest(lock)
            )
            if is_here and trusted == pack.trusted:
                return None
            allowed = tuple(dict.fromkeys((*pack.allowed, *options.allowed)))
            wanted = replace(wanted, trusted=trusted, allowed=allowed, isolated=pack.isolated)
        if source.kind == "link" and digest_of_files(Path(source.address)) != source.digest:
            raise PackError(
                f"the pack `{name}` is a linked folder, whose files differ here",
                given=source.address,
                hint="Publish it by git or as a wheel, add it from there, and lock again.",
            )
        try:
            return self._install(source, wanted, packs, pack, lock)
        except PackError as error:
            if lock.platform == PLATFORM:
                raise
            raise PackError(
                f"the pack `{name}` was locked on another platform: {error}",
                given=lock.platform,
                expected=PLATFORM,
                hint="Add the pack without the lock, so that its needs are resolved here.",
            ) from error


def run_script(script: Path, environment: Path, lock: EnvironmentLock) -> EnvironmentLock:
    """Run a pack's ``install.py`` in its environment; returns the lock with what it installed."""
    run_tool(
        [python_of(environment), str(script)],
        f"running {script.name} of {script.parent.name}",
        seconds=_SCRIPT_SECONDS,
        folder=script.parent,
    )
    known = {each.name: each for each in lock.packages}
    return replace(
        lock,
        packages=tuple(
            known.get(name) or LockedPackage(name, version)
            for name, version in sorted(installed_in(environment).items())
        ),
    )


def _split_requirement(text: str) -> tuple[str, str]:
    """A name and a version specifier, such as ``my_pack`` and ``==1.2``."""
    from packaging.requirements import InvalidRequirement, Requirement

    if text == pack_name(text):
        return text, ""  # also in letters that pip's index has not
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise InvalidValue("this is not the name of a pack", given=text) from error
    return pack_name(requirement.name), str(requirement.specifier)


def _listed(entry: IndexEntry, options: InstallOptions) -> tuple[PackSource, InstallOptions]:
    """The source of an entry, and its name if the user gives no other."""
    name = options.name or entry.name
    listed = entry.name if name != entry.name else ""
    return replace(entry.source, listed=listed), replace(options, name=name)


def _is_same(first: PackVersion, second: PackVersion) -> bool:
    return replace(first, time=0.0) == replace(second, time=0.0)


def _with_digest(source: PackSource) -> PackSource:
    """The source with its digest, which a linked folder has only as long as nothing is edited."""
    if source.kind != "link":
        return source
    return replace(source, digest=digest_of_files(Path(source.address)))


def is_same_source(first: PackSource, second: PackSource) -> bool:
    digest = first.commit or first.digest
    return first.kind == second.kind and bool(digest) and digest in (second.commit, second.digest)


def _locked_environment(row: Mapping[str, Any], document: Any) -> EnvironmentLock:
    """What a pack of a lock sees; of one without an environment the host's versions."""
    if row["environment"] is not None:
        return EnvironmentLock.from_dict(row["environment"])
    return EnvironmentLock(
        tuple(row.get("requires", ())),
        (),
        {str(name): str(version) for name, version in row.get("host", {}).items()},
        python=str(document["python"]),
        platform=str(document["platform"]),
    )


def _visible_digest(lock: EnvironmentLock) -> str:
    """Digest of the versions that a lock's pack saw where the lock was made."""
    return lock.effective_digest(lock.host)


def _nearby(source: PackSource, base: Path) -> PackSource:
    """A wheel that lies beside the lock instead of where it was."""
    if source.kind == "wheel" and source.is_local and not Path(source.address).is_file():
        nearby = base / Path(source.address).name
        return replace(source, address=str(nearby)) if nearby.is_file() else source
    return source
