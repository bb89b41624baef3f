"""Processes of packs: they crash, hang, are ended and begun anew, and harm nobody else."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import psutil
import pytest

from nodegraph import Session, Settings
from nodegraph.engine.options import CancelToken
from nodegraph.errors import PackError
from nodegraph.packs.installation.plans import InstallOptions
from tests.isolation.packs import isolated, run
from tests.packs.installing import operations, write

HEADER = """
import ctypes
import os
import time
from pathlib import Path
from nodegraph.api import *
"""

PACK = (
    HEADER
    + '''
@node
def Add(a: int = 0, b: int = 0) -> int:
    """Add."""
    return a + b

@node(deterministic=False)
def Process() -> int:
    """Tell the process."""
    return os.getpid()

@node
def Fork(value: int = 0) -> int:
    """Start a process that lasts."""
    child = os.fork()
    if not child:
        time.sleep(600)
    return child

@node
def ForkOn(a: int = 0) -> int:
    """Return twice."""
    os.fork()
    return a + 1

@node
def Exit(a: int = 0) -> int:
    """Exit."""
    raise SystemExit(a)

@node
def Crash(value: int = 0) -> int:
    """Crash."""
    ctypes.string_at(0)

@node
def Leave(value: int = 0) -> int:
    """End the process."""
    os._exit(3)

@node
def Wait(ctx: Context, file: str) -> int:
    """Wait for a file, and report meanwhile."""
    Path(file + ".begun").touch()
    while not Path(file).exists():
        ctx.progress(0, 1)
        time.sleep(0.005)
    return 1

@node(deterministic=False)
async def Report(ctx: Context, file: str) -> int:
    """Report for ever."""
    Path(file).touch()
    while True:
        ctx.progress(0, 1)

@node
def Hang(file: str) -> int:
    """Never end."""
    Path(file + ".begun").touch()
    while True:
        time.sleep(0.01)

@port_type
class Held:
    """Cannot be written."""
    def __init__(self):
        self.open = open(__file__)

@node
def Hold() -> Held:
    """Make one."""
    return Held()

@node
def Look(held: Held, value: int = 0) -> int:
    """Look at it."""
    return len(held.open.name) + value
'''
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("processes")
    packs = [isolated(folder, PACK), isolated(folder, PACK, "other")]
    with Session(Settings(home=folder / "home"), packs=packs) as opened:
        assert not opened.registry.problems
        yield opened


def in_thread(function: Callable[[], Any]) -> tuple[Thread, list[Any]]:
    """Call a function in a thread, and return it with the list that gets its result."""
    results: list[Any] = []
    thread = Thread(target=lambda: results.append(function()))
    thread.start()
    return thread, results


def wait_for(path: Path) -> None:
    """Wait for a file."""
    while not path.exists():
        Event().wait(0.005)


def number_of(session: Session) -> int:
    return int(run(session, {"a": ("far:Process", {})}).outputs["a.number"])


def test_the_other_packs_result_stays(session: Session) -> None:
    nodes = {"a": ("far:Crash", {}), "b": ("other:Add", {"a": 2, "b": 3})}
    result = run(session, nodes, targets=["a", "b"])
    [error] = result.errors
    assert error.problem.node == "a"
    assert "SIGSEGV" in str(error)
    assert result.outputs == {"b.number": 5}


def test_the_exit_code_is_told(session: Session) -> None:
    [error] = run(session, {"a": ("far:Leave", {})}).errors
    assert "it exited with code 3" in str(error)


def test_calls_beside_one_that_crashes_run_again(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "go"
    waiting, results = in_thread(lambda: run(session, {"a": ("far:Wait", {"file": str(file)})}))
    wait_for(tmp_path / "go.begun")
    (tmp_path / "go.begun").unlink()
    # The session takes turns, so what crashes is called as the engine calls it.
    crashing, errors = in_thread(lambda: error_of(session, "far:Crash"))
    wait_for(tmp_path / "go.begun")
    file.touch()
    for thread in (waiting, crashing):
        thread.join()
    assert results[0].outputs == {"a.number": 1}
    assert "SIGSEGV" in errors[0]


def error_of(session: Session, node_type: str) -> str:
    """What the function of a node type raises."""
    try:
        session.registry.definition(node_type).function(nodegraph_context=PlainContext(session))
    except PackError as error:
        return str(error)
    return ""


class PlainContext:
    """What a call needs of its context, outside of a run."""

    node, device, footprint = "a", "cpu", "full"

    def __init__(self, session: Session) -> None:
        self.environment = session.environment

    def check_cancelled(self, *, waits: bool = True) -> None:
        return

    def progress(self, step: int, total: int, *, preview: object = None) -> None:
        return


def test_a_cancelled_call_ends(session: Session, tmp_path: Path) -> None:
    cancel = CancelToken()
    number = number_of(session)
    thread, results = in_thread(
        lambda: run(session, {"a": ("far:Wait", {"file": str(tmp_path / "x")})}, cancel=cancel)
    )
    wait_for(tmp_path / "x.begun")
    cancel.cancel()
    thread.join()
    assert results[0].status == "cancelled"
    assert number_of(session) == number  # it needed no new process


def test_async_calls_run_after_one_that_was_cancelled(session: Session, tmp_path: Path) -> None:
    for turn in range(8):
        cancel, file = CancelToken(), tmp_path / str(turn)
        nodes = {"a": ("far:Report", {"file": str(file)})}
        thread, results = in_thread(partial(run, session, nodes, cancel=cancel))
        wait_for(file)
        cancel.cancel()
        thread.join()
        assert results[0].status == "cancelled"


def test_a_call_that_does_not_react_is_ended(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.isolation.pack_calls._GRACE", 0.05)
    cancel = CancelToken()
    number = number_of(session)
    thread, results = in_thread(
        lambda: run(session, {"a": ("far:Hang", {"file": str(tmp_path / "x")})}, cancel=cancel)
    )
    wait_for(tmp_path / "x.begun")
    cancel.cancel()
    thread.join()
    assert results[0].status == "cancelled"
    assert number_of(session) != number


def test_a_paused_call_waits(session: Session, tmp_path: Path) -> None:
    cancel = CancelToken()
    file = tmp_path / "x"
    thread, results = in_thread(
        lambda: run(session, {"a": ("far:Wait", {"file": str(file)})}, cancel=cancel)
    )
    wait_for(tmp_path / "x.begun")
    cancel.pause()
    while not cancel.waiting:
        Event().wait(0.005)
    file.touch()
    assert thread.is_alive()
    cancel.resume()
    thread.join()
    assert results[0].outputs == {"a.number": 1}


def test_values_that_a_process_held_are_made_again(session: Session) -> None:
    nodes = {"a": ("far:Hold", {}), "b": ("far:Look", {"held": {"from": "a.held"}, "value": 1})}
    first = run(session, nodes).outputs["b.number"]
    os.kill(number_of(session), signal.SIGKILL)
    while any(s.number for s in session.node_types.isolated.states() if s.pack == "far"):
        sleep(0.01)  # until the session knows; a call before that fails with the process
    nodes["b"] = ("far:Look", {"held": {"from": "a.held"}, "value": 2})
    assert run(session, nodes).outputs["b.number"] == first + 1


@pytest.mark.slow
def test_killed_at_any_moment_no_call_hangs(session: Session) -> None:
    """Each call ends with its result or says that the process ended."""
    draw = random.Random(7)
    definition = session.registry.definition("far:Add")
    context = PlainContext(session)
    stop = Event()

    def kill() -> None:
        while not stop.wait(draw.random() * 0.05):
            for state in session.node_types.isolated.states():
                if state.number is not None and state.pack == "far":
                    try:
                        os.kill(state.number, signal.SIGKILL)
                    except ProcessLookupError:
                        continue

    killer = Thread(target=kill)
    outcomes: list[Any] = []

    def call(at: int) -> None:
        for n in range(3):
            try:
                outcomes.append(
                    definition.function(a=at, b=n, nodegraph_context=context)[0] == at + n
                )
            except PackError:
                outcomes.append(None)

    callers = [Thread(target=call, args=(at,)) for at in range(4)]
    for thread in [killer, *callers]:
        thread.start()
    for thread in callers:
        thread.join()
    stop.set()
    killer.join()
    assert len(outcomes) == 12
    assert False not in outcomes


def test_an_idle_process_ends_and_comes_back(tmp_path: Path) -> None:
    pack = isolated(tmp_path, PACK)
    settings = Settings(home=tmp_path / "home", pack_idle_seconds=0.05)
    with Session(settings, packs=[pack]) as session:
        number = number_of(session)
        while psutil.pid_exists(number):
            Event().wait(0.01)
        assert number_of(session) != number


def test_processes_end_with_their_session(tmp_path: Path) -> None:
    with Session(Settings(home=tmp_path / "home"), packs=[isolated(tmp_path, PACK)]) as session:
        number = number_of(session)
    assert not psutil.pid_exists(number)


_PARENT = """
import sys, time
from pathlib import Path
from nodegraph import Session, Settings
from tests.isolation.packs import isolated, run
from tests.packs.installing import operations, write
from tests.isolation.test_processes import PACK
folder = Path(sys.argv[1])
session = Session(Settings(home=folder / "home"), packs=[isolated(folder, PACK)])
print(run(session, {"a": ("far:Process", {})}).outputs["a.number"], flush=True)
time.sleep(600)
"""


def test_no_process_outlives_a_killed_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        parent.kill()
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        Event().wait(0.01)


def test_a_pack_that_crashes_at_import_is_not_started_in_a_loop(tmp_path: Path) -> None:
    text = (
        HEADER
        + "Path(__file__).parents[1].joinpath('starts').open('a').write('x')\nctypes.string_at(0)\n"
    )
    pack = isolated(tmp_path, text)
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as session:
        assert "SIGSEGV" in session.registry.problems[0]
        for _ in range(4):
            session.node_types._read()
        assert (tmp_path / "starts").read_text() == "xx"
        (pack.root / "__init__.py").write_text(PACK)
        assert run(session, {"a": ("far:Add", {"a": 1, "b": 1})}).outputs["a.number"] == 2


def test_an_edit_counts_at_the_next_run(tmp_path: Path) -> None:
    text = HEADER + '@node\ndef Get(a: int = 1) -> int:\n    """Get."""\n    return a + %d\n'
    pack = isolated(tmp_path, text % 1)
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as session:
        nodes = {"a": ("far:Get", {"a": 1})}
        assert run(session, nodes).outputs["a.number"] == 2
        isolated(tmp_path, text % 5)
        assert run(session, nodes).outputs["a.number"] == 6


def test_a_value_from_before_an_edit_takes_none_along(tmp_path: Path) -> None:
    with Session(Settings(home=tmp_path / "home"), packs=[isolated(tmp_path, PACK)]) as session:
        nodes = {"a": ("far:Hold", {}), "b": ("far:Look", {"held": {"from": "a.held"}})}
        result = run(session, nodes, targets=["a", "b"])
        before = result.outputs["a.held"]
        isolated(tmp_path, f"{PACK}\n# Edited.")
        result = run(session, nodes)
        del before
        gc.collect()
        nodes["b"][1]["value"] = 2
        again = run(session, nodes)
        assert again.outputs["b.number"] == result.outputs["b.number"] + 2
        assert again.nodes["a"].status == "cached"


def test_what_a_pack_prints_never_disturbs_it(tmp_path: Path) -> None:
    text = (
        HEADER
        + '@node\ndef Say(a: int = 1) -> int:\n    """Say."""\n    print("x" * 100)\n'
        + '    os.write(1, b"y" * 100)\n    return a\n'
    )
    with Session(Settings(home=tmp_path / "h"), packs=[isolated(tmp_path, text)]) as session:
        assert run(session, {"a": ("far:Say", {})}).outputs["a.number"] == 1
        number = session.node_types.isolated.states()[0].number
    assert number is not None


def test_what_a_pack_has_forked_ends_with_its_process(session: Session) -> None:
    number = run(session, {"a": ("far:Fork", {})}).outputs["a.number"]
    result = run(session, {"a": ("far:Crash", {})})
    assert "SIGSEGV" in str(result.errors[0])
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        Event().wait(0.01)


def test_a_forked_process_does_not_answer_for_the_packs(session: Session) -> None:
    assert run(session, {"a": ("far:ForkOn", {"a": 1})}).outputs["a.number"] == 2
    assert run(session, {"a": ("far:Add", {"a": 1, "b": 2})}).outputs["a.number"] == 3


def test_an_exit_ends_the_call_only(session: Session) -> None:
    number = number_of(session)
    result = run(session, {"a": ("far:Exit", {"a": 4})})
    assert "SystemExit: 4" in str(result.errors[0])
    assert number_of(session) == number


@pytest.mark.slow
def test_a_pack_that_hangs_at_import_is_left_out(tmp_path: Path) -> None:
    hanging = isolated(tmp_path, HEADER + "time.sleep(600)\n")
    good = isolated(tmp_path, PACK, "good")
    # Its process gets four fifths of that to import it; the good one's may take long to start.
    settings = Settings(home=tmp_path / "home", import_seconds=20.0)
    with Session(settings, packs=[hanging, good]) as session:
        assert run(session, {"a": ("good:Add", {"a": 1, "b": 2})}).outputs["a.number"] == 3
        assert "it took longer than 16 s" in " ".join(session.registry.problems)


HANGING = """
from pathlib import Path
from nodegraph import node

