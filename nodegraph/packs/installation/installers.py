"""uv and pip: resolve the needs of packs against the host, and build their environments."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from nodegraph.core.files import write_file
from nodegraph.errors import PackError
from nodegraph.packs.installation.environments import (
    LAYERS,
    OWN,
    PYTHON,
    EnvironmentLock,
    Layer,
    LockedPackage,
    applies,
    canonical_name,
    check_fit,
    host_folders,
    host_versions,
    parse_requirements,
    requires_of,
    run_tool,
    suits,
)

LOCK_FILE = "lock.json"
"""Written last into an environment: a folder without it is not complete."""
RESOLVE_SECONDS = 600.0
INSTALL_SECONDS = 3600.0
"""An hour: a torch with its CUDA libraries is several GB."""

Installer = Literal["auto", "uv", "pip"]
_TORCH = frozenset({"torch", "torchvision", "torchaudio", "triton"})


def find_installer(wanted: Installer = "auto") -> tuple[Literal["uv", "pip"], list[str]]:
    """The program that resolves and installs: uv where there is one, else pip.

    Raises:
        PackError: The wanted one is missing.
    """
    uv = shutil.which("uv")
    command = [uv] if uv else [sys.executable, "-m", "uv"] if find_spec("uv") else []
    if command and wanted != "pip":
        return "uv", command
    if wanted == "uv":
        raise PackError("uv is not installed", hint="Run `pip install uv`, or leave uv out.")
    if find_spec("pip") is None:
        raise PackError(
            "neither uv nor pip is installed beside nodegraph",
            hint="Install uv, or run `python -m ensurepip`.",
        )
    return "pip", [sys.executable, "-m", "pip"]


def pip_settings() -> Mapping[str, str]:
    """Settings of the user's pip, also those of its variables: names such as ``index-url``."""
    variables = sorted((k, v) for k, v in os.environ.items() if k.startswith("PIP_"))
    return _pip_settings(tuple(variables))


@lru_cache(maxsize=1)
def _pip_settings(_variables: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    from ast import literal_eval

    if find_spec("pip") is None:
        return {}
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = run_tool(command, "reading pip's settings", seconds=60)
    by_section: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        with suppress(ValueError, SyntaxError):
            by_section.get(section, {})[name] = str(literal_eval(value))
    # As in pip: what is set for a command wins over what is set for all, and variables win.
    return {**by_section["global"], **by_section["install"], **by_section[":env:"]}


def uv_settings(*, constraints: bool = True) -> tuple[list[str], dict[str, str]]:
    """Options and variables that give uv the indexes of the user's pip, which it does not read.

    None where the user has set up uv itself.

    Args:
        constraints: Also the files that limit versions.
    """
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser())
    is_set_up = (home / "uv" / "uv.toml").is_file() or Path("/etc/uv/uv.toml").is_file()
    names = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE", "UV_NO_INDEX")
    if is_set_up or any(name.startswith(names) for name in os.environ):
        return [], {}
    settings = pip_settings()
    flags: list[str] = []
    options = (
        ("index-url", "--default-index"),
        ("extra-index-url", "--index"),
        ("find-links", "--find-links"),
        ("trusted-host", "--allow-insecure-host"),
        *([("constraint", "--constraints")] if constraints else []),
    )
    for name, option in options:
        for value in settings.get(name, "").split():
            flags += [option, value]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        flags.append("--no-index")
    # As pip does: the best version of all indexes, not of the first that has the package.
    flags += ["--index-strategy", "unsafe-best-match"]
    variables = {}
    if settings.get("cert") and not os.environ.get("SSL_CERT_FILE"):
        variables["SSL_CERT_FILE"] = settings["cert"]
    if settings.get("proxy") and not os.environ.get("HTTPS_PROXY"):
        variables["HTTPS_PROXY"] = settings["proxy"]
    return flags, variables


def _pins(layer: Layer, versions: Mapping[str, str]) -> dict[str, str]:
    if layer == "nothing":
        return {}
    if layer == "all":
        return {name: version for name, version in versions.items() if name != OWN}
    kept = {*_TORCH, "numpy"} if layer == "torch and numpy" else _TORCH
    return {
        name: version
        for name, version in versions.items()
        if name in kept or name.startswith("nvidia-")
    }


def _own_needs() -> list[str]:
    """What nodegraph needs itself, as constraints: its code runs in the environments, too."""
    return [
        f"{each.name}{each.specifier}"
        for each in requires_of(OWN)
        if applies(each) and each.specifier and not each.url
    ]


