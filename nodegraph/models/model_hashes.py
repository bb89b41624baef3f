"""Hashes by which other tools and Civitai name model files, computed once while a file stays.

- SHA-256 of the file; its first 10 digits are A1111's *model hash*, Civitai's AutoV2.
- AutoV3: SHA-256 of a .safetensors file without its header, which editing metadata does not change.
  Its first 12 digits are A1111's *LoRA hash*.
- AutoV1: 8 digits of the SHA-256 of 64 KiB, A1111's hash of 2022.
- BLAKE3 of the file, which InvokeAI writes, is nodegraph's own digest.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nodegraph.core.file_digests import FILE_DIGESTS, FileStamp
from nodegraph.core.weight_files import SAFETENSORS, file_suffix
from nodegraph.errors import NodegraphError
from nodegraph.weights.safetensors_header import read_header

_PORTION = 4 << 20
_AUTOV1_START, _AUTOV1_SIZE = 0x100000, 0x10000
_SHORTEST = 8
_FILE = "model_hashes.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS hashes (
    path TEXT NOT NULL,
    stamp TEXT NOT NULL,    -- size, times of change and inode, as JSON
    sha256 TEXT NOT NULL,
    autov3 TEXT NOT NULL,   -- empty for other files than .safetensors
    PRIMARY KEY (path)
)"""


class ModelHashes(NamedTuple):
    """Hashes of one file in lower-case hexadecimal digits.

    Attributes:
        sha256: 64 digits.
        autov3: 64 digits; empty if the file is no .safetensors file.
    """

    sha256: str
    autov3: str = ""

    @property
    def autov2(self) -> str:
        """A1111's model hash, 10 digits."""
        return self.sha256[:10]

    def matches(self, digits: str) -> bool:
        """Return whether a hash of another tool, maybe shortened, is one of these."""
        return any(each.startswith(digits) for each in self if each)


class ModelHashCache:
    """Computes hashes of model files and keeps them in a database.

    Args:
        folder: Folder of the database, the cache folder. None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def known(self, path: Path) -> ModelHashes | None:
        """Return the hashes of a file that were computed before; None if it has changed."""
        try:
            stamp = FileStamp.of(path)
        except OSError:
            return None
        row: tuple[str, str] | None = None
        query = "SELECT sha256, autov3 FROM hashes WHERE path = ? AND stamp = ?"
        with self._database() as database:
            if database:
                row = database.execute(query, (stamp.path, _text(stamp))).fetchone()
        return ModelHashes(*row) if row else None

    def known_all(self, paths: Iterable[Path]) -> dict[Path, ModelHashes]:
        """Return the hashes of those files that were computed before and have not changed."""
        stamps: dict[str, list[tuple[Path, str]]] = {}
        for path in paths:
            with suppress(OSError):
                stamp = FileStamp.of(path)
                stamps.setdefault(stamp.path, []).append((path, _text(stamp)))
        known: dict[Path, ModelHashes] = {}
        with self._database() as database:
            rows = database.execute("SELECT * FROM hashes") if database and stamps else ()
            for name, text, *hashes in rows:
                for path, expected in stamps.get(name, ()):
                    if text == expected:
                        known[path] = ModelHashes(*hashes)
        return known

    def hashes(self, path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> ModelHashes:
        """Return the hashes of a file, computed if they are not known.

        Args:
            on_bytes: Called with the number of bytes that were read since the last call.
        Raises:
            OSError: It cannot be read.
        """
        known = self.known(path)
        if known is not None:
            return known
        stamp = FileStamp.of(path)
        computed = compute_hashes(path, on_bytes)
        if stamp.is_settled and FileStamp.of(path) == stamp:
            with self._database() as database:
                if database:
                    row = (stamp.path, _text(stamp), *computed)
                    database.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", row)
        return computed

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection | None]:
        """The database inside the `with`; None if there can be none: hashes are computed anew."""
        try:
            connection = None if self._folder is None else self._open(self._folder)
        except (OSError, sqlite3.Error):
            connection = None
        if connection is None:
            yield None
            return
        # A folder that cannot be written, or a busy database: hashes are computed anew.
        with suppress(sqlite3.Error), closing(connection), connection:
            yield connection

    def _open(self, folder: Path) -> sqlite3.Connection:
        folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(folder / _FILE, timeout=30)
        connection.execute(_SCHEMA)
        return connection


def _text(stamp: FileStamp) -> str:
    return json.dumps(stamp[1:])


def compute_hashes(path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> ModelHashes:
    """Compute the hashes of a file in one pass.

    Args:
        on_bytes: Called with the number of bytes that were read since the last call.
    Raises:
        OSError: It cannot be read.
    """
    whole, tensors = hashlib.sha256(), hashlib.sha256()
    is_safetensors = file_suffix(path) == SAFETENSORS
    with path.open("rb") as file:
        start = file.read(8)
        whole.update(start)
        on_bytes(len(start))
        header = int.from_bytes(start, "little") if is_safetensors else 0
        while header > 0 and (portion := file.read(min(_PORTION, header))):
            whole.update(portion)
            header -= len(portion)
            on_bytes(len(portion))
        while portion := file.read(_PORTION):
            whole.update(portion)
            if is_safetensors:
                tensors.update(portion)
            on_bytes(len(portion))
    return ModelHashes(whole.hexdigest(), tensors.hexdigest() if is_safetensors else "")


def _autov1(path: Path) -> str:
    """A1111's hash of 2022."""
    with path.open("rb") as file:
        file.seek(_AUTOV1_START)
        portion = file.read(_AUTOV1_SIZE)
    # Of all small files it would be the hash of nothing.
    return hashlib.sha256(portion).hexdigest()[:8] if portion else ""


