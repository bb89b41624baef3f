"""What differs between operating systems in how processes are started, bound and ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

_IS_POSIX = os.name == "posix"
_PR_SET_PDEATHSIG = 1


def spawn_options() -> dict[str, Any]:
    """Options for a process of its own group, so that Ctrl-C in the terminal doesn't reach it."""
    if _IS_POSIX:
        return {"start_new_session": True}
    return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}


def kill_group(pid: int) -> None:
    """Kill a process that was started with `spawn_options`, and all that it has started.

    Where there are no groups, it alone is killed. Nothing happens if they are gone.
    """
    with suppress(ProcessLookupError, PermissionError):
        if _IS_POSIX:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)  # ends it at once there


def ask_for_traces(pid: int) -> bool:
    """Have a process that said `offer_traces` write what its threads are doing; False if it can't.

    It does so even if its interpreter is held up.
    """
    if not hasattr(signal, "SIGUSR1"):
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
    return True


def offer_traces() -> None:
    """Write to standard error what all threads do: when this process crashes, or when asked."""
    import faulthandler

    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)


def held_memory(process: psutil.Process) -> int:
    """Bytes that a process keeps from others; 0 if it has ended.

    What is mapped from files isn't among them, where the system tells it apart: it goes by
    itself when others need the memory.
    """
    info = process.memory_info()
    return max(0, int(info.rss) - int(getattr(info, "shared", 0)))


def signal_name(exit_code: int) -> str | None:
    """Name of the signal that ended a process, by its exit code; None if none did."""
    if exit_code >= 0:
        return None
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


def die_with_parent(parent: int) -> bool:
    """Have the system kill this process when its parent dies; False where it can't.

    Args:
        parent: Id that the parent had when it started this one.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    is_set: bool = libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    if os.getppid() != parent:
        os._exit(1)  # it died before
    return is_set


def use_bytes(descriptor: int) -> None:
    """Keep the system from changing line ends on their way through a file descriptor."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