def _write_host_wheels(folder: Path, versions: Mapping[str, str]) -> None:
    """Write a wheel without code for each package of the host.

    uv does not count packages behind an environment as installed. Of these files it learns their
    versions and needs, also of those that are in no index, such as ``torch 2.9.0+cpu``. They are
    never installed.
    """
    import zipfile

    for name, version in versions.items():
        stem = f"{name.replace('-', '_')}-{version}"
        needs = [f"Requires-Dist: {each}" for each in requires_of(name)]
        head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *needs, "", ""]
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{stem}.dist-info/METADATA", "\n".join(head))
            wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            archive.writestr(f"{stem}.dist-info/WHEEL", wheel)
            archive.writestr(f"{stem}.dist-info/RECORD", "")


@dataclass
class EnvironmentResolver:
    """Resolves the needs of packs against the host and the user's indexes.

    Args:
        installer: Which program resolves.
        wheels_only: Whether packages that would have to be built are refused: building runs their
            code.
    """

    installer: Installer = "auto"
    wheels_only: bool = False
    versions: Mapping[str, str] = field(default_factory=host_versions)
    _more_needs: list[str] = field(default_factory=list, init=False)
    """Those of packages to add: of uv's answer they are not needed, which names all packages."""

    def resolve(self, requires: Sequence[str], purpose: str) -> EnvironmentLock:
        """Find the packages to add to the host's, with as few changes as possible.

        First all of the host's versions are kept, then those of torch and numpy, then of torch,
        then none.

        Args:
            requires: Lines as in a requirements file, which apply here.
        Raises:
            PackError: The needs cannot be met; of the last attempt.
        """
        kind, command = find_installer(self.installer)
        attempt = self._with_uv if kind == "uv" else self._with_pip
        last: PackError | None = None
        with tempfile.TemporaryDirectory(prefix="nodegraph-resolve-") as temporary:
            folder = Path(temporary)
            (folder / "requires.txt").write_text("\n".join(requires), "utf-8")
            if kind == "uv":
                (folder / "host").mkdir()
                _write_host_wheels(folder / "host", self._valid_versions())
            else:
                create_environment(folder / "probe")
            unsuitable = self._unsuitable(requires)
            for layer in LAYERS:
                kept = self._kept(layer)
                if unsuitable & kept.keys():
                    continue  # it fails for certain, and an attempt takes pip seconds
                text = "\n".join([*(f"{name}=={kept[name]}" for name in kept), *_own_needs()])
                (folder / "constraints.txt").write_text(text, "utf-8")
                self._more_needs.clear()
                try:
                    rows = attempt(command, folder, purpose)
                except PackError as error:
                    last = error
                    continue
                return self._lock(requires, rows, layer)
        raise PackError(
            str(last) if last is not None else f"{purpose} failed",
            hint="Its needs conflict with each other, with those of nodegraph, or are in no index "
            "that pip or uv is set up for.",
        ) from last

    def _unsuitable(self, requires: Sequence[str]) -> set[str]:
        """Packages of the host whose versions the needs exclude."""
        needs = {canonical_name(r.name): r for r in parse_requirements(requires, "the pack")}
        known = self.versions
        return {name for name in needs if name in known and not suits(needs[name], known[name])}

    def follow(self, lock: EnvironmentLock, purpose: str) -> EnvironmentLock:
        """The packages to add here so that a pack sees the versions of a lock from elsewhere.

        Packages that the host has in the same version are not added. Where the host's version
        differs from that of the lock's host, the locked version is.
        """
        versions = self._valid_versions()
        missing = [
            name
            for name, version in lock.host.items()
            if not _is_equal(versions.get(name), version)
        ]
        packages = [each for each in lock.packages if each.url or not self._has(each)]
        if missing:
            exact = [f"{name}=={lock.host[name]}" for name in missing]
            exact += [each.line.partition(" --hash")[0] for each in lock.packages]
            known = {each.name for each in packages}
            resolved = self.resolve(exact, purpose)
            packages += [each for each in resolved.packages if each.name not in known]
        names = {each.name for each in packages}
        wanted = {**lock.host, **{each.name: each.version for each in lock.packages}}
        host = {name: self.versions[name] for name in wanted if name not in names}
        rows = tuple(sorted(packages, key=lambda row: row.name))
        return EnvironmentLock(lock.requires, rows, host, lock.layer)

    def _has(self, package: LockedPackage) -> bool:
        return self._valid_versions().get(package.name) == package.version

    def _valid_versions(self) -> dict[str, str]:
        from packaging.version import InvalidVersion, Version

        valid = {}
        for name, version in self.versions.items():
            with suppress(InvalidVersion):
                valid[name] = str(Version(version))
        return valid

    def _kept(self, layer: Layer) -> dict[str, str]:
        return _pins(layer, self._valid_versions())

    def _with_uv(self, command: list[str], folder: Path, purpose: str) -> list[LockedPackage]:
        flags, variables = uv_settings()
        # What stands in the output file is preferred: the host's versions, where they fit.
        preferred = [f"{name}=={version}" for name, version in self._valid_versions().items()]
        (folder / "resolved.txt").write_text("\n".join(preferred), "utf-8")
        flags += ["--no-build"] if self.wheels_only else []
        arguments = ["pip", "compile", "requires.txt", "--output-file", "resolved.txt"]
        arguments += ["--quiet", "--no-header", "--no-annotate", "--generate-hashes"]
        arguments += ["--python", sys.executable, "--find-links", "host"]
        arguments += ["--constraints", "constraints.txt", *flags]
        run_tool(
            [*command, *arguments],
            purpose,
            seconds=RESOLVE_SECONDS,
            folder=folder,
            variables=variables,
        )
        return list(_read_rows((folder / "resolved.txt").read_text("utf-8")))

    def _with_pip(self, command: list[str], folder: Path, purpose: str) -> list[LockedPackage]:
        """Resolve in an environment that sees the host's packages: pip prefers installed ones."""
        arguments = ["install", "--dry-run", "--quiet", "--report", "report.json"]
        arguments += ["-r", "requires.txt", "-c", "constraints.txt"]
        arguments += ["--only-binary", ":all:"] if self.wheels_only else []
        pip = pip_in(folder / "probe")
        run_tool([*pip, *arguments], purpose, seconds=RESOLVE_SECONDS, folder=folder)
        report = json.loads((folder / "report.json").read_text("utf-8"))
        rows = []
        for item in report["install"]:
            about = item["metadata"]
            self._more_needs += about.get("requires_dist", ())
            url, digests = _origin(item)
            name = canonical_name(about["name"])
            file = item["download_info"]["url"]
            # pip hides the credentials of an address: such a file is looked up again.
            file = "" if url or "@" in urlsplit(file).netloc else file
            rows.append(LockedPackage(name, about["version"], digests, url, file))
        return rows

    def _lock(
        self, requires: Sequence[str], rows: Sequence[LockedPackage], layer: Layer
    ) -> EnvironmentLock:
        versions = self._valid_versions()
        added = [row for row in rows if row.url or versions.get(row.name) != row.version]
        names = {row.name for row in added}
        needs = [*requires, *self._more_needs]
        fit = check_fit(parse_requirements(needs, "the pack"), self.versions)
        host = {**fit.closure, **{row.name: self.versions.get(row.name, "") for row in rows}}
        host = {name: version for name, version in sorted(host.items()) if name not in names}
        return EnvironmentLock(
            tuple(requires), tuple(sorted(added, key=lambda row: row.name)), host, layer
        )

    def conflicts(self, lock: EnvironmentLock) -> list[str]:
        """Packages that nodegraph uses and that an environment's versions do not suit, as text."""
        from packaging.version import Version

        added = {each.name: each.version for each in lock.packages if not each.url}
        used = check_fit(
            [each for each in requires_of(OWN) if applies(each)], self.versions
        ).closure
        return [
            f"{name} {used[name]} needs {inner.name}{inner.specifier}; "
            f"the pack's environment has {added[canonical_name(inner.name)]}"
            for name in used
            if name not in added
            for inner in requires_of(name)
            if canonical_name(inner.name) in added
            and applies(inner)
            and not inner.specifier.contains(
                Version(added[canonical_name(inner.name)]), prereleases=True
            )
        ]


