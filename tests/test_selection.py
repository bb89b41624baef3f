"""A plain run says what it leaves out; naming something takes all of it; shards, order, times."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import durations, properties, selection
from tests.durations import Durations, grown, shard

QUICK = "def test_quick(): pass\n"
SLOW = "import pytest\n\n@pytest.mark.slow\ndef test_slow(): pass\n\n"
PROPERTY = """
from hypothesis import given, settings, strategies as st
from tests.properties import examples

@settings(max_examples=examples(200))
@given(st.integers())
def test_property(number): print("drawn")
"""
FILES = {
    "conftest.py": 'pytest_plugins = ["tests.selection"]\n',
    "__init__.py": "",
    "core/test_core.py": SLOW + QUICK,
    "core/test_drawn.py": PROPERTY,
    "core/test_more.py": QUICK,
    "editor/test_page.py": QUICK,
    "test_gallery.py": QUICK,
}
PLAIN = (
    "core/test_core.py::test_quick",
    "core/test_drawn.py::test_property",
    "core/test_more.py::test_quick",
    "test_gallery.py::test_quick",
)
LONG = (
    "core/test_core.py::test_slow",
    "core/test_drawn.py::test_property",
    "editor/test_page.py::test_quick",
)
KEPT = {
    "plain": {"tests/core/test_more.py": 1, "tests/test_gallery.py": 9},
    "long": {"tests/core/test_core.py": 4},
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
    for module in (selection, durations, properties):
        assert module.__file__ is not None
        shutil.copy(module.__file__, tmp_path / "tests")
    (tmp_path / "tests" / "durations.json").write_text(json.dumps(KEPT))
    (tmp_path / "pytest.ini").write_text(INI)
    return tmp_path


def run(project: Path, *arguments: str, fails: bool = False) -> tuple[list[str], str]:
    """The tests that passed, in the summary's order, and all that was printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    plugins = ["-p", "xdist", "-p", "_hypothesis_pytestplugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    passed = re.findall(r"^PASSED tests/(\S+)", done.stdout, re.MULTILINE)
    return passed, done.stdout + done.stderr


@pytest.mark.parametrize("processes", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_plain_run_says_what_it_left_out(project: Path, processes: str) -> None:
    passed, printed = run(project, "-n", processes)
    assert sorted(passed) == [*PLAIN]
    assert "tests/editor: it takes a browser" in printed
    assert "1 tests marked `slow` elsewhere" in printed
    assert "pytest --all" in printed
    assert printed.count("drawn\n") == 20


@pytest.mark.slow
def test_a_failure_with_half_a_surrogate_pair_is_shown(project: Path) -> None:
    halved = "def test_halved():\n    assert chr(0xD800) == 'b'\n"
    (project / "tests" / "core" / "test_more.py").write_text(halved)
    passed, printed = run(project, "-n", "2", fails=True)
    assert "FAILED tests/core/test_more.py::test_halved" in printed
    assert len(passed) == len(PLAIN) - 1


def test_the_long_part_runs_alone_or_with_the_rest_and_prints_its_seed(project: Path) -> None:
    rest, printed = run(project, "-n", "0", "--left-out")
    assert sorted(rest) == [*LONG]
    assert printed.count("drawn\n") == 200
    assert re.search(r"--hypothesis-seed=\d+ draws them again", printed)
    everything, printed = run(project, "-n", "0", "--all", "--hypothesis-seed=7")
    assert sorted(everything) == sorted({*PLAIN, *LONG})
    assert "--hypothesis-seed=7 draws them again" in printed


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("tests/core", 4),
        pytest.param("tests/editor", 1, marks=pytest.mark.slow),
        pytest.param("tests/core/test_core.py", 2, marks=pytest.mark.slow),
    ],
)
def test_whoever_names_something_gets_all_of_it(project: Path, name: str, count: int) -> None:
    passed, printed = run(project, "-n", "0", name)
    assert len(passed) == count
    assert "left out" not in printed


@pytest.mark.slow
def test_shards_together_are_the_long_part(project: Path) -> None:
    passed = [name for turn in "12" for name in run(project, "-n", "0", f"--shard={turn}/2")[0]]
    assert sorted(passed) == [*LONG]
    assert "I/N" in run(project, "-n", "0", "--shard=3/2", fails=True)[1]


def test_files_that_take_long_come_first_and_browsers_last(project: Path) -> None:
    _, printed = run(project, "-n", "1", "--all", "-v")
    order = re.findall(
        r"PASSED tests/(\S+)::\S+ *$", printed.partition("= PASSES")[0], re.MULTILINE
    )
    assert list(dict.fromkeys(order)) == [
        "test_gallery.py",
        "core/test_core.py",
        "core/test_more.py",
        "core/test_drawn.py",
        "editor/test_page.py",
    ]


def test_a_run_is_shuffled_by_its_seed_and_writes_its_times(project: Path) -> None:
    orders = []
    for processes, seed in ("01", "11", "02"):
        options = ("-v", f"--shuffle={seed}", f"--timings=run{processes}.json")
        _, printed = run(project, "-n", processes, *options)
        lines = printed.partition("= PASSES")[0]
        found = re.findall(r"PASSED tests/(\S+)|^tests/(\S+) PASSED", lines, re.MULTILINE)
        orders.append(["".join(names) for names in found])
    assert sorted(orders[0]) == [*PLAIN]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])
    for processes in "01":
        times = Durations.load(project / f"run{processes}.json")
        assert {*times.plain} == {f"tests/{name.partition('::')[0]}" for name in PLAIN}
        assert not times.long


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 20), max_size=12),
    st.lists(st.floats(0, 100), min_size=12, max_size=12),
    st.integers(1, 6),
)
def test_shards_share_all_tests_out_in_about_equal_time(
    counts: dict[str, int], seconds: list[float], of: int
) -> None:
    tests = {file: [f"{file}::{turn}" for turn in range(count)] for file, count in counts.items()}
    took = dict(zip(tests, seconds, strict=False))
    shards = shard(tests, took, of)
    assert len(shards) == of
    assert sorted(test for part in shards for test in part) == sorted(
        test for items in tests.values() for test in items
    )
    each = {test: took[file] / len(items) for file, items in tests.items() for test in items}
    loads = [sum(each[test] for test in part) for part in shards]
    longest = max([took[file] for file in tests], default=0.0)
    assert max(loads) <= sum(loads) / of + longest + 1e-6


def test_a_folder_whose_share_grew_by_half_is_noticed() -> None:
    kept = {"tests/a/test_1.py": 10.0, "tests/b/test_2.py": 30.0, "tests/b/test_3.py": 60.0}
    assert grown(kept, kept) == {}
    found = grown({**kept, "tests/a/test_1.py": 30.0}, kept)
    assert {name: share for name, (share, _) in found.items()} == {"tests/a": 0.25}
    assert grown({"tests/b/test_2.py": 90.0}, kept) == {}
