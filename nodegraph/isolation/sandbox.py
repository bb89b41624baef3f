"""Sandbox for untrusted packs: no network, few readable files, one writable folder, limits.

A process starts in it by a changed command. Bubblewrap gives it a separate file system, process
list and network; where there is no bubblewrap, Landlock denies files. In both, `confinement`
filters system calls and sets limits. A system that has neither runs no untrusted pack.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from nodegraph.errors import PackError
from nodegraph.isolation import confinement

SandboxMode: TypeAlias = Literal["bubblewrap", "landlock"]
Result = TypeVar("Result")

SANDBOX = "NODEGRAPH_SANDBOX"
"""Variable with the one folder that a pack without trust may write."""
_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/fonts", "/var/cache/fontconfig", "/etc/mime.types"),
)
"""Libraries and data of the system that programs need. None of them holds secrets."""
_FACTS = (
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version"),
    *("/proc/filesystems", "/proc/sys/vm", "/sys/devices/system"),
)
"""Facts on the machine by which libraries choose threads and memory. The first is the process's
own folder, whatever its number."""
_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
_TEXTS = {
    "USER": "pack",
    "LOGNAME": "pack",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "HF_HUB_OFFLINE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
_FORCED = ("PATH", "PYTHONNOUSERSITE", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """What a sandboxed process may use.

    Attributes:
        read: Files and folders that it may read, in addition to the system's libraries, its
            interpreter and nodegraph: the pack, its environment, models, inputs.
        write: Folders that it may write. The first is its folder for temporary files.
        private: Folders and files with secrets. A folder that contains one cannot be allowed.
        memory: Bytes of address space.
        cpu_seconds: Seconds of CPU time, of all threads, over the life of the process.
        file_size: Bytes of each file that it writes.
        written: Bytes of all files in `write`. `excess` checks it.
        open_files: Files that may be open at a time.
        threads: Threads. Other processes cannot be started at all.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    private: tuple[Path, ...] = ()
    memory: int = 8 << 30
    cpu_seconds: int = 24 * 3600
    file_size: int = 2 << 30
    written: int = 8 << 30
    open_files: int = 512
    threads: int = 256


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """How to start a sandboxed process.

    Attributes:
        command: Program and arguments.
        environment: All of its environment variables.
        mode: What separates it from the system.
    """

    command: list[str]
    environment: dict[str, str]
    mode: SandboxMode


@dataclass(frozen=True, slots=True)
class Enforcement:
    """A rule of the sandbox, and how this system enforces it; an empty `how` means not at all."""

    what: str
    how: str


def sandbox_modes() -> list[SandboxMode]:
    """Return what this system offers, best first. The first call tries it."""
    return list(_modes())


@cache
def _modes() -> tuple[SandboxMode, ...]:
    if not confinement.has_seccomp():
        return ()
    modes: list[SandboxMode] = []
    if _bubblewrap_works():
        modes.append("bubblewrap")
    if confinement.landlock_version() >= confinement.NEEDED_LANDLOCK:
        modes.append("landlock")
    return tuple(modes)


