"""Keeping freed memory in the process, where asking for it again costs a fifth of the time."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Names of glibc's mallopt(3)."""


def keep_freed_memory() -> None:
    """Tell glibc not to hand freed memory back to the system; does nothing elsewhere.

    A training step frees and takes the same few hundred megabytes again. By default glibc gives
    them back in between, and the kernel has to clear every page anew.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, 32 * 2**20)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 128 * 2**20)
