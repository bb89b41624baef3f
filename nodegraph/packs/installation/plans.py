"""Plans of installations: where a pack runs, what is installed for it, and what that costs."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidValue, PackError
from nodegraph.packs.importer import LOOSE, find_outside_packs
from nodegraph.packs.installation.environments import (
    EnvironmentLock,
    check_fit,
    parse_requirements,
)
from nodegraph.packs.installation.installers import EnvironmentResolver, Installer
from nodegraph.packs.installation.projects import SCRIPTS, Project
from nodegraph.packs.installation.sources import PackSource, check_links
from nodegraph.packs.pack import PackKind

INSTALL_SCRIPT = "install.py"
_NOT_CODE = frozenset({"tests", "test", "docs", "examples", "setup", "conftest", "noxfile"})


@dataclass(frozen=True)
class InstallOptions:
    """How to install a pack.

    Attributes:
        trusted: Whether its code gets the rights of the user; if not set, only packs from this
            machine are trusted.
        isolated: Give it its own process even where it needs none.
        allowed: Of ``install.py``, ``prestartup_script.py`` and ``requirements.txt``.
        name: Instead of the name that the pack says.
        version: Of a pack in an index, such as ``>=1.2``.
    """

    trusted: bool | None = None
    isolated: bool = False
    allowed: tuple[str, ...] = ()
    kind: PackKind | None = None
    name: str = ""
    version: str = ""
    copy: bool = False
    installer: Installer = "auto"

    def __post_init__(self) -> None:
        unknown = [each for each in self.allowed if each not in SCRIPTS]
        if unknown:
            raise InvalidValue(
                "this cannot be allowed", given=", ".join(unknown), expected=", ".join(SCRIPTS)
            )
        if self.name and not self.name.isidentifier():
            raise InvalidValue(
                f"a pack cannot be called `{self.name}`", hint="Use letters, digits, underscores."
            )


@dataclass(frozen=True)
class InstallPlan:
    """What an installation will do, before it does it.

    Attributes:
        unmet: Needs that the host's packages do not meet, each with the host's version.
        lock: Of the environment that the pack gets; None if it uses the host's packages.
        reasons: Why it runs in its own process; empty if it runs in the main one.
        conflicts: Packages of nodegraph that the environment's versions do not suit.
        notes: What else a person should know.
        costs: What must be agreed to.
    """

    name: str
    source: PackSource
    project: Project
    trusted: bool
    allowed: tuple[str, ...]
    unmet: tuple[str, ...] = ()
    lock: EnvironmentLock | None = None
    host: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.project.version,
            "kind": self.project.kind,
            "source": self.source.to_dict(),
            "trusted": self.trusted,
            "allowed": list(self.allowed),
            "unmet": list(self.unmet),
            "environment": None if self.lock is None else self.lock.to_dict(),
            "process": list(self.reasons),
            "conflicts": list(self.conflicts),
            "notes": list(self.notes),
            "costs": list(self.costs),
            "node_types": list(self.project.node_types),
        }


@dataclass
class InstallPlanner:
    """Decides where a pack runs and what is installed for it.

    Args:
        root: Folder with its files.
    """

    name: str
    source: PackSource
    project: Project
    root: Path
    trusted: bool
    options: InstallOptions

    def plan(self, exact: EnvironmentLock | None = None) -> InstallPlan:
        """The plan; resolves needs and installs nothing.

        Args:
            exact: A lock from elsewhere, whose versions the pack must see.
        Raises:
            PackError: Its needs cannot be met here.
            InvalidFile: It is not trusted, and a symbolic link leads outside of it.
        """
        self._check_python()
        if not self.trusted:
            # The sandbox does not see where they lead, so the files would never be the same there.
            check_links(self.root)
        resolver = EnvironmentResolver(self.options.installer, wheels_only=not self.trusted)
        requirements = parse_requirements(self.project.requires, f"the pack `{self.name}`")
        addresses = [str(each) for each in requirements if each.url]
        addresses += [each.line for each in (exact.packages if exact else ()) if each.url]
        if addresses and not self.trusted:
            raise PackError(
                f"the untrusted pack `{self.name}` needs packages from addresses",
                given=", ".join(addresses),
                hint="Use --trusted if you trust its author.",
            )
        fit = check_fit(requirements, resolver.versions)
        lock = self._lock(resolver, [str(each) for each in requirements], fit.unmet, exact)
        host = fit.closure if lock is None else lock.host
        conflicts = () if lock is None else tuple(resolver.conflicts(lock))
        return InstallPlan(
            self.name,
            self.source,
            self.project,
            self.trusted,
            tuple(each for each in self.options.allowed if each in self.project.scripts),
            fit.unmet,
            lock,
            host,
            tuple(self._reasons(lock)),
            conflicts,
            tuple(self._notes(lock)),
            tuple(self._costs(lock, resolver.versions)),
        )

    def _check_python(self) -> None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        wanted, version = self.project.requires_python, platform.python_version()
        try:
            is_met = SpecifierSet(wanted).contains(version, prereleases=True)
        except InvalidSpecifier as error:
            raise PackError(
                f"the pack `{self.name}` has a requires-python that cannot be read", given=wanted
            ) from error
        if not is_met:
            raise PackError(
                f"the pack `{self.name}` needs another Python", given=version, expected=wanted
            )

    def _lock(
        self,
        resolver: EnvironmentResolver,
        requires: list[str],
        unmet: Sequence[str],
        exact: EnvironmentLock | None,
    ) -> EnvironmentLock | None:
        has_script = INSTALL_SCRIPT in self.options.allowed and (
            INSTALL_SCRIPT in self.project.scripts
        )
        if has_script and not self.trusted:
            raise PackError(
                f"{INSTALL_SCRIPT} of the pack `{self.name}` runs with your rights, but the pack "
                "is not trusted",
                hint="Use --trusted, or leave the script out.",
            )
        lock: EnvironmentLock | None = None
        if exact is not None:
            lock = resolver.follow(exact, f"resolving the lock of {self.name}")
        elif unmet:
            lock = resolver.resolve(requires, f"resolving the needs of {self.name}")
        if has_script:
            lock = lock or EnvironmentLock(tuple(requires), (), {})
            return replace(lock, salt=f"{self.name} {self.source.digest or self.source.address}")
        return lock if lock is not None and lock.packages else None

    def _reasons(self, lock: EnvironmentLock | None) -> Iterator[str]:
        """Why the pack gets its own process."""
        if lock is not None:
            yield "it has its own environment"
        if self.project.kind == "comfyui":
            yield "it is a pack of ComfyUI"
        if not self.trusted:
            yield "it is not trusted"
        if self.options.isolated:
            yield "you asked for it"
        tops = {module.package.partition(".")[0] for module in self.project.modules} - {LOOSE}
        for top in tops:
            spec = find_outside_packs(top)
            if spec is not None and not Path(spec.origin or "").is_relative_to(self.root):
                yield f"there is another package `{top}` beside nodegraph"
        for base in self.project.search_path if tops else ():
            folder = self.root / base
            packages = {each.parent.name for each in folder.glob("*/__init__.py")}
            modules = {each.stem for each in folder.glob("*.py")}
            others = {*packages, *modules} - tops - _NOT_CODE if base != ".." else set()
            if others:
                yield f"it has more than one package: {', '.join(sorted(others))}"

    def _notes(self, lock: EnvironmentLock | None) -> Iterator[str]:
        project = self.project
        for script in project.scripts:
            if script not in self.options.allowed:
                verb = "is not read" if script == "requirements.txt" else "does not run"
                yield f"{script} {verb}; --allow {script} permits it"
        for line in project.ignored:
            yield f"left out of its requirements: {line}"
        if (self.root / ".gitmodules").is_file():
            yield "its git submodules are not fetched"
        if lock is not None and lock.layer != "all":
            yield f"its environment keeps the host's versions of {lock.layer}"

    def _costs(self, lock: EnvironmentLock | None, versions: Mapping[str, str]) -> Iterator[str]:
        torch = "" if lock is None else lock.own_torch()
        if torch:
            yield (
                f"it brings its own torch, {torch} beside {versions.get('torch', 'none')}: "
                "several GB on the disk, more memory, and models are not shared with it"
            )
