"""Attacks of untrusted packs: each works without a sandbox, and fails in each one here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from nodegraph.errors import PackError
from nodegraph.isolation.confinement import FAILED
from nodegraph.isolation.sandbox import (
    Sandboxed,
    SandboxMode,
    SandboxPolicy,
    enforcement,
    excess,
    sandbox_modes,
    sandboxed,
    start,
)
from tests.processes import PATIENCE, killed_after

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are for Linux")

IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
REACHED = "reached"
PREPARED = """
import ctypes, json, mmap, os, resource, socket, subprocess, sys, threading
scene = json.loads(sys.argv[1])
call = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
"""
VICTIM = """
import ctypes, sys, time
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1 & (1 << 64) - 1), 0, 0, 0)  # may be traced
buffer = ctypes.create_string_buffer(b"secret")
print(ctypes.addressof(buffer), flush=True)
time.sleep(600)
"""


@dataclass(frozen=True)
class Attack:
    """Code that raises an error where it fails.

    Attributes:
        optional: Some systems refuse it to everybody; it is left out there.
        policy: Fields of the policy that it is about.
    """

    code: str
    optional: bool = False
    policy: tuple[tuple[str, int], ...] = ()


VM_READ = """
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
own = ctypes.create_string_buffer(6)
here, there = Part(ctypes.addressof(own), 6), Part(scene["address"], 6)
count = call.process_vm_readv(scene["victim"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
assert checked(count) == 6 and own.raw == b"secret"
"""
OLD_CALLS = """
assert os.uname().machine == "x86_64"
area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
area.write(bytes.fromhex("53b814000000cd805bc3"))  # getpid by the calls of 32-bit programs
run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))
assert run() > 0
"""
BUSY = """
import time
while time.process_time() < 1.8:
    pass