def _is_equal(version: str | None, other: str) -> bool:
    """Whether two versions are the same, also as builds for other devices: ``2.9.0+cpu``."""
    return version is not None and version.partition("+")[0] == other.partition("+")[0]


def _origin(item: Any) -> tuple[str, tuple[str, ...]]:
    """Address of a package that comes from no index, and digests, of an item of pip's report."""
    info = item["download_info"]
    hashes = info.get("archive_info", {}).get("hashes", {})
    url = info["url"] if item["is_direct"] else ""
    if "vcs_info" in info:
        url = f"{info['vcs_info']['vcs']}+{url}@{info['vcs_info']['commit_id']}"
    return url, tuple(f"{name}:{value}" for name, value in hashes.items() if name == "sha256")


def _read_rows(text: str) -> Iterator[LockedPackage]:
    """The packages of a requirements file as uv writes it."""
    for line in text.replace("\\\n", " ").splitlines():
        parts = line.partition("#")[0] if line.lstrip().startswith("#") else line
        start, *options = parts.split(" --hash=")
        requirement = start.partition(";")[0].strip()
        if not requirement:
            continue
        hashes = tuple(option.strip() for option in options)
        name, at, url = requirement.partition(" @ ")
        if at:
            yield LockedPackage(canonical_name(name), "", hashes, url.strip())
        else:
            name, _, version = requirement.partition("==")
            yield LockedPackage(canonical_name(name.partition("[")[0]), version.strip(), hashes)


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def packages_folder(folder: Path) -> Path:
    """The folder of an environment that packages are installed in."""
    if os.name == "nt":
        return folder / "Lib" / "site-packages"
    return folder / "lib" / f"python{PYTHON}" / "site-packages"


