"""What holds for every test."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest

from nodegraph.store.speeds import Speeds

pytest_plugins = ["tests.accelerator.fixtures", "tests.databases.fixtures", "tests.selection"]

# Before torch is loaded: tests in parallel share the cores, and threads that spin while they wait
# would keep each other out.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# To read every pipeline of the installed diffusers takes seconds, once for each new home folder
# whose node types are listed: tests of those do without this.
os.environ["NODEGRAPH_LEAVE_OUT"] = "diffusers"


def pytest_collection_finish() -> None:
    """Don't search for garbage what stays to the end: thousands of tests, and torch.

    It would take a third of a second each time that something asks for a search.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Also where the tests were begun in the background of a script, which lets it be ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds another one's results on disk."""
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path_factory.getbasetemp() / os.urandom(4).hex()))


@pytest.fixture(scope="session")
def known_specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the built-in pack declares, as a home folder keeps it; to be copied into others.

    Else each session with a home of its own reads the pack.
    """
    from tests.server.hosting import read_packs

    home = tmp_path_factory.mktemp("known")
    read_packs(home)
    return home / "cache" / "specs"


@pytest.fixture
def cheap_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call takes long enough for a large result to be worth a file.

    By the clock it is milliseconds that decide, and on a busy machine any call takes them.
    """
    monkeypatch.setattr(Speeds, "there_and_back", lambda *_: 600.0)
