"""What holds for every test."""

from __future__ import annotations

import gc
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.models.remote.file_cache import trying_lock
from nodegraph.store.blobs import TransferSpeeds

pytest_plugins = [
    "tests.accelerator.fixtures",
    "tests.databases.fixtures",
    "tests.messages",
    "tests.selection",
    "tests.store.remote.s3_server",
]

# Before torch is loaded: tests in parallel share the cores, and threads that spin while they wait
# would keep each other out.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# To read every pipeline of the installed diffusers takes seconds, once for each new home folder
# whose node types are listed: tests of those do without this.
os.environ["NODEGRAPH_LEAVE_OUT"] = "diffusers"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Random numbers that a test draws without a seed are the same whatever ran before it."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if hasattr(sys.modules.get("torch"), "manual_seed"):
        sys.modules["torch"].manual_seed(0)


def pytest_collection_finish() -> None:
    """Don't search for garbage what stays to the end: thousands of tests, and torch.

    It would take a third of a second each time that something asks for a search.
    """
    gc.collect()
    gc.freeze()
    # What is looked through seldom costs a tenth less time, and some memory.
    gc.set_threshold(2000, 10, 100)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Also where the tests were begun in the background of a script, which lets it be ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds another one's results on disk."""
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path_factory.getbasetemp() / os.urandom(4).hex()))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one process of a run fills, for all of them to read.

    Args:
        name: Of the folder, among those of the run.
        make: Fills it; it isn't there yet.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, making = shared / name, shared / f"{name}-making"
    while not folder.exists():
        with trying_lock(shared / f"{name}.lock") as is_mine:
            if is_mine and not folder.exists():
                shutil.rmtree(making, ignore_errors=True)
                make(making)
                making.rename(folder)
        time.sleep(0.05)
    return folder


@pytest.fixture(scope="session")
def known_specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the built-in pack declares, as a home folder keeps it; to be copied into others.

    Else each session with a home of its own reads the pack.
    """
    from tests.server.hosting import read_packs

    return made_once(tmp_path_factory, "known-specs", read_packs) / "cache" / "specs"


_READ_PIPELINES = """
import pickle, sys
from pathlib import Path
from nodegraph import Session, Settings
home = Path(sys.argv[1])
registry = Session(Settings(home=home, leave_out=())).registry
assert registry.node_types() and not registry.problems, registry.problems
from nodegraph.interop.pipelines.source import read_catalog
(home / "pipelines.pickle").write_bytes(pickle.dumps(read_catalog()))
"""


@pytest.fixture(scope="session")
def known_pipelines(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> Path:
    """A home folder in which it is known what the built-in pack and that of diffusers declare.

    Beside it lies, as `pipelines.pickle`, what the latter is made of: see `pipelines_and_faults`.
    To read it takes seconds.
    """

    def read(home: Path) -> None:
        shutil.copytree(known_specs, home / "cache" / "specs")
        subprocess.run([sys.executable, "-c", _READ_PIPELINES, str(home)], check=True)

    return made_once(tmp_path_factory, "known-pipelines", read)


@pytest.fixture
def cheap_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call takes long enough for a large result to be worth a file.

    By the clock it is milliseconds that decide, and on a busy machine any call takes them.
    """
    monkeypatch.setattr(TransferSpeeds, "round_trip_seconds", lambda *_: 600.0)
