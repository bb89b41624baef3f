"""What a plain run of all tests leaves out, and how to run that.

`pytest` alone is for whoever changes something: it takes minutes. What takes long (a browser,
training, servers that are killed over and over) runs with ``--all``, or alone with ``--left-out``;
and whoever names files or folders gets everything in them.
"""

from __future__ import annotations

import os
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
_MOST_PROCESSES = 8
_COUNT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nodegraph")
    group.addoption("--all", action="store_true", help="run the tests that take long, too")
    group.addoption("--left-out", action="store_true", help="run only those that take long")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process for each core; none besides this one for what is named file by file."""
    named = config.option.file_or_dir
    if named and all(".py" in name for name in named):
        return 0
    return min(os.cpu_count() or 1, _MOST_PROCESSES)


def _is_plain(config: pytest.Config) -> bool:
    if config.getoption("--all") or config.getoption("--left-out"):
        return False
    return all(Path(name).resolve() == HERE for name in config.option.file_or_dir)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_left_out = collection_path.parent == HERE and collection_path.name in FOLDERS
    return True if is_left_out and _is_plain(config) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--left-out"):
        unwanted = [item for item in items if not _takes_long(item)]
    elif _is_plain(config):
        unwanted = [item for item in items if _takes_long(item)]
        config.stash[_COUNT] = len(unwanted)
    else:
        return
    left = set(unwanted)
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=unwanted)


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
