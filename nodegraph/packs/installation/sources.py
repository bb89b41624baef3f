"""Sources of packs: a folder, a git repository, a wheel, a package of pip's index."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from nodegraph.core.digests import digest_bytes
from nodegraph.errors import InvalidFile, InvalidValue, PackError
from nodegraph.packs.installation.environments import PYTHON, run_tool

SourceKind = Literal["link", "copy", "git", "wheel", "pypi"]

LARGEST_UNPACKED = 4 << 30
MOST_FILES = 50_000
GIT_SECONDS = 1800.0
_LEFT_OUT = frozenset({".git", ".hg", "__pycache__", ".venv", "venv", "node_modules", ".tox"})
_REVISION = re.compile(r"[A-Za-z0-9_][\w./+-]*")
_SCHEMES = ("https://", "http://", "ssh://", "git://", "file://")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)[^\s]+")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[^]]*\])?\s*(===?|~=|>=|<=|!=|<|>)")
_NAME = re.compile(r"[^\W_][\w.-]*")


@dataclass(frozen=True)
class PackSource:
    """Where a pack comes from.

    Attributes:
        kind: ``link`` is a folder that stays where it is; ``pypi`` a package of pip's index.
        address: Folder, git address, path or URL of a wheel, or requirement.
        revision: Branch, tag or commit that was asked for; of git.
        commit: The commit of that; of git.
        digest: Of the wheel's bytes (SHA-256), or of all files of the pack.
        index: The index that named it; empty if the user gave the source.
        listed: Name in that index, of a pack that the user calls otherwise.
    """

    kind: SourceKind
    address: str
    revision: str = ""
    commit: str = ""
    digest: str = ""
    index: str = ""
    listed: str = ""

    def __str__(self) -> str:
        revision = f"@{self.commit[:12] or self.revision}" if self.commit or self.revision else ""
        return f"{self.address}{revision}"

    @property
    def base_name(self) -> str:
        """Name of its folder, repository or wheel, without endings."""
        if self.kind == "pypi":
            return re.split(r"[^\w.-]", self.address)[0]
        name = re.split(r"[/\\:]", self.address.rstrip("/\\"))[-1]
        name = name.partition("-")[0] if name.endswith(".whl") else name.removesuffix(".git")
        # It becomes the name of a folder, and may come from an index or a lock of others.
        return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "pack"

    def to_dict(self) -> dict[str, str]:
        return {name: value for name, value in vars(self).items() if value}

    @classmethod
    def from_dict(cls, document: Any) -> PackSource:
        """Read a source of a file.

        Raises:
            InvalidFile: It is none.
        """
        known = set(cls.__dataclass_fields__)
        try:
            values = {name: str(value) for name, value in document.items() if name in known}
            source = cls(**values)  # type: ignore[arg-type]  # checked below
        except (AttributeError, TypeError) as error:
            raise InvalidFile(f"the source of a pack cannot be read: {error}") from error
        if source.kind not in ("link", "copy", "git", "wheel", "pypi"):
            raise InvalidFile("the source of a pack has an unknown kind", given=source.kind)
        return source

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine already."""
        is_path = "://" not in self.address
        return self.kind in ("link", "copy") or (self.kind == "wheel" and is_path)


def parse_source(text: str, *, copy: bool = False) -> PackSource | None:
    """The source that a text names; None if it is the name of a pack, for the index.

    Raises:
        InvalidValue: It is none of these, or an address that git must not get.
    """
    path = Path(text).expanduser()
    is_odd = "::" in text or any(ord(character) < 33 for character in text)
    if text.startswith("-") or (is_odd and not path.exists()):
        raise InvalidValue(
            "this is not an address of a pack",
            given=text,
            expected="a folder, a git address, a wheel or a name",
        )
    address = os.path.abspath(path)  # noqa: PTH100 - a link may lead elsewhere tomorrow
    if path.suffix == ".whl" and "://" not in text:
        return PackSource("wheel", address)
    if path.is_dir():
        return PackSource("copy" if copy else "link", address)
    if path.is_file():
        raise InvalidValue(
            "a single file needs no installation", given=text, hint="Put it into the packs folder."
        )
    address = text.removeprefix("git+")
    if address.startswith(_SCHEMES):
        if address.partition("#")[0].endswith(".whl"):
            wheel, _, fragment = address.partition("#")
            return PackSource("wheel", wheel, digest=fragment.removeprefix("sha256="))
        start = address.index("://") + 3
        at = address.rfind("@")
        has_revision = at > start and "/" in address[start:at]
        revision = address[at + 1 :] if has_revision else ""
        return _git_source(address[:at] if has_revision else address, revision)
    if _SCP.fullmatch(address):
        host, _, after = address.partition(":")
        inner, _, revision = after.partition("@")
        return _git_source(f"{host}:{inner}", revision)
    if _REQUIREMENT.match(text):
        return PackSource("pypi", text)
    if _NAME.fullmatch(text):
        return None
    raise InvalidValue(
        f"there is no folder {text}",
        given=text,
        expected="a folder, a git address, a wheel, or the name of a pack in an index",
    )