(Path(__file__).parent.parent / "imported").touch()
while True:
    pass
"""


@pytest.mark.slow
def test_an_import_that_takes_too_long_is_remembered(tmp_path: Path) -> None:
    """By all processes, until the pack changes or somebody says to try again."""
    root = tmp_path / "project" / "slow_one"
    write(root, {"__init__.py": HANGING, "nodes.py": SAID})
    home = tmp_path / "home"
    operations(home).add(str(root), InstallOptions(isolated=True))
    imported = root.parent / "imported"

    def problems(seconds: float = 5.0) -> str:
        imported.unlink(missing_ok=True)
        settings = Settings(home=home, import_seconds=seconds, leave_out=("diffusers",))
        with Session(settings) as session:
            return " ".join(session.registry.problems)

    assert "it took longer than 4 s" in problems(5.0)
    again = problems(5.0)
    assert not imported.exists()
    assert "it took longer than 4 s" in again
    assert "or by `nodegraph pack update slow_one`" in again
    os.utime(root / "nodes.py")
    assert "not loaded until" in problems(5.0)
    # Each of these has it tried again.
    assert "it took longer than 8 s" in problems(10.0)
    assert operations(home).update("slow_one") is None
    assert "not loaded" not in problems(5.0)
    (root / "__init__.py").write_text("")
    assert problems(60.0) == ""


SAID = '''
from nodegraph import node

@node
def Say(text: str = "x") -> str:
    """Say it."""
    return text
'''
