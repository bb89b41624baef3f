"""Confine this process, then replace it by a command: the last step into a sandbox.

It runs as a script, ``python -I -S confinement.py JSON``, so it imports the standard library only.
The process gives up its rights one after the other. If a step fails, the command does not start.

Sources: Linux's ``landlock(7)``, ``seccomp(2)``, ``prctl(2)`` and ``capabilities(7)``.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any

FAILED = 125
"""Exit status if the process could not be confined."""

_PR_CAPBSET_DROP, _PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 24, 1, 38, 22
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_CAPABILITY_VERSION = 0x20080522
_MOST_CAPABILITIES = 64

# Rights of Landlock, by bit. Those of newer versions of its interface come later.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _REFER = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 13
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# No devices, sockets, pipes and links: the main process opens files in these folders, and must not
# be led out of them or wait for ever.
_WRITE = _WRITE_FILE | _READ_FILE | _READ_DIR | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE
_WRITE |= _MAKE_DIR | _MAKE_REG | _REFER
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Count of the rights over files, by version; 16 since version 5."""
NEEDED_LANDLOCK = 3
"""Before this version it does not keep a process from emptying any file of its user."""

_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7
ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}
_LAST_SYSCALL = 453
"""Newer calls answer ENOSYS: what they do is not known here."""

DENIED: dict[str, tuple[int, int]] = {
    # Other processes: none may be started, examined or changed.
    "fork": (57, -1), "vfork": (58, -1), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "kcmp": (312, 272), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "ioprio_set": (251, 30), "setpriority": (141, 140), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    # Networks. io_uring does what a filter of calls cannot see.
    "socket": (41, 198), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Memory that no limit counts, and objects that outlive the process.
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    # File systems, namespaces and links.
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97),
    "setns": (308, 268), "symlink": (88, -1), "symlinkat": (266, 36), "mknod": (133, -1),
    "mknodat": (259, 33), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262), "inotify_add_watch": (254, 27),
    # The kernel.
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "lookup_dcookie": (212, 18), "sethostname": (170, 161), "setdomainname": (171, 162),
    "vhangup": (153, 58), "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1),
}  # fmt: skip
"""System calls that fail, with their numbers on x86_64 and aarch64; -1 where there is none."""

ATTRIBUTES: dict[str, tuple[int, int]] = {
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, -1), "lchown": (94, -1), "fchown": (93, 55), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, -1), "utimes": (235, -1),
    "futimesat": (261, -1), "utimensat": (280, 88),
}  # fmt: skip
"""Calls that change rights, owners and times of files: Landlock does not restrict them."""

_CLONE, _CLONE3, _SOCKETPAIR, _IOCTL_CALL = (56, 220), (435, 435), (53, 199), (16, 29)
_KILL, _TGKILL = (62, 129), (234, 131)
_PRLIMIT, _SET_AFFINITY = (302, 261), (203, 122)
_CLONE_THREAD = 0x10000
_NEW_NAMESPACES = 0x7E020080
_AF_UNIX = 1
_TERMINAL_INPUT = (0x5412, 0x541C)
"""ioctl's requests that type into a terminal: TIOCSTI and TIOCLINUX."""

# Instructions of the filter: load a word, jump if equal, greater or a bit is set, return.
_LOAD, _EQUAL, _GREATER, _BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _ERROR, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4

Instruction = tuple[int, int, int, int]
"""Code, steps to jump if it is true and if not, and a constant."""


def _argument(index: int) -> int:
    return 16 + 8 * index  # the low half on both architectures


def _deny(number: int, error: int = errno.EPERM) -> list[Instruction]:
    return [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)]


def _allow_only(number: int, argument: int, values: Sequence[int]) -> list[Instruction]:
    """Let a call fail unless an argument has one of some values."""
    body: list[Instruction] = [(_LOAD, 0, 0, _argument(argument))]
    for index, value in enumerate(values):
        body.append((_EQUAL, len(values) - index, 0, value & 0xFFFFFFFF))
    body += [(_RETURN, 0, 0, _ERROR | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(body), number), *body]


def _deny_values(number: int, argument: int, values: Sequence[int]) -> list[Instruction]:
    """Let a call fail if an argument has one of some values."""
    body: list[Instruction] = [(_LOAD, 0, 0, _argument(argument))]
    for index, value in enumerate(values):
        body.append((_EQUAL, len(values) - index, 0, value))
    body += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    return [(_EQUAL, 0, len(body), number), *body]