def _declared(path: Path) -> Iterator[str]:
    """Hashes that the header of a file states, which training scripts and tools write."""
    if file_suffix(path) != SAFETENSORS:
        return
    try:
        metadata = read_header(path).metadata
    except NodegraphError:
        return
    for name in ("sshs_model_hash", "modelspec.hash_sha256"):
        if metadata.get(name):
            yield metadata[name].lower().removeprefix("0x")


class HashMatch(NamedTuple):
    """Result of a search for a file by its hash.

    Attributes:
        path: The file; None if no file has that hash, as far as it was searched.
        unread: Files that were not hashed, because the budget was used up.
    """

    path: Path | None
    unread: int = 0


def find_by_hash(
    hashes: Sequence[str],
    files: Iterable[Path],
    cache: ModelHashCache,
    *,
    budget: int | None = None,
    on_read: Callable[[Path], None] | None = None,
) -> HashMatch:
    """Find the model file with a hash.

    What is known or cheap comes first: hashes in the cache and in headers, and AutoV1. Only then
    are files read as a whole, the smallest first.

    Args:
        hashes: Of any of the kinds above, lower case, at least 8 digits.
        budget: Bytes that may be read. None for any number.
        on_read: Called with each file before it is read as a whole.
    """
    wanted = [digits for digits in hashes if len(digits) >= _SHORTEST]
    sizes = {path: size for path in files if (size := _size(path)) is not None} if wanted else {}
    unknown: dict[Path, int] = {}
    for path, size in sizes.items():
        known = cache.known(path)
        if known is None:
            unknown[path] = size
        if _matches_cheaply(path, known, wanted):
            return HashMatch(path)
    remaining = budget
    unread = 0
    for path, size in sorted(unknown.items(), key=lambda item: item[1]):
        if remaining is not None and size > remaining:
            unread += 1
            continue
        if on_read is not None:
            on_read(path)
        remaining = None if remaining is None else remaining - size
        if _matches(path, cache, wanted):
            return HashMatch(path)
    return HashMatch(None, unread)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _matches_cheaply(path: Path, known: ModelHashes | None, wanted: Sequence[str]) -> bool:
    if known is not None and any(map(known.matches, wanted)):
        return True
    declared = [] if known is not None else list(_declared(path))
    if any(each.startswith(digits) for each in declared for digits in wanted):
        return True
    old = [digits for digits in wanted if len(digits) == _SHORTEST]
    try:
        return bool(old) and _autov1(path) in old
    except OSError:
        return False


def _matches(path: Path, cache: ModelHashCache, wanted: Sequence[str]) -> bool:
    try:
        if any(map(cache.hashes(path).matches, wanted)):
            return True
        return len(max(wanted, key=len)) == 64 and FILE_DIGESTS.digest(path) in wanted  # BLAKE3
    except (OSError, NodegraphError):
        return False
