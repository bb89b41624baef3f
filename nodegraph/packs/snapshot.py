"""A pack's files as they were when they were first looked at.

What is digested is what runs: a module's code is compiled from the very bytes that its digest was
made of, however long ago that was and whatever lies in the file by then. An edit makes a new
snapshot, which the next job uses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from time import time_ns
from types import ModuleType
from typing import NamedTuple

from nodegraph.core.digests import Digest, digest_bytes

LARGEST = 1 << 20
"""Bytes of a file that can change what a pack declares or gives; larger ones are models."""
EXAMPLES = "examples"
"""Folder of a pack with a workflow and an image for each node type, which show it and no more."""
SCRIPTS = ("widgets", "panels")
"""Folders of a pack with the scripts of what it brings into the editor."""
TRANSLATIONS = "translations"
"""Folder of a pack with the texts of its node types in other languages."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell of any later change, on every file system."""
_NAMES = re.compile(rb"""["']([\w\-. /]{1,200})["']""")


FLAT = f"{os.sep}."
"""End of the path of a folder of which only the files in itself count."""


class Stamp(NamedTuple):
    """What changes when a file is written or replaced: nobody can set `ctime_ns` back."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def is_settled(self) -> bool:
        """Whether any change from now on would change it for certain."""
        return self.was_settled(time_ns())

    def was_settled(self, at: int) -> bool:
        """Whether any change since a time would change it for certain.

        Args:
            at: Unix time in ns, before the stamp was taken.
        """
        return max(self.mtime_ns, self.ctime_ns) < at - _SETTLED


def now() -> int:
    """Unix time in ns, as `Stamp.was_settled` compares it with."""
    return time_ns()


def stamp_of(path: str | Path) -> Stamp | None:
    """The stamp that a file or folder has now; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of dozens of files before each job
    except (OSError, ValueError):
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _file_stamp(path: str | Path) -> Stamp | None:
    """The stamp of a regular file. A pipe or a device would never end when it is read."""
    stamp = stamp_of(path)
    return stamp if stamp is not None and os.path.isfile(path) else None  # noqa: PTH113 - strings


class Listing(NamedTuple):
    """The files that belong to a pack, and what tells whether others came to them.

    Attributes:
        files: By path, sorted; without hidden, compiled and large ones.
        watched: Folders, and places at which a file would belong to it.
    """

    files: Mapping[str, Stamp]
    watched: Mapping[str, Stamp | None]

    def text(self, also: Sequence[str] = ()) -> str:
        """Changes whenever a file is added, removed or written.

        Args:
            also: Files elsewhere that count too, and folders, which count with the names in them.
        """
        parts = [f"{path} {tuple(stamp)}" for path, stamp in self.files.items()]
        for path in also:
            names = names_in(path)
            parts.append(f"{path} {tuple(stamp_of(path) or ()) if names is None else names}")
        return digest_bytes("\n".join(parts).encode("utf-8", "surrogateescape"))

    @property
    def is_settled(self) -> bool:
        """Whether the stamps tell of any later change."""
        return all(stamp.is_settled for stamp in self.files.values())