def filter_program(machine: str, pid: int, *, attributes: bool) -> list[Instruction]:
    """Return the filter of system calls, which lets through all that is not named here.

    Args:
        machine: Of `ARCHITECTURES`.
        pid: Of the process that is confined; it may send signals to itself only.
        attributes: Whether rights, owners and times of files may change.
    """
    side = list(ARCHITECTURES).index(machine)
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
        # This is also how calls of the x32 interface begin, which have other numbers.
        (_GREATER, 0, 1, _LAST_SYSCALL),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    ]
    for numbers in (DENIED if attributes else {**DENIED, **ATTRIBUTES}).values():
        if numbers[side] >= 0:
            program += _deny(numbers[side])
    # glibc falls back to clone, whose flags a filter can read.
    program += _deny(_CLONE3[side], errno.ENOSYS)
    program += [
        (_EQUAL, 0, 5, _CLONE[side]),
        (_LOAD, 0, 0, _argument(0)),
        (_BITS, 2, 0, _NEW_NAMESPACES),
        (_BITS, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
    ]
    program += _allow_only(_SOCKETPAIR[side], 0, [_AF_UNIX])
    program += _allow_only(_KILL[side], 0, [pid])
    program += _allow_only(_TGKILL[side], 0, [pid])
    program += _allow_only(_PRLIMIT[side], 0, [0, pid])
    program += _allow_only(_SET_AFFINITY[side], 0, [0, pid])
    program += _deny_values(_IOCTL_CALL[side], 1, _TERMINAL_INPUT)
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, step: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{step}: {os.strerror(number)}")
    return result


def has_seccomp() -> bool:
    """Whether the kernel filters system calls, and their numbers are known here."""
    if sys.platform != "linux" or os.uname().machine not in ARCHITECTURES:
        return False
    # Without a program it fails either way: with EFAULT where filters are supported.
    result = _library().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    return bool(result < 0 and ctypes.get_errno() == errno.EFAULT)


def landlock_version() -> int:
    """Version of the kernel's Landlock; 0 if there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_library().syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def _filter_calls(*, attributes: bool) -> None:
    program = filter_program(os.uname().machine, os.getpid(), attributes=attributes)
    data = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(data, len(data))
    head = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    _checked(
        _library().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(head), 0, 0),
        "seccomp",
    )


def _restrict_files(read: Iterable[str], write: Iterable[str], listed: Iterable[str]) -> None:
    """Deny all files and folders except some, by Landlock, and networks where it knows them."""
    library, version = _library(), landlock_version()
    handled = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    network = 0b11 if version >= 4 else 0
    scoped = 0b11 if version >= 6 else 0  # abstract sockets, signals
    size = 8 if version < 4 else 16 if version < 6 else 24  # older kernels know fewer fields
    rules = struct.pack("=QQQ", handled, network, scoped)[:size]
    domain = _checked(
        library.syscall(_LANDLOCK_CREATE, ctypes.c_char_p(rules), ctypes.c_size_t(len(rules)), 0),
        "landlock",
    )
    for paths, rights in ((read, _READ), (write, _WRITE), (listed, _READ_DIR)):
        for path in paths:
            _allow_path(library, domain, path, rights & handled)
    for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"):
        _allow_path(library, domain, path, (_READ_FILE | _WRITE_FILE) & handled)
    _checked(library.syscall(_LANDLOCK_RESTRICT, domain, 0), "landlock")
    os.close(domain)


def _allow_path(library: ctypes.CDLL, domain: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _OF_FILES
    rule = struct.pack("=Qi", rights, descriptor)
    _checked(library.syscall(_LANDLOCK_ADD, domain, 1, ctypes.c_char_p(rule), 0), path)
    os.close(descriptor)


def _drop_capabilities() -> None:
    """Give up root's powers, if the process has them: its rights over its own files remain."""
    library = _library()
    for capability in range(_MOST_CAPABILITIES):
        library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails without the right to do it
    head, none = struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)
    _checked(library.capset(ctypes.c_char_p(head), ctypes.c_char_p(none)), "capset")


def _limit(limits: dict[str, int]) -> None:
    """Set hard limits, by the names of `sandbox.SandboxPolicy`."""
    import resource

    names = {
        "core": resource.RLIMIT_CORE,
        "memory": resource.RLIMIT_AS,
        "cpu_seconds": resource.RLIMIT_CPU,
        "file_size": resource.RLIMIT_FSIZE,
        "open_files": resource.RLIMIT_NOFILE,
        "threads": resource.RLIMIT_NPROC,
    }
    for name, value in limits.items():
        number = names[name]
        most = resource.getrlimit(number)[1]
        allowed = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(number, (allowed, allowed))


def _close_descriptors(kept: Sequence[int]) -> None:
    start = 0
    for descriptor in sorted({0, 1, 2, *kept}):
        if start < descriptor:  # an empty range would close everything from 0 on in Python 3.11
            os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, 1 << 20)


def confine(order: dict[str, Any]) -> None:
    """Give up everything that an order of `sandbox.sandboxed` does not allow.

    Raises:
        OSError, ValueError: A step failed.
    """
    _close_descriptors(order["descriptors"])
    if os.getsid(0) != os.getpid():
        os.setsid()
    # If memory runs out, this process ends before others.
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(score, b"1000")
    os.close(score)
    _limit(order["limits"])
    _drop_capabilities()
    library = _library()
    if order["ends_with_parent"]:
        _checked(library.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl")
        if os.getppid() != order["parent"]:
            raise OSError(errno.ESRCH, "the process that started this one has ended")
    _checked(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    if order["landlock"]:
        _restrict_files(order["read"], order["write"], order["listed"])
    _filter_calls(attributes=order["attributes"])


def main(text: str) -> None:
    """Confine this process and run the command of an order in JSON."""
    order = json.loads(text)
    try:
        confine(order)
        os.execve(order["command"][0], order["command"], dict(os.environ))  # noqa: S606 - that is its purpose
    except (OSError, ValueError) as error:  # ValueError: of a limit
        sys.stderr.write(f"nodegraph: the sandbox could not be set up: {error}\n")
        sys.stderr.flush()
        os._exit(FAILED)


if __name__ == "__main__":
    main(sys.argv[1])
