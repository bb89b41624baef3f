"""Digests of large files, remembered from one process to the next."""

from __future__ import annotations

import logging
import os
import sqlite3

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FileStamp
from nodegraph.store.index import Index

_LOG = logging.getLogger(__name__)

_GET = """
SELECT digest FROM files
WHERE path = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ?
"""
# The folder that a file is in may have been moved: what was never written since has these still.
_MOVED = """
SELECT digest FROM files
WHERE size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ? LIMIT 1
"""
_PUT = """
INSERT OR REPLACE INTO files (path, size, mtime_ns, ctime_ns, inode, digest)
VALUES (?, ?, ?, ?, ?, ?)
"""


class StoredFileDigests:
    """Digests of files in a store's index, for `nodegraph.core.file_digests.FileDigests.attach`.

    It must be detached before the index is closed. An index that can't be read or written now
    costs the time to hash a file again, no more.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, stamp: FileStamp) -> Digest | None:
        """The digest of the file that had this stamp."""
        try:
            with self._index.reading() as connection:
                row = connection.execute(_GET, _columns(stamp)).fetchone()
                if row is None:
                    row = connection.execute(_MOVED, _columns(stamp)[1:]).fetchone()
        except sqlite3.Error as error:
            _LOG.warning("can't look up the digest of %s: %s", stamp.path, error)
            return None
        return None if row is None else Digest(row[0].hex())

    def put(self, stamp: FileStamp, digest: Digest) -> None:
        """Remember it, in place of what the file was before."""
        if self._index.read_only:
            return
        try:
            with self._index.writing() as connection:
                connection.execute(_PUT, (*_columns(stamp), bytes.fromhex(digest)))
        except sqlite3.Error as error:
            _LOG.warning("can't remember the digest of %s: %s", stamp.path, error)


def _columns(stamp: FileStamp) -> tuple[bytes, int, int, int, int]:
    # A path need not be valid text, and some file systems have inodes of more than 63 bits.
    inode = stamp.inode % (1 << 63)
    return os.fsencode(stamp.path), stamp.size, stamp.mtime_ns, stamp.ctime_ns, inode