"""
DNS = """
ask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ask.settimeout(20)
ask.sendto(b"name?", ("127.0.0.1", scene["udp"]))
"""
ATTACKS = {
    # Files
    "read a file of the home": Attack('open(scene["tokens"]).read()'),
    "read a file beside the pack": Attack('open(scene["pack"] + "/../tokens.json").read()'),
    "read by the root of the process": Attack('open("/proc/self/root" + scene["tokens"]).read()'),
    "read users": Attack('open("/etc/passwd").read()'),
    "list the home": Attack('assert "notes.txt" in os.listdir(scene["home"])'),
    "read over a link": Attack(
        'os.symlink(scene["tokens"], scene["temp"] + "/a"); open(scene["temp"] + "/a").read()'
    ),
    "read over a hard link": Attack(
        'os.link(scene["tokens"], scene["temp"] + "/b"); open(scene["temp"] + "/b").read()'
    ),
    "leave a link for others": Attack('os.symlink("/etc/passwd", scene["temp"] + "/c")'),
    "leave a pipe for others": Attack('os.mkfifo(scene["temp"] + "/d")'),
    "write a file of the home": Attack('open(scene["notes"], "a").write("x")'),
    "empty a file of the home": Attack('os.truncate(scene["notes"], 0)'),
    "empty a file by opening it": Attack('os.open(scene["notes"], os.O_RDONLY | os.O_TRUNC)'),
    "create a file in the home": Attack('open(scene["home"] + "/new", "w")'),
    "create a folder in the home": Attack('os.mkdir(scene["home"] + "/folder")'),
    "remove a file of the home": Attack('os.unlink(scene["notes"])'),
    "rename a file of the home": Attack('os.rename(scene["notes"], scene["temp"] + "/e")'),
    "move a file into the home": Attack(
        'open(scene["temp"] + "/f", "w"); os.rename(scene["temp"] + "/f", scene["home"] + "/f")'
    ),
    "change rights": Attack('os.chmod(scene["notes"], 0o666)'),
    "change times": Attack('os.utime(scene["notes"], (1, 1))'),
    "write into the own pack": Attack('open(scene["pack"] + "/__init__.py", "a").write("x")'),
    "change rights of the own pack": Attack('os.chmod(scene["pack"] + "/__init__.py", 0o777)'),
    "write into shared memory": Attack('open(scene["shared"], "w").write("x")'),
    "read an open file": Attack('os.read(scene["descriptor"], 1)'),
    # Other processes
    "read variables of a process": Attack("open(f\"/proc/{scene['victim']}/environ\").read()"),
    "read memory of a process": Attack(
        'f = open(f"/proc/{scene[\'victim\']}/mem", "rb"); f.seek(scene["address"]); f.read(6)'
    ),
    "copy memory of a process": Attack(VM_READ),
    "trace a process": Attack('checked(call.ptrace(0x4206, scene["victim"], 0, 0))'),
    "signal a process": Attack('os.kill(scene["victim"], 0)'),
    "signal by a descriptor": Attack('os.pidfd_open(scene["victim"])', optional=True),
    "limit a process": Attack('resource.prlimit(scene["victim"], resource.RLIMIT_CPU, (9, 9))'),
    "slow a process": Attack('os.setpriority(os.PRIO_PROCESS, scene["victim"], 5)'),
    "pin a process": Attack('os.sched_setaffinity(scene["victim"], [0])', optional=True),
    "fork": Attack("os.fork() or os._exit(0)"),
    "start a program": Attack('subprocess.run(["/bin/sh", "-c", "true"], check=True)'),
    "spawn a program": Attack('os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {})'),
    # Networks
    "connect over TCP": Attack('socket.create_connection(("127.0.0.1", scene["tcp"]), 20)'),
    "send over UDP": Attack(DNS),
    "listen": Attack('socket.create_server(("127.0.0.1", 0))'),
    "connect to a service of the machine": Attack(
        'socket.socket(socket.AF_UNIX).connect(scene["unix"])'
    ),
    "connect to an abstract address": Attack(
        'socket.socket(socket.AF_UNIX).connect("\\0" + scene["abstract"])'
    ),
    "ask the kernel for its networks": Attack("socket.socket(socket.AF_NETLINK)", optional=True),
    "evade the filter by a ring": Attack(
        "checked(call.syscall(425, 4, ctypes.create_string_buffer(120)))", optional=True
    ),
    "evade the filter by old calls": Attack(OLD_CALLS, optional=True),
    # Privileges
    "gain rights by a program": Attack("assert call.prctl(39, 0, 0, 0, 0) == 0"),
    "enter a namespace": Attack("checked(call.unshare(0x10000000))", optional=True),
    "keep a key in the kernel": Attack(
        'checked(call.syscall(248, b"user", b"ng", b"x", 1, -2))', optional=True
    ),
    "dump memory": Attack("assert resource.getrlimit(resource.RLIMIT_CORE)[1] > 1", optional=True),
    "read variables of the server": Attack('os.environ["HF_TOKEN"]'),
    # Resources
    "use up memory": Attack("mmap.mmap(-1, 2 << 30)", policy=(("memory", 1 << 30),)),
    "use memory that no limit counts": Attack('os.memfd_create("x")'),
    "write a large file": Attack(
        'f = open(scene["temp"] + "/g", "wb"); f.seek(64 << 20); f.write(b"x"); f.flush()',
        policy=(("file_size", 16 << 20),),
    ),
    "open many files": Attack(
        'files = [open("/dev/null") for _ in range(100)]', policy=(("open_files", 64),)
    ),
    "raise a limit": Attack(
        "resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))",
        policy=(("memory", 1 << 30),),
    ),
    "compute for ever": Attack(BUSY, policy=(("cpu_seconds", 1),)),
}


@pytest.fixture(scope="module")
def victim() -> Iterator[tuple[int, int]]:
    """A process of the same user, with a secret at an address of its memory."""
    command = [sys.executable, "-I", "-S", "-c", VICTIM]
    with subprocess.Popen(command, stdout=PIPE, text=True) as process, killed_after(process):
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.kill()


@pytest.fixture
def scene(tmp_path: Path, victim: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """What attacks are after."""
    home, temp = tmp_path / "home", tmp_path / "temp"
    pack = home / "pack"
    for folder in (home, temp, pack):
        folder.mkdir()
    (home / "tokens.json").write_text("secret")
    (home / "notes.txt").write_text("notes")
    (pack / "__init__.py").write_text("# code")
    shared = Path(f"/dev/shm/nodegraph-test-{os.getpid()}")
    name = f"nodegraph-test-{os.getpid()}"
    kinds = (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)
    with (
        socket.socket(*kinds[0]) as tcp,
        socket.socket(*kinds[1]) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        (home / "tokens.json").open() as secret,
    ):
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)  # the name of a socket may have 107 bytes
            unix.bind("socket")
        abstract.bind(f"\0{name}")
        for listener in (tcp, unix, abstract):
            listener.listen()
        os.set_inheritable(secret.fileno(), True)
        yield {
            "home": str(home),
            "temp": str(temp),
            "pack": str(pack),
            "tokens": str(home / "tokens.json"),
            "notes": str(home / "notes.txt"),
            "shared": str(shared),
            "descriptor": secret.fileno(),
            "victim": victim[0],
            "address": victim[1],
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": str(tmp_path / "socket"),
            "abstract": name,
        }
    shared.unlink(missing_ok=True)


def policy_of(scene: dict[str, Any], **limits: int) -> SandboxPolicy:
    return SandboxPolicy(
        read=(Path(scene["pack"]),),
        write=(Path(scene["temp"]),),
        private=(Path(scene["tokens"]),),
        **limits,
    )


def run(
    code: str, scene: dict[str, Any], mode: SandboxMode | None, **limits: int
) -> subprocess.CompletedProcess[str]:
    """Run code in a sandbox, or in none."""
    lines = f"{PREPARED}\n{code}\nprint('{REACHED}')"
    command = [sys.executable, "-I", "-S", "-c", lines, json.dumps(scene)]
    environment = dict(os.environ)
    if mode:
        box = sandboxed(command, policy_of(scene, **limits), mode=mode)
        command, environment = box.command, box.environment
    return start(
        lambda: subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            close_fds=False,
            timeout=PATIENCE,
        )
    )


def run_box(box: Sandboxed) -> subprocess.CompletedProcess[str]:
    return start(
        lambda: subprocess.run(
            box.command, env=box.environment, capture_output=True, text=True, check=False
        )
    )


def needed(mode: SandboxMode) -> SandboxMode:
    if mode not in sandbox_modes():
        pytest.skip(f"this system has no sandbox by {mode}")
    return mode


MODES: tuple[SandboxMode, ...] = ("bubblewrap", "landlock")
both = pytest.mark.parametrize("mode", MODES)


@pytest.mark.slow
def test_bubblewrap_stops_attacks_without_landlock(
    scene: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("bubblewrap")
    monkeypatch.setattr("nodegraph.isolation.confinement.landlock_version", lambda: 0)
    reached = [
        name
        for name, attack in ATTACKS.items()
        if REACHED in run(attack.code, scene, "bubblewrap", **dict(attack.policy)).stdout
    ]
    assert reached == []


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_works_only_outside_of_a_sandbox(
    name: str, scene: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    attack = ATTACKS[name]
    for mode in sandbox_modes():
        ended = run(attack.code, scene, mode, **dict(attack.policy))
        assert REACHED not in ended.stdout, mode
        assert ended.returncode not in (0, FAILED), (mode, ended.stderr)
    ended = run(attack.code, scene, None)
    if attack.optional and REACHED not in ended.stdout:
        pytest.skip("this system refuses it to everybody")
    assert REACHED in ended.stdout, ended.stderr


@both
def test_an_honest_pack_works(mode: SandboxMode, scene: dict[str, Any]) -> None:
    code = """
