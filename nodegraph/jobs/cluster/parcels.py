"""Node packs on their way to machines that don't share the server's folders, known by digest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from nodegraph.core.files import make_private_folder
from nodegraph.errors import PackError
from nodegraph.packs.pack import packs_in

MOST = 64 << 20
"""Bytes of a pack; more is no source code."""
_NOT_SENT = frozenset({"__pycache__"})


@dataclass(frozen=True, slots=True)
class PackArchive:
    """A pack's files.

    Attributes:
        path: Where it lies on the server's machine.
        files: Their bytes, by the path below the pack's folder; of a pack that is one file, by "".
        digest: Of all that.
        is_listed: Whether a session that has the server's folders finds it by itself.
    """

    path: str
    files: Mapping[str, bytes]
    digest: str
    is_listed: bool


def archive_packs(paths: Sequence[str], folders: Iterable[Path]) -> list[PackArchive]:
    """The packs that a worker is given by their paths, and those that lie in its folders.

    Raises:
        PackError: One is too large to be sent.
    """
    listed = [pack.root for pack in packs_in(list(folders))]
    unlisted = [_parcel(Path(path), is_listed=False) for path in paths]
    return [*unlisted, *[_parcel(path, is_listed=True) for path in listed]]


def _parcel(path: Path, *, is_listed: bool) -> PackArchive:
    path = path.expanduser().absolute()
    files: dict[str, bytes] = {}
    left = MOST
    for file in _files(path):
        left -= file.stat().st_size
        if left < 0:
            raise PackError(
                f"the pack at {path} is too large to be sent to other machines",
                expected=f"at most {MOST >> 20} MiB",
                hint="Put it where all machines find it at the same path, or move data out of it.",
            )
        files["" if file == path else file.relative_to(path).as_posix()] = file.read_bytes()
    return PackArchive(str(path), files, _digest(files), is_listed)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [each for each in folders if each not in _NOT_SENT and each[0] != "."]
        yield from (Path(folder, name) for name in names if not name.endswith(".pyc"))


def _digest(files: Mapping[str, bytes]) -> str:
    hasher = blake3()
    for name in sorted(files):
        for part in (name.encode("utf-8", "surrogateescape"), files[name]):
            hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher.hexdigest()


def unpack_archive(parcel: PackArchive, folder: Path | None = None) -> str | None:
    """Where a worker of this machine finds a pack; None if it finds it by itself.

    Args:
        folder: Where packs are put that aren't here yet.
    Raises:
        OSError: It can't be put there.
    """
    here = Path(parcel.path)
    if here.exists() and (parcel.is_listed or _is_same(here, parcel)):
        return None if parcel.is_listed else parcel.path
    above = (folder or _own_folder()) / parcel.digest
    target = above / here.name
    if not target.exists():
        _put(parcel, above)
    return str(target)


def _is_same(path: Path, parcel: PackArchive) -> bool:
    return _parcel(path, is_listed=False).digest == parcel.digest


def _own_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("nodegraph", appauthor=False) / "cluster-packs"


def _put(parcel: PackArchive, above: Path) -> None:
    """Put it there in one step: another worker may be about to do the same."""
    make_private_folder(above.parent)
    draft = Path(tempfile.mkdtemp(dir=above.parent))
    try:
        root = draft / Path(parcel.path).name
        for name, data in parcel.files.items():
            file = root / name if name else root
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        try:
            draft.rename(above)
        except OSError:
            if not above.exists():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