def _git_source(address: str, revision: str) -> PackSource:
    if revision and not _REVISION.fullmatch(revision):
        raise InvalidValue("this cannot be a revision of git", given=revision)
    return PackSource("git", address, revision)


# Fetching


def fetch(source: PackSource, folder: Path) -> tuple[Path, PackSource]:
    """Bring a source's files into a new folder; those of a linked folder stay where they are.

    Args:
        source: With a digest or commit, if it must be exactly that one.
    Returns:
        The folder with the files, and the source with its digest or commit.
    Raises:
        PackError: It cannot be fetched, or is not what its digest says.
        InvalidFile: A file of it leads outside.
    """
    if source.kind == "link":
        _check_folder(Path(source.address))
        return Path(source.address), source
    folder.mkdir(parents=True)
    if source.kind == "wheel":
        digest = _fetch_wheel(source, folder)
    elif source.kind == "git":
        commit = _fetch_git(source, folder)
        return folder, _with(source, commit=commit, digest=digest_of_files(folder))
    else:
        if source.kind == "pypi":
            _fetch_package(source.address, folder)
        else:
            _check_folder(Path(source.address))
            copy_folder(Path(source.address), folder)
        digest = digest_of_files(folder)
    if source.digest and digest != source.digest:
        raise PackError(
            f"{source.address} is not the file that was pinned",
            given=digest,
            expected=source.digest,
            hint="The file changed after the digest was written. Ask its author.",
        )
    return folder, _with(source, digest=digest)


def _check_folder(root: Path) -> None:
    if not root.is_dir():
        raise PackError(f"there is no folder {root}")


def _with(source: PackSource, **values: str) -> PackSource:
    return PackSource(**{**vars(source), **values})


def copy_folder(root: Path, folder: Path) -> None:
    """Copy a project's files, without those of git, virtual environments and caches.

    Raises:
        InvalidFile: A symbolic link leads outside of the folder.
    """
    check_links(root)
    shutil.copytree(
        root,
        folder,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=lambda _, names: [name for name in names if name in _LEFT_OUT],
    )


def check_links(root: Path) -> None:
    """Refuse symbolic links that lead outside of a folder.

    Raises:
        InvalidFile: There is one.
    """
    inside = root.resolve()
    for path in iter_files(root, links=True):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise InvalidFile(
                f"{path} is a link that leads outside of the pack", given=str(path.readlink())
            )


def iter_files(root: Path, *, links: bool = False) -> Iterator[Path]:
    """Yield the regular files below a folder: a pipe or a device would never end when it is read.

    Args:
        links: Yield all symbolic links, too, those to nothing among them.
    """
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        paths = (Path(parent, name) for name in sorted(names))
        yield from (path for path in paths if path.is_file() or (links and path.is_symlink()))
        if links:
            yield from (path for name in folders if (path := Path(parent, name)).is_symlink())


def digest_of_files(root: Path) -> str:
    """Digest of the names and bytes of all files below a folder."""
    rows = []
    for path in iter_files(root):
        with suppress(OSError):
            name = path.relative_to(root).as_posix()
            rows.append(f"{name} {digest_bytes(path.read_bytes())}")
    return digest_bytes("\n".join(sorted(rows)).encode("utf-8", "surrogateescape"))


_GIT = ["git", "-c", "protocol.ext.allow=never", "-c", f"core.hooksPath={os.devnull}"]
_GIT_VARIABLES = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
    "GIT_LFS_SKIP_SMUDGE": "1",
}


def _git(arguments: list[str], purpose: str) -> str:
    command = [*_GIT, *arguments]
    return run_tool(command, purpose, seconds=GIT_SECONDS, variables=_GIT_VARIABLES).strip()


def _fetch_git(source: PackSource, folder: Path) -> str:
    """Check out a commit, without submodules and the repository's history."""
    purpose = f"cloning {source.address}"
    _git(["clone", "--quiet", "--no-checkout", "--", source.address, str(folder)], purpose)
    at = ["-C", str(folder)]
    wanted = source.commit or source.revision
    names = [f"refs/remotes/origin/{wanted}", wanted] if wanted else ["HEAD"]
    names = [source.commit] if source.commit else names
    commit = ""
    for name in names:
        look = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
        with suppress(PackError):
            commit = _git([*at, *look], purpose)
            break
    if not commit or (source.commit and commit != source.commit):
        raise PackError(
            f"{source.address} has no branch, tag or commit `{wanted}`", given=wanted or "HEAD"
        )
    _git([*at, "checkout", "--quiet", "--detach", commit], purpose)
    shutil.rmtree(folder / ".git")
    check_links(folder)
    return commit