def names_in(folder: str | Path) -> str | None:
    """Changes when a file comes to a folder or leaves it, at any depth; None for what is no folder.

    As of a folder of models that an input lists. Of a path that ends with ``/.`` only the files in
    the folder itself count.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - see `stamp_of`
        return None
    if str(folder).endswith(FLAT):
        flat = "\n".join(sorted(os.listdir(folder)))  # noqa: PTH208 - see `stamp_of`
        return digest_bytes(flat.encode("utf-8", "surrogateescape"))
    lines = []
    for parent, inner, names in os.walk(folder, followlinks=True):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        lines += [os.path.join(parent, name) for name in sorted(names)]  # noqa: PTH118
    return digest_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))


def list_files(root: Path) -> Listing:
    """What belongs to the pack in a folder or a file."""
    return _of_folder(str(root)) if root.is_dir() else _of_file(root)


def _of_folder(root: str) -> Listing:
    files: dict[str, Stamp] = {}
    watched: dict[str, Stamp | None] = {}
    # A node gives the same whatever shows what it does, or edits its inputs; and of what shows it
    # there may be hundreds.
    shown = {
        EXAMPLES: (".pyc", ".json", ".webp"),
        TRANSLATIONS: (".pyc", ".po"),
        **dict.fromkeys(SCRIPTS, (".pyc", ".js")),
    }
    of_folder = {os.path.join(root, name): ends for name, ends in shown.items()}  # noqa: PTH118
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith((".", "__pycache__"))]
        watched[folder] = stamp_of(folder)
        left_out = of_folder.get(folder, ".pyc")
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - of every file of every pack
            stamp = None if name.startswith(".") or name.endswith(left_out) else _file_stamp(path)
            if stamp is not None and stamp.size <= LARGEST:
                files[path] = stamp
    return Listing(dict(sorted(files.items())), watched)


def _of_file(root: Path) -> Listing:
    """The file, and what lies beside it and is named in it."""
    stamp = stamp_of(root)
    if stamp is None:
        return Listing({}, {str(root): None})
    files: dict[str, Stamp] = {str(root): stamp}
    watched: dict[str, Stamp | None] = {}
    for entry in sorted(_named_files(root)):
        if entry.is_dir():
            below = _of_folder(str(entry))
            files |= {
                path: file_stamp for path, file_stamp in below.files.items() if path[-3:] != ".py"
            }
            watched |= below.watched
        elif entry.suffix != ".py":
            file_stamp = watched[str(entry)] = _file_stamp(entry)
            if file_stamp is not None and file_stamp.size <= LARGEST:
                files[str(entry)] = file_stamp
    return Listing(files, watched)


def _named_files(root: Path) -> Iterator[Path]:
    try:
        text = root.read_bytes()
    except OSError:
        return
    for name in {raw.decode() for raw in _NAMES.findall(text) if raw.isascii()}:
        parts = name.split("/")
        if not any(part in ("", ".", "..") or part != part.strip() for part in parts):
            path = root.parent / name
            # With a dot at its end it is a sentence, as the text of most docstrings.
            if "." in parts[-1].rstrip(".") or path.is_dir():
                yield path


def _content(path: str) -> str:
    """Changes with what a file holds, and when it comes or goes."""
    try:
        return digest_bytes(Path(path).read_bytes())
    except OSError:
        return f"{path} is absent"


class WatchedFolders:
    """Folders whose names count for a pack, to see whether any came or went since.

    Args:
        paths: Folders, and paths where one may come to be. Files are left out.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [path for path in paths if not os.path.isfile(path)]  # noqa: PTH113 - strings
        self._stamps: dict[str, Stamp | None] = {}
        self._names: list[str | None] = []
        self._look()

    def _look(self) -> None:
        self._stamps = {each: stamp_of(each) for path in self._paths for each in _folders_of(path)}
        self._names = [names_in(path) for path in self._paths]

    def is_current(self) -> bool:
        """Whether the same names are there; reads folders only if something happened in one."""
        now = time_ns()
        is_same = all(
            stamp_of(path) == stamp and (stamp is None or stamp.was_settled(now))
            for path, stamp in self._stamps.items()
        )
        if is_same:
            return True
        names = self._names
        self._look()
        return self._names == names


def _folders_of(path: str) -> Iterator[str]:
    """A path, and the folders below it whose names count."""
    yield path
    if not path.endswith(FLAT):
        for parent, inner, _ in os.walk(path, followlinks=True):
            inner[:] = [name for name in inner if not name.startswith(".")]
            yield parent