def pip_in(folder: Path) -> list[str]:
    """The command of the host's pip, run by the Python of an environment.

    ``pip --python`` does the same, but imports pip twice, which takes a second each time.
    """
    spec = find_spec("pip")
    assert spec is not None, "find_installer chose pip"
    command = [str(python_of(folder)), str(Path(spec.origin or "").parent)]
    return [*command, "--disable-pip-version-check", "--no-input"]


def create_environment(folder: Path) -> None:
    """Make an environment without packages, behind which the host's are found.

    Raises:
        PackError: Its interpreter does not find nodegraph.
    """
    import venv

    venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(folder)
    # `addsitedir` also reads the host's .pth files, which editable installations consist of.
    lines = [f"import site; site.addsitedir({path!r})" for path in host_folders()]
    file = packages_folder(folder) / "nodegraph_host.pth"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    own = Path(__file__).parents[2]
    look = "from importlib.util import find_spec as f; s = f('nodegraph'); print(s and s.origin)"
    command = [str(python_of(folder)), "-c", look]
    origin = run_tool(command, "starting the environment's Python", seconds=120, folder=folder)
    if Path(origin.strip()).parent != own:
        # nodegraph runs from a folder of sources that is on no path of an installation.
        file.write_text("\n".join([*lines, str(own.parent)]) + "\n", "utf-8")


def is_complete(folder: Path) -> bool:
    """Whether an environment was built to its end and its interpreter is still there."""
    return (folder / LOCK_FILE).is_file() and python_of(folder).exists()


def build_environment(
    folder: Path,
    lock: EnvironmentLock,
    installer: Installer = "auto",
    *,
    wheels_only: bool = False,
    finish: Callable[[Path, EnvironmentLock], EnvironmentLock] | None = None,
) -> EnvironmentLock:
    """Build an environment at its final place; nothing is done where it is complete.

    Its scripts contain its path, so it cannot be built elsewhere and moved. The lock is written
    last: a folder without one is built anew.

    Args:
        wheels_only: Whether to build no packages, because building runs their code.
        finish: Installs more; returns the lock with that.
    Returns:
        The lock of what is installed.
    Raises:
        PackError: A file has another digest than the lock says, or an installation fails.
    """
    if is_complete(folder):
        known = EnvironmentLock.from_dict(json.loads((folder / LOCK_FILE).read_bytes()))
        # What it lies over is the pack's own: another pack may have built the environment.
        return replace(lock, packages=known.packages)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        create_environment(folder)
        hashed = [each.exact_line for each in lock.packages if each.hashes]
        others = [each.line for each in lock.packages if not each.hashes]
        if hashed:
            flags = ["--require-hashes"]
            _install(folder, hashed, flags, installer, wheels_only=wheels_only)
        if others:
            _install(folder, others, [], installer, wheels_only=wheels_only)
        if finish is not None:
            lock = finish(folder, lock)
        write_file(folder / LOCK_FILE, json.dumps(lock.to_dict(), indent=1).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return lock


def _install(
    folder: Path, lines: list[str], flags: list[str], installer: Installer, *, wheels_only: bool
) -> None:
    kind, command = find_installer(installer)
    file = folder / "requirements.txt"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    # Exact versions with digests need no constraints, and uv and pip refuse both together.
    variables = {"PIP_CONSTRAINT": os.devnull}
    python = str(python_of(folder))
    if kind == "uv":
        options, variables = uv_settings(constraints=False)
        arguments = ["pip", "install", "--quiet", "--python", python, *options]
    else:
        command = pip_in(folder)
        # The host's packages behind it are no concern of pip: it must not try to remove one.
        arguments = ["install", "--quiet", "--ignore-installed"]
    if wheels_only:
        flags = [*flags, *(["--no-build"] if kind == "uv" else ["--only-binary", ":all:"])]
    run_tool(
        [*command, *arguments, "--no-deps", *flags, "-r", str(file)],
        "installing into the environment",
        seconds=INSTALL_SECONDS,
        folder=folder,
        variables=variables,
    )


def installed_in(folder: Path) -> dict[str, str]:
    """Versions of the distributions in an environment itself, by canonical name."""
    versions = {}
    for path in packages_folder(folder).glob("*.dist-info"):
        project, _, version = path.stem.partition("-")
        versions[canonical_name(project)] = version
    return versions
