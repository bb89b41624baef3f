"""What packs need beyond the host's packages, and locks of their environments.

The host is the environment that nodegraph runs in. An environment of a pack holds only packages
that differ from the host's; the host's folders follow behind on its path.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.digests import digest_bytes
from nodegraph.errors import InvalidFile, PackError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PLATFORM = f"{sys.platform}-{platform.machine().lower()}"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
OWN = "nodegraph"

Layer = Literal["all", "torch and numpy", "torch", "nothing"]
"""Which versions of the host an environment keeps: of all packages, of these, or of none."""
LAYERS: tuple[Layer, ...] = ("all", "torch and numpy", "torch", "nothing")

_IMPORTANT = re.compile(r"^\s*(error|fatal|×|╰|├|cause|because|and |hint)|\b(error|conflict)", re.I)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SHOWN_LINES = 12
_NAME = re.compile(r"[-_.]+")
_PLAIN = re.compile(r"[\w.!+*:/@~%?=&#-]*")


def canonical_name(name: str) -> str:
    """The form in which names of distributions are compared (PEP 503)."""
    return _NAME.sub("-", name).lower()


def run_tool(
    command: Sequence[str | Path],
    purpose: str,
    *,
    seconds: float,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a program without a shell and return what it prints to standard output.

    Args:
        purpose: What it does, for errors: ``resolving the needs of my_pack``.
        seconds: Time limit. The program and those that it started end with it.
        variables: Added to the environment variables.
    Raises:
        PackError: It is missing, fails or takes too long. The lines of its output that say why
            come first.
    """
    arguments = [str(part) for part in command]
    environment = {**os.environ, "NO_COLOR": "1", **(variables or {})}
    # A new session, so that what the program starts ends with it: pip starts compilers.
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
            start_new_session=os.name == "posix",
        )
    except OSError as error:
        raise PackError(
            f"{purpose}: cannot start {arguments[0]}: {error.strerror or error}",
            hint=f"Install {Path(arguments[0]).name}.",
        ) from error
    stop = partial(_stop, process)
    # A server installs in a daemon thread, whose clean-up does not run when the server ends.
    atexit.register(stop)
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise PackError(f"{purpose}: took longer than {seconds:.0f} s") from None
    finally:
        atexit.unregister(stop)
        if process.poll() is None:
            stop()
            process.communicate()
    if process.returncode:
        raise PackError(f"{purpose} failed: {important_lines(errors or output)}")
    return output.decode("utf-8", "replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that runs, and what it started."""
    if process.poll() is not None:
        return
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def important_lines(output: bytes) -> str:
    """The lines of a failed program's output that say why, then the last of the others."""
    text = _CREDENTIALS.sub("***@", _ESCAPES.sub("", output.decode("utf-8", "replace")))
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = [line for line in lines if _IMPORTANT.search(line)][:_SHOWN_LINES]
    others = [line for line in lines if line not in first]
    missing = _SHOWN_LINES - len(first)
    return "\n".join([*first, *(others[-missing:] if missing > 0 else ())]) or "it printed nothing"


# The host


def host_versions() -> dict[str, str]:
    """Versions of the distributions of this environment by canonical name.

    Read from the names of their metadata folders: no file is opened, so it takes milliseconds.
    """
    versions: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = [path.name for path in Path(folder or ".").iterdir()]
        except OSError:
            continue
        for name in names:
            stem, dot, ending = name.rpartition(".")
            if dot and ending in ("dist-info", "egg-info") and "-" in stem:
                project, version = stem.split("-")[:2]
                versions.setdefault(canonical_name(project), version)
    return versions


def host_folders() -> list[str]:
    """The host's folders of packages, in their order on its path."""
    import site

    folders = [*site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [folder for folder in dict.fromkeys(folders) if Path(folder).is_dir()]


@cache
def requires_of(name: str) -> tuple[Requirement, ...]:
    """What a distribution of the host requires, without lines that cannot be read."""
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import InvalidRequirement, Requirement

    requirements = []
    with suppress(PackageNotFoundError):
        for line in distribution(name).requires or ():
            with suppress(InvalidRequirement):
                requirements.append(Requirement(line))
    return tuple(requirements)


def applies(requirement: Requirement, extras: Sequence[str] = ()) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def suits(requirement: Requirement, version: str | None) -> bool:
    """Whether a version of the host meets a requirement; None is an absent package."""
    from packaging.version import InvalidVersion

    if version is None or requirement.url:
        return False
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def parse_requirements(lines: Sequence[str], origin: str) -> list[Requirement]:
    """Requirements that apply to this Python and platform.

    Raises:
        InvalidFile: A line cannot be read.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    parsed = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement as error:
            raise InvalidFile(
                f"{origin} has a requirement that cannot be read",
                given=line,
                expected="a requirement such as `einops>=0.8`",
            ) from error
        if applies(requirement):
            parsed.append(requirement)
    return parsed


@dataclass(frozen=True)
class HostFit:
    """How a pack's needs fit the host.

    Attributes:
        unmet: Needs that the host's packages do not meet, as text, each with the host's version.
        closure: Versions of the host's packages that the pack uses, also through others.
    """

    unmet: tuple[str, ...]
    closure: Mapping[str, str]


def check_fit(requirements: Sequence[Requirement], versions: Mapping[str, str]) -> HostFit:
    """Compare needs with the host's packages; runs no installer."""
    unmet: list[str] = []
    closure: dict[str, str] = {}
    # Needs of the host's own packages are the host's matter, except those of an extra that the
    # pack asks for.
    waiting = [(requirement, True) for requirement in requirements]
    visited: set[str] = set()
    while waiting:
        requirement, counts = waiting.pop()
        name = canonical_name(requirement.name)
        version = versions.get(name)
        if not suits(requirement, version) and counts:
            unmet.append(f"{requirement} ({version or 'absent'} here)")
        if version is None:
            continue
        key = f"{name}{sorted(requirement.extras)}"
        if name == OWN or key in visited:
            continue
        visited.add(key)
        closure[name] = version
        extras = sorted(requirement.extras)
        for inner in requires_of(name):
            if applies(inner, extras):
                waiting.append((inner, bool(extras) and not applies(inner)))
    return HostFit(tuple(sorted(set(unmet))), dict(sorted(closure.items())))


# Locks


@dataclass(frozen=True)
class LockedPackage:
    """A distribution in an environment.

    Attributes:
        hashes: SHA-256 digests of its files, as ``sha256:…``: of all files of that version, or of
            the one for the platform where the lock was made.
        url: Address of one that comes from no index.
        file: Address of the file that the index named when it was resolved; in no saved lock.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    url: str = ""
    file: str = field(default="", compare=False)

    @property
    def line(self) -> str:
        """A line of a requirements file."""
        return self._line(self.url)

    @property
    def exact_line(self) -> str:
        """The line with the known address of the file, for which no index is read again."""
        return self._line(self.url or self.file)

    def _line(self, url: str) -> str:
        start = f"{self.name} @ {url}" if url else f"{self.name}=={self.version}"
        return " ".join([start, *(f"--hash={digest}" for digest in self.hashes)])


def _check_texts(*texts: str) -> None:
    """Refuse texts of a lock that mean more than a name, version, digest or address."""
    for text in texts:
        if text.startswith("-") or not _PLAIN.fullmatch(text):
            raise ValueError(f"this text is not allowed there: {text!r}")


@dataclass(frozen=True)
class EnvironmentLock:
    """What is installed for a pack, exactly.

    Attributes:
        requires: The needs that it was resolved for.
        packages: In the environment.
        host: Versions of the host's packages that the pack uses, by canonical name.
        layer: Which of the host's versions were kept.
        salt: Of an environment that a pack has for itself, because its script installs more.
    """

    requires: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    host: Mapping[str, str]
    layer: Layer = "all"
    python: str = PYTHON
    platform: str = PLATFORM
    salt: str = ""

    @property
    def folder_name(self) -> str:
        """Name of its folder: a digest of its packages and of the host that they lie over."""
        rows = [[each.name, each.version, each.url, *each.hashes] for each in self.packages]
        text = json.dumps([rows, self.python, self.platform, sys.prefix, self.salt])
        return digest_bytes(text.encode())[:24]

    def effective_digest(self, versions: Mapping[str, str]) -> str:
        """Digest of all versions that the pack sees; the same on machines that have the same.

        Args:
            versions: Those of the host now.
        """
        visible = {name: versions.get(name, "") for name in self.host}
        visible |= {each.name: f"{each.version} {each.url}".strip() for each in self.packages}
        text = json.dumps([sorted(visible.items()), self.python, self.platform])
        return digest_bytes(text.encode())

    def changed_host(self, versions: Mapping[str, str]) -> list[str]:
        """Packages of the host that have other versions than when the lock was made, as text."""
        return [
            f"{name} {version} is now {versions.get(name, 'absent')}"
            for name, version in self.host.items()
            if versions.get(name) != version
        ]

    def own_torch(self) -> str:
        """Version of the torch in the environment; empty where the host's is used."""
        return next((each.version for each in self.packages if each.name == "torch"), "")

    def to_dict(self) -> dict[str, Any]:
        return {
            "python": self.python,
            "platform": self.platform,
            "layer": self.layer,
            "requires": list(self.requires),
            "packages": [
                {"name": each.name, "version": each.version, "hashes": list(each.hashes)}
                | ({"url": each.url} if each.url else {})
                for each in self.packages
            ],
            "host": dict(self.host),
        } | ({"salt": self.salt} if self.salt else {})

    @classmethod
    def from_dict(cls, document: Any) -> EnvironmentLock:
        """Read a lock of a file.

        Raises:
            InvalidFile: It is none, or has a text that would add lines to a requirements file.
        """
        try:
            packages = tuple(
                LockedPackage(
                    canonical_name(row["name"]),
                    str(row["version"]),
                    tuple(map(str, row.get("hashes", ()))),
                    str(row.get("url", "")),
                )
                for row in document["packages"]
            )
            layer = document.get("layer", "all")
            for each in packages:
                _check_texts(each.name, each.version, *each.hashes, each.url)
            _check_texts(*document["host"], *document["host"].values())
            return cls(
                tuple(map(str, document["requires"])),
                packages,
                {str(name): str(version) for name, version in document["host"].items()},
                layer if layer in LAYERS else "all",
                str(document["python"]),
                str(document["platform"]),
                str(document.get("salt", "")),
            )
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise InvalidFile(f"the lock of an environment cannot be read: {error!r}") from error
