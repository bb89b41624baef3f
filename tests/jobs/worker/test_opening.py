"""What is imported while a worker has nothing to do."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodegraph.jobs.worker import startup as opening
from nodegraph.jobs.worker.startup import LIBRARIES, Preloader

PATIENCE = 60.0
OPENED = """
import os, sys
from nodegraph.jobs.supervisor.worker_spec import Launch
from nodegraph.jobs.worker.startup import open_role
launch = Launch(os.getpid(), "", "worker", {"home": sys.argv[1], "memory_cache": 5}, (), True)
with open_role(launch, None, None, None):
    print("torch" in sys.modules, "pydantic" in sys.modules, os.environ["GOMP_SPINCOUNT"])
"""

SET_BY_USERS = ("GOMP_", "OMP_", "NODEGRAPH_")

Begin = Callable[[Callable[[], bool], list[str]], Preloader]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Start one at once; it has ended before the next test, which it would freeze garbage for."""
    monkeypatch.setattr(opening, "_BUSY", 0.0)
    begun: list[Preloader] = []

    def begin(is_busy: Callable[[], bool], modules: list[str]) -> Preloader:
        begun.append(Preloader(is_busy, modules))
        begun[-1].start()
        return begun[-1]

    yield begin
    for each in begun:
        each.stop()
        each._thread.join(PATIENCE)
        assert not each._thread.is_alive()
    gc.unfreeze()


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three modules that can be imported, the second of which is broken."""
    names = [f"warmed_{name}_{time.monotonic_ns()}" for name in ("first", "broken", "last")]
    for name in names:
        text = "raise RuntimeError('no')" if "broken" in name else "DONE = True"
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return names


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


@pytest.mark.slow
def test_a_worker_limits_spinning_before_it_imports_torch_and_reads_settings_without_pydantic(
    tmp_path: Path,
) -> None:
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(SET_BY_USERS)
    }
    command = [sys.executable, "-c", OPENED, str(tmp_path)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "3000"]


def test_an_idle_worker_imports_what_jobs_will_need(modules: list[str], begin: Begin) -> None:
    begin(lambda: False, [modules[0], modules[2]])
    until(lambda: all(name in sys.modules for name in (modules[0], modules[2])))


@pytest.mark.slow
def test_jobs_have_no_garbage_collected_among_what_was_imported(
    modules: list[str], begin: Begin
) -> None:
    """With the libraries of models there, that takes a quarter of a second each time."""
    begin(lambda: False, modules[:1])
    until(lambda: modules[0] in sys.modules)
    imported = id(vars(sys.modules[modules[0]]))
    until(lambda: imported not in {id(each) for each in gc.get_objects()})


def test_nothing_is_imported_beside_a_job(modules: list[str], begin: Begin) -> None:
    asked = 0

    def is_busy() -> bool:
        nonlocal asked
        asked += 1
        return asked < 5

    begin(is_busy, modules[:1])
    until(lambda: asked >= 5)
    until(lambda: modules[0] in sys.modules)
    assert asked >= 5


def test_what_a_job_holds_meanwhile_is_not_put_aside(modules: list[str], begin: Begin) -> None:
    answers = iter([False])
    before = gc.get_freeze_count()
    it = begin(lambda: next(answers, True), modules[:1])
    it._thread.join(PATIENCE)
    assert modules[0] in sys.modules
    assert gc.get_freeze_count() <= before  # of what was put aside, some may be gone


def test_when_it_is_over_no_more_is_imported(modules: list[str], begin: Begin) -> None:
    it = begin(lambda: True, modules)
    it.stop()
    it._thread.join(PATIENCE)
    assert not any(name in sys.modules for name in modules)


def test_what_cannot_be_imported_harms_nobody(
    modules: list[str], begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    interval = sys.getswitchinterval()
    it = begin(lambda: False, modules[1:])
    it._thread.join(PATIENCE)
    assert "cannot be imported: no" in caplog.text
    assert sys.getswitchinterval() == interval


def test_the_modules_are_there() -> None:
    root = Path(opening.__file__).parents[3]
    assert all((root / f"{name.replace('.', '/')}.py").is_file() for name in LIBRARIES)
