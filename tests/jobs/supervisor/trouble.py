"""A pack whose nodes do what no node should, for workers to survive it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from nodegraph.api import Context, Finding, HookInputs, Preview, node

_PAUSE = 0.005


def _wait_for(path: str, ctx: Context | None = None) -> None:
    while not Path(path).exists():
        if ctx is not None:
            ctx.check_cancelled()
        time.sleep(_PAUSE)


@node()
def Number(value: int = 1) -> int:
    """A number."""
    return value


@node()
def Add(a: int, b: int = 1) -> int:
    """Two numbers."""
    return a + b


@node()
def Long(value: int) -> str:
    """A text that is too large for the store's index, and too cheap for a file."""
    return f"{value}" * 6000


@node()
def Length(text: str, plus: int = 0) -> int:
    """How long it is."""
    return len(text) + plus


@node(output=True, deterministic=False)
def Show(value: int) -> None:
    """An end."""


@node(output=True, deterministic=False)
def Write(ctx: Context, value: int, name: str) -> None:
    """A file."""
    path = ctx.environment.outputs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(value))
    ctx.wrote(path, kind="text")


@node(deterministic=False)
def Wait(ctx: Context, here: str, gate: str, heeds: bool = True) -> int:
    """Make one file, and wait for another."""
    Path(here).touch()
    _wait_for(gate, ctx if heeds else None)
    return 1


@node(lane="gpu")
def Meet(ctx: Context, here: str, gate: str, value: int = 1, heeds: bool = True) -> int:
    """A number, once there is a file; it leaves one, too."""
    Path(here).touch()
    _wait_for(gate, ctx if heeds else None)
    return value


@node(output=True, deterministic=False)
def Note(value: int, diary: str) -> None:
    """Add a line to a file."""
    with Path(diary).open("a") as file:
        file.write(f"{value}\n")


@node()
def Count(ctx: Context, total: int, seed: int, diary: str, gate: str = "", at: int = 0) -> float:
    """Something that comes out otherwise if a step is left out or done twice."""
    found = ctx.restored()
    step, value = (found.step, float(found.state["value"])) if found else (0, float(seed))
    while step < total:
        step += 1
        value = value * 1.7 % 1.0 + step / 7.0
        with Path(diary).open("a") as file:
            file.write(f"{step}\n")
        ctx.checkpoint(step, total, partial(dict, value=value))
        ctx.progress(step, total)
        if step == at:
            _wait_for(gate, ctx)
    return value


@node(deterministic=False)
def Kill(value: int = 1) -> int:
    """Die of a signal."""
    os.kill(os.getpid(), signal.SIGKILL)
    return value


@node(deterministic=False)
def Crash(value: int = 1) -> int:
    """Touch memory that isn't there."""
    ctypes.string_at(8)
    return value


def _leave(inputs: HookInputs) -> list[Finding]:
    sys.exit(4)


def _ponder(inputs: HookInputs) -> list[Finding]:
    while True:
        time.sleep(_PAUSE)


@node(validate=_ponder)
def Pondering() -> int:
    """A check that comes to no end."""
    return 0


@node(validate=_leave, output=True)
def Quit() -> None:
    """Leave before anything runs."""


@node(deterministic=False)
def Exit(code: int = 3) -> int:
    """Leave as a script would."""
    sys.exit(code)


@node(deterministic=False)
def Say(text: str, exits: bool = False) -> int:
    """Write to the standard output, and end the process."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if exits:
        os._exit(0)
    return 0


@node(deterministic=False)
def HardExit(code: int = 7) -> int:
    """End the process."""
    sys.stdout.write("the last words\n")
    os._exit(code)


@node(deterministic=False)
def Fail(value: int = 1) -> int:
    """Raise."""
    raise ValueError(f"no {value}")


@node(deterministic=False)
def Hold(here: str, seconds: int = 600) -> int:
    """Hold the interpreter, so that no other thread of the process goes on."""
    Path(here).touch()
    ctypes.PyDLL(None).sleep(seconds)
    return 1


@node(deterministic=False)
def Spin(here: str) -> int:
    """Never come to an end."""
    Path(here).touch()
    while True:
        pass


@node(deterministic=False)
def Leak(gate: str) -> int:
    """Take ever more memory."""
    taken = []
    while not Path(gate).exists():
        taken.append(bytearray(os.urandom(1) * (16 << 20)))
        time.sleep(_PAUSE)
    return len(taken)


@node(deterministic=False)
def Print(lines: int, error: bool = False) -> int:
    """Print a lot."""
    for line in range(lines):
        print(f"line {line} \x1b[31mred\x1b[0m", file=sys.stderr if error else sys.stdout)
    return lines


@node(deterministic=False)
def Ask() -> str:
    """Read what a person may have typed."""
    return sys.stdin.read()


@node(deterministic=False)
def Show1000(ctx: Context, count: int = 1000, size: int = 100) -> int:
    """Many previews, as bytes."""
    for step in range(count):
        data = bytes([step % 256]) * size
        ctx.progress(step + 1, count)
        ctx.preview(Preview(data, "image/png"))
    return count


@node(deterministic=False)
def Garble(data: str) -> int:
    """Write to all pipes of the process, as a careless library might."""
    for descriptor in range(3, 64):
        try:
            if "pipe" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
                os.write(descriptor, data.encode("latin-1"))
        except OSError:
            continue
    time.sleep(600)
    return 1


@node(deterministic=False)
def Start(here: str) -> int:
    """Start a program that goes on for long, and die."""
    child = subprocess.Popen(["sleep", "600"])
    Path(here).write_text(str(child.pid))
    os._exit(1)


@node(deterministic=False)
async def Block(here: str, gate: str) -> int:
    """Hold up the event loop."""
    Path(here).touch()
    _wait_for(gate)
    return 1
