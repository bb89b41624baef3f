"""Claims: locks among the processes of a machine, each on one byte of a file.

The claim's name gives the byte's position. Nothing is written: the file stays empty, and the
system frees the locks of a dead process.

POSIX gives such locks to the process (Windows to the descriptor): two descriptors of one process
never conflict, and closing one drops all locks of the process. So each file is open once in a
process, for all `Claims`, and a table records which of them holds what. For the same reason nothing
else may open that file, and it must never be removed while it is in use.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from nodegraph.errors import OutputError

_NAME = "0123456789abcdef"
"""Of the claim; any would do, as the lock's file has but this one."""
_PATIENCE = 10.0


@contextmanager
def exclusive_lock(lock: Path, changed: str) -> Iterator[None]:
    """Inside the `with`, nobody else who takes turns by this lock does.

    Args:
        lock: A file of its own, made if it isn't there, beside what is changed: so all machines
            that have that have it, too.
        changed: What it is, for the error where that can't be.
    Raises:
        OutputError: The lock can't be made, or another process has it for too long.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        claims = Claims(lock)
    except OSError as error:
        raise OutputError(f"cannot change {changed}: {error.strerror or error}") from error
    try:
        end = time.monotonic() + _PATIENCE
        while not claims.try_claim(_NAME):
            if time.monotonic() > end:
                raise OutputError(f"another process changes {changed}", hint="Try again.")
            time.sleep(0.02)
        yield
    finally:
        claims.close()


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


class _File:
    """A claims file that this process has open.

    Attributes:
        held: Who holds a name, of this process.
        users: How many `Claims` use the file.
        can_ask: Whether the file system tells what other processes hold.
        can_lock: Whether it locks as well.
    """

    def __init__(self, descriptor: int | None) -> None:
        self.lock = Lock()
        self.held: dict[str, Claims] = {}
        self.users = 0
        # Closing any descriptor of the file would free every lock.
        self._descriptors = [] if descriptor is None else [descriptor]
        self.can_ask, self.can_lock = (False, False) if descriptor is None else _able(descriptor)

    @property
    def descriptor(self) -> int:
        return self._descriptors[0]

    def keep(self, descriptor: int) -> None:
        """Keep another descriptor of the same file until the end."""
        self._descriptors.append(descriptor)

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


def _able(descriptor: int) -> tuple[bool, bool]:
    probe = PLACES  # no name leads there
    try:
        is_locked_elsewhere(descriptor, probe)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False, False
        raise
    try:
        if lock_place(descriptor, probe):
            unlock_place(descriptor, probe)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return True, False
        raise
    return True, True


_Id = tuple[int, int] | str
_FILES: dict[_Id, _File] = {}
# State of the process, as the locks are: see the top.
_OPENING = Lock()


def _after_fork() -> None:
    """A child has its parent's descriptors but none of its locks."""
    global _OPENING  # noqa: PLW0603 - a thread that isn't there any more may have held it
    _OPENING = Lock()
    for file in _FILES.values():
        file.lock = Lock()
        file.held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _opened(path: Path) -> tuple[_Id, _File]:
    with _OPENING:
        try:
            status = os.stat(path)  # noqa: PTH116 - as fstat below
            number: _Id = (status.st_dev, status.st_ino)
        except FileNotFoundError:
            number = ""
        file = _FILES.get(number)
        if file is None:
            descriptor = _descriptor(path)
            if descriptor is None:
                number = str(path.absolute())
                file = _FILES.get(number) or _File(None)
            else:
                status = os.fstat(descriptor)
                number = (status.st_dev, status.st_ino)
                # The path may have become that of a file which is open here already.
                file = _FILES.get(number)
                if file is None:
                    file = _File(descriptor)
                else:
                    file.keep(descriptor)
            _FILES[number] = file
        file.users += 1
        return number, file


def _descriptor(path: Path) -> int | None:
    """A descriptor to lock with, or to ask with at least; None where there is neither."""
    common = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | common, 0o666)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    try:
        return os.open(path, os.O_RDONLY | common)
    except OSError:
        return None


class Claims:
    """Names that one process, or one object of it, has to itself for a while.

    Two objects exclude each other, whether they are of one process or of two. Safe to use from
    several threads. A forked child holds none of its parent's claims.

    Where the file system has no locks, or the file may only be read, claims hold within the
    process alone; see `is_shared`. Nothing that relies on them may break for that: at worst two
    processes do the same work.

    Args:
        path: A file of its own, made if it isn't there.
    Raises:
        OSError: The file can't be made.
    """

    def __init__(self, path: Path) -> None:
        self._number, self._file = _opened(path)
        self._is_open = True

    @property
    def is_shared(self) -> bool:
        """Whether other processes see these claims."""
        return self._file.can_lock

    def try_claim(self, name: str) -> bool:
        """Claim a name if nobody has it; returns at once.

        False also if this object holds it already, so that two of its threads exclude each other.

        Args:
            name: Hexadecimal text. Its first 16 digits must be its own: digests and random ones.
        """
        file = self._file
        with file.lock:
            if not self._is_open:
                raise ValueError("these claims are closed")
            if name in file.held:
                return False
            if file.can_lock and not lock_place(file.descriptor, _lock_offset(name)):
                return False
            file.held[name] = self
        return True

    def release(self, name: str) -> None:
        """Give a name back; nothing happens if this object doesn't hold it."""
        file = self._file
        with file.lock:
            if file.held.get(name) is self:
                self._free(name)

    def _free(self, name: str) -> None:
        del self._file.held[name]
        if self._file.can_lock:
            unlock_place(self._file.descriptor, _lock_offset(name))

    def is_held(self, name: str) -> bool:
        """Whether anybody holds a name: this object, another one or another process."""
        file = self._file
        with file.lock:
            if name in file.held:
                return True
            if not self._is_open:
                raise ValueError("these claims are closed")
            return file.can_ask and is_locked_elsewhere(file.descriptor, _lock_offset(name))

    def close(self) -> None:
        """Give back all that this object holds."""
        with _OPENING:
            if not self._is_open:
                return
            file = self._file
            with file.lock:
                self._is_open = False
                for name in [name for name, holder in file.held.items() if holder is self]:
                    self._free(name)
                file.users -= 1
                if not file.users:
                    file.close()
                    del _FILES[self._number]


def _lock_offset(name: str) -> int:
    return int(name[:16], 16) % PLACES