def newest_commit(source: PackSource) -> str:
    """The commit that a git address has now for its revision; its own, if that is a commit."""
    if source.revision and source.commit.startswith(source.revision):
        return source.commit
    name = source.revision or "HEAD"
    purpose = f"looking at {source.address}"
    lines = _git(["ls-remote", "--", source.address, name, f"{name}^{{}}"], purpose).splitlines()
    # Of an annotated tag the second line names the commit.
    return lines[-1].split()[0] if lines else source.commit


def _fetch_package(requirement: str, folder: Path) -> None:
    """Unpack a wheel of pip's index; what would have to be built is refused."""
    from nodegraph.packs.installation.installers import find_installer, uv_settings

    kind, command = find_installer()
    flags, variables = uv_settings() if kind == "uv" else ([], {})
    arguments = ["pip", "install", "--python", sys.executable] if kind == "uv" else ["install"]
    arguments += ["--quiet", "--no-deps", "--only-binary", ":all:", *flags]
    run_tool(
        [*command, *arguments, "--target", str(folder), requirement],
        f"fetching {requirement}",
        seconds=GIT_SECONDS,
        folder=folder,
        variables=variables,
    )


def read_address(address: str, most: int) -> bytes:
    """The bytes at an HTTP address or in a file.

    Raises:
        PackError: It cannot be read, or is larger than `most` bytes.
    """
    if "://" not in address:
        try:
            with Path(address).open("rb") as file:
                return _checked_size(file.read(most + 1), address, most)
        except OSError as error:
            raise PackError(f"cannot read {address}: {error.strerror or error}") from error
    import urllib.request

    if not address.startswith(("https://", "http://")):
        raise InvalidValue("this address cannot be read", given=address, expected="https://…")
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - checked above
            data: bytes = answer.read(most + 1)
    except (OSError, ValueError) as error:
        raise PackError(f"cannot read {address}: {error}") from error
    return _checked_size(data, address, most)


def _checked_size(data: bytes, address: str, most: int) -> bytes:
    if len(data) > most:
        raise PackError(f"{address} is larger than {most >> 20} MB")
    return data


def _fetch_wheel(source: PackSource, folder: Path) -> str:
    """Unpack a wheel; returns the SHA-256 digest of its bytes."""
    from packaging.tags import sys_tags
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    name = source.address.rpartition("/")[2].rpartition(os.sep)[2]
    try:
        tags = parse_wheel_filename(name)[3]
    except InvalidWheelFilename as error:
        raise InvalidFile(f"{name} is not the name of a wheel: {error}") from error
    if not tags.intersection(sys_tags()):
        raise PackError(
            f"{name} is for another platform or Python",
            given=", ".join(sorted(map(str, tags))[:3]),
            expected=f"Python {PYTHON} on this machine",
        )
    data = read_address(source.address, LARGEST_UNPACKED)
    digest = hashlib.sha256(data).hexdigest()
    if not source.digest or digest == source.digest:
        unpack_wheel(data, folder, name)
    return digest


_ENCRYPTED = 1
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BAD_NAME = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def unpack_wheel(data: bytes, folder: Path, name: str) -> None:
    """Unpack a wheel's packages and metadata.

    Raises:
        InvalidFile: It is damaged or too large, or a file in it would lie outside.
    """
    import io

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if len(members) > MOST_FILES or sum(m.file_size for m in members) > LARGEST_UNPACKED:
                raise InvalidFile(f"{name} is too large when it is unpacked")
            for member in members:
                inner = _member_path(member, name)
                if inner is None:
                    continue
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, target.open("xb") as file:
                    shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InvalidFile(f"{name} is damaged: {error}") from error
    except OSError as error:
        if error.errno not in _BAD_NAME:
            raise  # such as a full disk
        raise InvalidFile(f"{name} is damaged: {error}") from error


def _member_path(member: zipfile.ZipInfo, name: str) -> Path | None:
    """Where a file of a wheel goes; None for scripts and data, which are of no use to a pack."""
    path = PurePosixPath(member.filename)
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _PACKINGS:
        raise InvalidFile(
            f"{name} has a file that cannot be unpacked",
            given=member.filename,
            expected="files without a password, stored or deflated",
        )
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    bad = "\\" in member.filename or ":" in member.filename or path.is_absolute()
    if is_link or bad or ".." in path.parts or not path.parts:
        raise InvalidFile(f"{name} has a file that would lie outside of it", given=member.filename)
    if path.parts[0].endswith(".data"):
        if path.parts[1:2] not in (("purelib",), ("platlib",)):
            return None
        path = PurePosixPath(*path.parts[2:])
    return Path(*path.parts)
