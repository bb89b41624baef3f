"""What a plain run of all tests leaves out, and how to run that.

`pytest` alone is for whoever changes something: it takes minutes. What takes long (a browser,
training, servers that are killed over and over) runs with ``--all``, or alone with ``--left-out``;
and whoever names files or folders gets everything in them.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FOLDERS = {
    "adversarial": "people who edit and run for minutes",
    "editor": "a browser",
    "training": "the model's training and its drawings",
}
"""Left out as a whole, with what their tests take."""
LONGEST = (
    "test_benchmarks.py",
    "test_gallery.py",
    "cli/test_killed_run.py",
    "training/test_chain.py",
    "nodes/test_examples.py",
    "training/test_embedded_model.py",
    "adversarial/test_never_stale.py",
    "server/test_chaos.py",
    "jobs/cluster/test_ray.py",
    "training/test_evaluate.py",
    "server/test_merged_jobs.py",
    "store/remote/test_jobs.py",
    "server/test_shared_queue.py",
    "server/test_sampling_killed.py",
    "editor/test_keyboard.py",
    "editor/test_editing.py",
    "editor/test_files.py",
    "editor/test_quality.py",
    "editor/test_recovery.py",
    "editor/test_ways.py",
    "editor/test_pictures_first.py",
    "editor/test_running.py",
    "editor/test_languages.py",
)
"""Files that take half a minute or more for few tests. They come first, and those with a browser,
which are many, last, of these again the longest first: so all processes end together.
"""
_MOST_PROCESSES = 8
_COUNT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nodegraph")
    group.addoption("--all", action="store_true", help="run the tests that take long, too")
    group.addoption("--left-out", action="store_true", help="run only those that take long")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One for each core, and one more, as many tests wait for servers and processes of theirs.

    None besides this one for what is named file by file.
    """
    named = getattr(config.option, "file_or_dir", None)  # there are none where `--help` is asked
    if named and all(".py" in name for name in named):
        return 0
    return min((os.cpu_count() or 1) + 1, _MOST_PROCESSES)


def _is_plain(config: pytest.Config) -> bool:
    if config.getoption("--all") or config.getoption("--left-out"):
        return False
    return all(Path(name).resolve() == HERE for name in config.option.file_or_dir)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if config.getoption("--left-out"):
        return True if _is_quick(collection_path) else None
    is_left_out = collection_path.parent == HERE and collection_path.name in FOLDERS
    return True if is_left_out and _is_plain(config) else None


def _is_quick(path: Path) -> bool:
    """Whether a file has no tests that take long: they needn't be collected to know it."""
    is_test = path.name.startswith("test_") and path.suffix == ".py"
    return is_test and path.relative_to(HERE).parts[0] not in FOLDERS and not _tells(path)


def _tells(path: Path) -> bool:
    """Whether a file says that something in it takes long."""
    return "mark.slow" in path.read_text(encoding="utf-8")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--left-out"):
        unwanted = [item for item in items if not _takes_long(item)]
    elif _is_plain(config):
        unwanted = [item for item in items if _takes_long(item)]
        config.stash[_COUNT] = len(unwanted)
        for path in {item.path for item in unwanted}:
            if not _tells(path):
                raise pytest.UsageError(f"{path}: say `mark.slow` here, or `--left-out` misses it")
    else:
        return
    left = set(unwanted)
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=unwanted)


class LongestFirst:
    """In which order files are handed out where several processes run them."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        counts = Counter(item.path for item in items)

        def rank(item: pytest.Item) -> tuple[bool, int, int]:
            name = item.nodeid.partition("::")[0].removeprefix("tests/")
            turn = LONGEST.index(name) if name in LONGEST else len(LONGEST)
            return name.startswith("editor/"), turn, -counts[item.path]

        items.sort(key=rank)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(LongestFirst())


def _takes_long(item: pytest.Item) -> bool:
    folder = item.path.relative_to(HERE).parts[0]
    return folder in FOLDERS or item.get_closest_marker("slow") is not None


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash.get(_COUNT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process of several left out; each collects all."""
    node.config.stash[_COUNT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not _is_plain(config):
        return
    terminalreporter.section("left out")
    for name, what in FOLDERS.items():
        terminalreporter.line(f"tests/{name}: it takes {what}")
    terminalreporter.line(f"{config.stash.get(_COUNT, 0)} tests marked `slow` elsewhere")
    terminalreporter.line("Run everything with: pytest --all (or only these: pytest --left-out)")
