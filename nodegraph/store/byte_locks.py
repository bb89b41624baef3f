"""Locks on single bytes of a file, as each system has them.

They belong to the process on POSIX and to the descriptor on Windows; see `nodegraph.store.claims`.
"""

from __future__ import annotations

import errno
import os
import sys

NO_LOCKS = frozenset(
    {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW, errno.EINVAL, errno.EBADF}
)
"""Error numbers of a file system without locks, and of a file that may only be read."""

if sys.platform == "win32":
    import msvcrt

    PLACES = 1 << 30  # the C library counts in 32 bits

    def lock_place(descriptor: int, offset: int) -> bool:
        """Lock a byte; False if another has it."""
        os.lseek(descriptor, offset, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in NO_LOCKS:
                raise
            return False
        return True

    def unlock_place(descriptor: int, offset: int) -> None:
        """Give a byte back."""
        os.lseek(descriptor, offset, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl
    import struct

    PLACES = 1 << 62
    """Bytes that may be locked are 0 to this one; the file need not be that long."""
    _FLAGS = fcntl.LOCK_EX | fcntl.LOCK_NB

    def lock_place(descriptor: int, offset: int) -> bool:
        """Lock a byte; False if another has it."""
        try:
            fcntl.lockf(descriptor, _FLAGS, 1, offset)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def unlock_place(descriptor: int, offset: int) -> None:
        """Give a byte back."""
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, offset)


if sys.platform in ("linux", "darwin"):
    # How `struct flock` lies in memory, and where in it the kind of lock is.
    _LAYOUT, _KIND = ("qqihh", 3) if sys.platform == "darwin" else ("hhqqi0q", 0)

    def is_locked_elsewhere(descriptor: int, offset: int) -> bool:
        """Whether another has a byte; asking takes nothing that others could miss."""
        fields = [offset, 1, 0]  # start, length, process
        fields[_KIND:_KIND] = [fcntl.F_WRLCK, os.SEEK_SET]
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(_LAYOUT, *fields))
        return bool(struct.unpack(_LAYOUT, answer)[_KIND] != fcntl.F_UNLCK)

else:

    def is_locked_elsewhere(descriptor: int, offset: int) -> bool:
        """Whether another has a byte; a claim of theirs may fail while this asks."""
        if not lock_place(descriptor, offset):
            return True
        unlock_place(descriptor, offset)
        return False