@dataclass(eq=False)
class Snapshot:
    """A pack's files as they were; each is read once. Safe to use from several threads.

    Args:
        root: The pack's folder or file.
        code: Folder or file of the package that it lies in, which may be larger.
        package: Import name of that package.
    """

    root: Path
    code: Path
    package: str
    listing: Listing = field(init=False)

    def __post_init__(self) -> None:
        self._take(list_files(self.root))
        # What was imported of it, once another is in use: functions may import more as they run.
        self.modules: dict[str, ModuleType] = {}
        self._texts: dict[str, bytes] = {}
        self._stamps: dict[str, Stamp | None] = {**self.listing.watched, **self.listing.files}
        self._lock = RLock()

    def _take(self, listing: Listing) -> None:
        self.listing = listing
        self.__dict__.pop("_digests", None)
        # Sorted out once, as they are looked at after each call of each of the pack's nodes.
        self._data_stamps = {
            path: stamp for path, stamp in listing.files.items() if not path.endswith(".py")
        }

    def text(self, path: str | Path) -> bytes:
        """A file's bytes, as they were when they were first asked for.

        Raises:
            OSError: It can't be read.
        """
        file = str(path)
        with self._lock:
            known = self._texts.get(file)
            if known is None:
                if file not in self._stamps:
                    self._stamps[file] = stamp_of(file)
                known = self._texts[file] = Path(file).read_bytes()
            return known

    @property
    def base(self) -> Path:
        """The folder that its files' names start from."""
        return self.root if self.root.is_dir() else self.root.parent

    @cached_property
    def reach(self) -> str:
        """What the paths of files begin with that may belong to it."""
        # Modules that lie beside a single file may be imported by it.
        folder = self.code.parent if self.code.suffix == ".py" else self.code
        return os.path.join(folder, "")  # noqa: PTH118 - with a separator at its end

    @cached_property
    def data(self) -> Mapping[str, Digest]:
        """Digests of the files that are no code, by their place in the pack.

        Raises:
            OSError: One can't be read.
        """
        return {
            Path(path).relative_to(self.base).as_posix(): digest_bytes(Path(path).read_bytes())
            for path in self._data_stamps
        }

    def remember(self, data: Mapping[str, Digest]) -> None:
        """Take over what is known of the files that are no code; they needn't be read."""
        self.__dict__["data"] = data
        self.__dict__.pop("_digests", None)

    def digest(self, also: Sequence[str] = ()) -> Digest:
        """Digest of the content and names of all files; `also` as in `Listing.text`.

        Raises:
            OSError: One of the pack's own can't be read.
        """
        more = [names_in(path) or _content(path) for path in also]
        text = "\n".join([*self._digests, *more])
        return digest_bytes(text.encode("utf-8", "surrogateescape"))

    @cached_property
    def _digests(self) -> list[str]:
        """Digests of all files, with their names: a pack's processes and node types ask often."""
        code = [path for path in self.listing.files if path.endswith(".py")]
        digests = [
            f"{Path(path).relative_to(self.base)} {digest_bytes(self.text(path))}" for path in code
        ]
        return digests + [f"{name} {digest}" for name, digest in self.data.items()]

    def is_current(self) -> bool:
        """Whether the files are still what they were; cheap, for it is asked before each job."""
        now = time_ns()
        for path, stamp in self._stamps.copy().items():
            if stamp_of(path) != stamp:
                return False
            # Two changes within one tick of the clock leave the same times behind.
            if stamp is not None and not stamp.was_settled(now) and not self._is_still(path):
                return False
        return True

    def _is_still(self, path: str) -> bool:
        """Whether a file holds what was read of it."""
        try:
            if path in self._texts:
                return Path(path).read_bytes() == self._texts[path]
            if path in self._known_data:
                return digest_bytes(Path(path).read_bytes()) == self._known_data[path]
        except OSError:
            return False
        return True

    def has_data_as_digested(self) -> bool:
        """Whether the files that are no code are still what they were."""
        return all(stamp_of(path) == stamp for path, stamp in self._data_stamps.items())

    def refreshed(self) -> Snapshot:
        """This one, if the files hold what they held, else one of the files as they are now."""
        now = Snapshot(self.root, self.code, self.package)
        if not self._holds_what(now):
            return now
        self._take(now.listing)
        with self._lock:
            self._stamps = now._stamps
        return self

    def _holds_what(self, now: Snapshot) -> bool:
        if list(self.listing.files) != list(now.listing.files):
            return False
        texts = self._texts.copy()  # another thread may read more meanwhile
        known = {*texts, *self._known_data}
        try:
            return (
                all(now.text(path) == text for path, text in texts.items())
                and all(
                    now.listing.files[path] == stamp or path in known
                    for path, stamp in self.listing.files.items()
                )
                and (not self._known_data or now.data == self.data)
            )
        except OSError:
            return False

    @property
    def _known_data(self) -> Mapping[str, Digest]:
        """Digests of the files that are no code, by path, if they are known."""
        if "data" not in self.__dict__:
            return {}
        return {str(self.base / name): digest for name, digest in self.data.items()}