def _bubblewrap_works() -> bool:
    """Some systems install it, and forbid the namespaces that it needs."""
    program = shutil.which("bwrap")
    if program is None:
        return False
    command = [program, *_NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    try:
        ended = subprocess.run(  # noqa: S603 - of constants
            [*command, "true"], capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


_NAMESPACES = (
    *("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"),
    *("--cap-drop", "ALL", "--hostname", "sandbox"),
)


def sandboxed(
    command: Sequence[str | Path],
    policy: SandboxPolicy,
    *,
    environment: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
    mode: SandboxMode | None = None,
) -> Sandboxed:
    """Return the command that runs another one in the sandbox.

    Start it with `start`, because it ends with the thread that started it.

    Args:
        command: Absolute path of a Python interpreter, and its arguments.
        environment: Variables to set. None of this process's go along except those for language and
            threads.
        descriptors: File descriptors that stay open besides the three standard ones.
        mode: The best of this system if it is None.
    Raises:
        PackError: The system has no sandbox, or a folder may not be allowed.
    """
    modes = sandbox_modes()
    if not modes or (mode and mode not in modes):
        raise PackError(
            "untrusted packs need a sandbox, and this system has none",
            given=f"{sys.platform}, sandboxes: {', '.join(modes) or 'none'}",
            expected="Linux with bubblewrap and user namespaces, or with Landlock (Linux 6.2)",
            hint="Install bubblewrap, or trust the pack if you know its author.",
        )
    mode = mode or modes[0]
    read = _existing([*_interpreter(Path(command[0])), *_own_code(), *policy.read])
    write = _existing(policy.write)
    _check_private([*read, *write], policy.private)
    order = {
        "command": [str(part) for part in command],
        "landlock": confinement.landlock_version() >= confinement.NEEDED_LANDLOCK,
        "read": [*_SYSTEM, *_FACTS, *map(str, read)],
        "write": [str(path) for path in write],
        # To import nodegraph from a checkout, Python lists the folder that contains it.
        "listed": [str(_own_code()[0].parent)],
        "attributes": mode == "bubblewrap",
        "descriptors": list(descriptors),
        "limits": _limits(policy),
        "ends_with_parent": mode == "landlock",
        "parent": os.getpid(),
    }
    confined = [sys.executable, "-I", "-S", confinement.__file__, _json(order)]
    wrapped = [*_bubblewrap(read, write), *confined] if mode == "bubblewrap" else confined
    return Sandboxed(wrapped, _environment(environment or {}, write), mode)


def _json(order: dict[str, Any]) -> str:
    import json

    return json.dumps(order)


_STARTER = ThreadPoolExecutor(1, "sandbox")


def start(process: Callable[[], Result]) -> Result:
    """Start a sandboxed process in a thread that lasts as long as this process.

    The kernel ends a sandboxed process when the thread that started it ends.

    Args:
        process: Starts it, for example by `subprocess.Popen`.
    """
    return _STARTER.submit(process).result()


def excess(policy: SandboxPolicy) -> int:
    """Return by how many bytes a process has written more than it may; call it from time to time.

    No limit of the kernel bounds the sum of a process's files.
    """
    return max(0, sum(_sizes(policy.write)) - policy.written)


def _sizes(folders: Iterable[Path]) -> Iterator[int]:
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                try:
                    yield Path(path, name).lstat().st_blocks * 512
                except OSError:
                    continue  # removed in between


def _limits(policy: SandboxPolicy) -> dict[str, int]:
    return {
        "memory": policy.memory,
        "cpu_seconds": policy.cpu_seconds,
        "file_size": policy.file_size,
        "open_files": policy.open_files,
        "threads": policy.threads + _tasks_of_user(),
        # 1 and not 0: only this keeps the kernel from passing memory to a collector of dumps.
        "core": 1,
    }


def _tasks_of_user() -> int:
    """The limit of threads counts those of all processes of the user."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.getuid():
                count += len(list((process / "task").iterdir()))
        except OSError:
            continue  # it has ended
    return count


def _existing(paths: Iterable[Path]) -> list[Path]:
    """Each path that exists, and the one that it leads to, once."""
    both = (each for path in paths for each in (path.absolute(), path.resolve()))
    return list(dict.fromkeys(path for path in both if path.exists()))


def _check_private(allowed: Iterable[Path], private: Iterable[Path]) -> None:
    secrets = [path.resolve() for path in private]
    for path in allowed:
        for secret in secrets:
            if secret == path.resolve() or path.resolve() in secret.parents:
                raise PackError(
                    f"untrusted packs cannot use the folder {path}: {secret} is in it",
                    hint="Move the pack, the models or the inputs into a folder below it.",
                )


def _interpreter(python: Path) -> list[Path]:
    """Folders of an interpreter: its environment, and the installation that it comes from.

    Read from its files, because running it would run code of the environment.
    """
    folders = [] if python.parent.name not in ("bin", "Scripts") else [python.parent.parent]
    folders += [link.parent.parent for link in _links(python)]
    configuration = python.parent.parent / "pyvenv.cfg"
    if configuration.is_file():
        for line in configuration.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "home" and value.strip():
                folders.append(Path(value.strip()).parent)
    outside = [folder for folder in folders if folder not in (Path("/"), Path("/usr"), Path.home())]
    return [folder for folder in outside if (folder / "bin").is_dir()]


def _links(path: Path) -> Iterator[Path]:
    """The files that a path leads to, link by link."""
    for _ in range(40):
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))
        yield path


@cache
def _own_code() -> tuple[Path, ...]:
    """Nodegraph, and the libraries of this process: packs may share them."""
    libraries = [Path(path) for path in sys.path if path.endswith(("-packages", ".zip"))]
    own = Path(__file__).parents[1]  # the package `nodegraph`
    return (own, *_interpreter(Path(sys.executable)), *libraries)


def _bubblewrap(read: Sequence[Path], write: Sequence[Path]) -> list[str]:
    program = shutil.which("bwrap")
    assert program is not None  # `sandbox_modes` ran it
    command = [program, *_NAMESPACES, "--proc", "/proc", "--dev", "/dev"]
    command += ["--ro-bind-try", "/sys/devices/system", "/sys/devices/system"]
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink() and path.parent == Path("/"):
            command += ["--symlink", str(path.readlink()), name]
        else:
            command += ["--ro-bind-try", name, name]
    for path in _outermost(read):
        command += ["--ro-bind", str(path), str(path)]
    # Of these two, what is not mounted over would be memory without a limit.
    command += ["--remount-ro", "/dev"]
    for path in write:
        command += ["--bind", str(path), str(path)]
    return [*command, "--remount-ro", "/", "--chdir", str(write[0] if write else "/"), "--"]


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Those that are in none of the others, nor in a folder of the system."""
    folders = {*paths, *map(Path, _SYSTEM)}
    return [path for path in paths if not folders.intersection(path.parents)]


def _environment(extra: Mapping[str, str], write: Sequence[Path]) -> dict[str, str]:
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    if write:
        temporary = str(write[0])
        variables |= {"HOME": temporary, "TMPDIR": temporary, "XDG_CACHE_HOME": temporary}
    variables = {**variables, **_TEXTS, **extra}
    return {**variables, **{name: _TEXTS[name] for name in _FORCED}}


def enforcement(mode: SandboxMode | None = None) -> list[Enforcement]:
    """Return what the sandbox of this system enforces for untrusted packs, and how.

    Args:
        mode: The best of this system if it is None. Without any, nothing is enforced, because
            untrusted packs do not run.
    """
    modes = sandbox_modes()
    mode = mode or (modes[0] if modes else None)
    if mode is None:
        rules = (*_SHARED_RULES, *_RULES["landlock"])
        return [Enforcement(what, "") for what, _ in rules]
    threads = "" if os.getuid() == 0 else "limits (setrlimit)"
    rules = (*_RULES[mode], *_SHARED_RULES, ("number of threads", threads))
    return [Enforcement(what, how) for what, how in rules]


_RULES: Mapping[SandboxMode, tuple[tuple[str, str], ...]] = {
    "bubblewrap": (
        ("reads only libraries, the pack and allowed folders", "other files are absent (mounts)"),
        ("sees no names of other files", "other files are absent (mounts)"),
        ("writes only its folder for temporary files", "all else is read-only (mounts)"),
        ("no network", "a network namespace without devices, and no sockets (seccomp)"),
        ("no other processes visible", "a process namespace"),
    ),
    "landlock": (
        ("reads only libraries, the pack and allowed folders", "Landlock"),
        ("sees no names of other files", ""),
        ("writes only its folder for temporary files", "Landlock, and seccomp for file attributes"),
        ("no network", "no sockets (seccomp)"),
        ("no other processes visible", "no access to /proc (Landlock)"),
    ),
}
_SHARED_RULES = (
    ("starts no processes, signals none", "system calls fail (seccomp)"),
    ("no privileges, namespaces, keyrings", "no-new-privileges, no capabilities, seccomp"),
    ("no accelerators and other devices", "device files are absent or denied"),
    ("no variables of the server, no open files", "a new environment, closed descriptors"),
    ("memory, CPU time, size of each file, open files", "limits (setrlimit)"),
    ("sum of all written files", "checked from time to time, then the process ends"),
    ("time of each call", "the main process ends it after `untrusted_call_seconds`"),
    ("time of the import", "the main process ends it after `import_seconds`"),
)
