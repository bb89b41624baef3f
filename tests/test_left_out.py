"""A plain run says what it leaves out; whoever names something gets all of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import left_out

QUICK = "def test_quick(): pass\n"
SLOW = "import pytest\n\n@pytest.mark.slow\ndef test_slow(): pass\n\n"
FILES = {
    "conftest.py": 'pytest_plugins = ["tests.left_out"]\n',
    "__init__.py": "",
    "core/test_core.py": SLOW + QUICK,
    "core/test_more.py": QUICK,
    "editor/test_page.py": QUICK,
    "test_gallery.py": QUICK,
}
INI = """[pytest]
testpaths = tests
addopts = -rA --no-loadscope-reorder --dist loadfile
markers =
    slow: slow
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A few tests with the same plugin."""
    for name, text in FILES.items():
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(left_out.__file__, tmp_path / "tests" / "left_out.py")
    (tmp_path / "pytest.ini").write_text(INI)
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[list[str], str]:
    """The tests that passed, in their order, and all that was printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"^PASSED tests/(\S+)", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_plain_run_says_what_it_left_out(project: Path, processes: str) -> None:
    passed, told = run(project, "-n", processes)
    assert sorted(passed) == [
        "core/test_core.py::test_quick",
        "core/test_more.py::test_quick",
        "test_gallery.py::test_quick",
    ]
    assert "tests/editor: it takes a browser" in told
    assert "1 tests marked `slow` elsewhere" in told
    assert "pytest --all" in told


def test_what_was_left_out_can_be_run_alone_or_with_the_rest(project: Path) -> None:
    rest, told = run(project, "-n", "0", "--left-out")
    assert rest == ["core/test_core.py::test_slow", "editor/test_page.py::test_quick"]
    assert "left out" not in told
    everything, _ = run(project, "-n", "0", "--all")
    assert len(everything) == 5


@pytest.mark.parametrize(
    ("name", "count"), [("tests/core", 3), ("tests/editor", 1), ("tests/core/test_core.py", 2)]
)
def test_whoever_names_something_gets_all_of_it(project: Path, name: str, count: int) -> None:
    passed, told = run(project, "-n", "0", name)
    assert len(passed) == count
    assert "left out" not in told


def test_files_that_take_long_come_first_and_browsers_last(project: Path) -> None:
    _, told = run(project, "-n", "1", "--all", "-v")
    order = re.findall(r"PASSED tests/(\S+)::\S+ *$", told.partition("= PASSES")[0], re.MULTILINE)
    assert list(dict.fromkeys(order)) == [
        "test_gallery.py",
        "core/test_core.py",
        "core/test_more.py",
        "editor/test_page.py",
    ]


def test_what_the_run_speaks_of_is_there() -> None:
    assert all((left_out.HERE / name).exists() for name in (*left_out.FOLDERS, *left_out.LONGEST))


def test_help_is_given(project: Path) -> None:
    assert "--left-out" in run(project, "-n", "auto", "--help")[1]