import asyncio, tempfile
assert open(scene["pack"] + "/__init__.py").read() == "# code"
with tempfile.NamedTemporaryFile(dir=None) as file:
    assert file.name.startswith(scene["temp"]), file.name
    file.write(b"x")
    file.flush()
    os.rename(file.name, scene["temp"] + "/kept")
    open(file.name, "w").close()
threads = [threading.Thread(target=lambda: None) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
asyncio.run(asyncio.sleep(0))
os.kill(os.getpid(), 0)
"""
    ended = run(code, scene, needed(mode))
    assert ended.stdout.strip() == REACHED, ended.stderr
    assert (Path(scene["temp"]) / "kept").read_bytes() == b"x"


@both
def test_nodegraph_and_its_libraries_are_there(mode: SandboxMode, tmp_path: Path) -> None:
    code = "import nodegraph.packs.declarations, numpy, PIL.Image; print('reached')"
    command = [sys.executable, "-c", code]
    box = sandboxed(command, SandboxPolicy(write=(tmp_path,)), mode=needed(mode))
    ended = run_box(box)
    assert ended.stdout.strip() == REACHED, ended.stderr


def test_names_of_files_are_hidden_as_it_says(scene: dict[str, Any]) -> None:
    for mode in sandbox_modes():
        rules = {rule.what: rule.how for rule in enforcement(mode)}
        ended = run('os.stat(scene["tokens"])', scene, mode)
        assert (REACHED in ended.stdout) == (not rules["sees no names of other files"]), mode


@pytest.mark.skipif(IS_ROOT, reason="root may start any number of threads")
@both
def test_threads_are_limited(mode: SandboxMode, scene: dict[str, Any]) -> None:
    code = """
stop = threading.Event()
for _ in range(3000):
    threading.Thread(target=stop.wait, daemon=True).start()
"""
    ended = run(code, scene, needed(mode), threads=4)
    assert "can't start new thread" in ended.stderr


def ended_with_its_starter(mode: SandboxMode | None, folder: Path) -> bool:
    """Whether a process ends that ignores all signals and whose starter is killed."""
    reader, writer = os.pipe()
    helper = f"""
import subprocess, sys, time
from pathlib import Path
from nodegraph.isolation.sandbox import *
command = [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(3)"]
environment = None
if {mode!r}:
    policy = SandboxPolicy(write=(Path({str(folder)!r}),))
    box = sandboxed(command, policy, mode={mode!r}, descriptors=({writer},))
    command, environment = box.command, box.environment
start(lambda: subprocess.Popen(command, env=environment, pass_fds=({writer},)))
time.sleep(600)
"""
    with os.fdopen(reader, "rb") as life:
        process = subprocess.Popen([sys.executable, "-c", helper], stdout=PIPE, pass_fds=(writer,))
        os.close(writer)
        with process, killed_after(process):
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            life.read()  # until all processes that hold the other end have ended
            return time.monotonic() - killed < 2


def test_no_process_outlives_its_starter(tmp_path: Path) -> None:
    assert all(ended_with_its_starter(mode, tmp_path) for mode in sandbox_modes())
    assert not ended_with_its_starter(None, tmp_path)


@both
def test_all_written_files_count_together(mode: SandboxMode, scene: dict[str, Any]) -> None:
    policy = policy_of(scene, written=1 << 20)
    assert excess(policy) == 0
    code = """
for index in range(4):
    with open(f"{scene['temp']}/{index}", "wb") as file:
        file.write(bytes(1 << 19))
"""
    assert run(code, scene, needed(mode)).returncode == 0
    assert excess(policy) >= 1 << 20


def test_a_folder_with_secrets_is_not_allowed(tmp_path: Path) -> None:
    if not sandbox_modes():
        pytest.skip("this system has no sandbox")
    secret = tmp_path / "home" / "tokens.json"
    secret.parent.mkdir()
    secret.write_text("secret")
    (tmp_path / "link").symlink_to(secret.parent)
    for folder in (tmp_path, secret.parent, secret, tmp_path / "link"):
        with pytest.raises(PackError, match="is in it"):
            sandboxed([sys.executable], SandboxPolicy(read=(folder,), private=(secret,)))


def test_nothing_runs_unless_all_steps_work(tmp_path: Path) -> None:
    for mode in sandbox_modes():
        policy = SandboxPolicy(write=(tmp_path,), open_files=-2)
        box = sandboxed([sys.executable, "-c", "print('reached')"], policy, mode=mode)
        ended = run_box(box)
        assert ended.returncode == FAILED, ended.stderr
        assert REACHED not in ended.stdout


def test_another_sandbox_than_the_system_has_is_refused() -> None:
    with pytest.raises(PackError, match="need a sandbox"):
        sandboxed([sys.executable], SandboxPolicy(), mode="container")  # type: ignore[arg-type]
