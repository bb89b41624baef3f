"""Which tests a run takes, in which order, and by how many processes.

`pytest` alone is for whoever changes something: it takes minutes. The *long part* is what takes
long (a browser, training, servers that are killed over and over), and all property tests with many
examples. It runs with ``--all``, or alone with ``--left-out``, whole or a ``--shard`` of it; naming
files or folders takes everything in them.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.text_format import to_well_formed
from tests.durations import Durations, shard
from tests.properties import load_profile

HERE = Path(__file__).parent
FOLDERS = {
    "adversarial": "people who edit and run for minutes",
    "editor": "a browser",
    "training": "the model's training and its drawings",
}
"""In the long part as a whole, with what their tests take."""
_MOST_PROCESSES = 8
_COUNT = pytest.StashKey[int]()
_LONG = "takes_long"
"""A report's property by which the process that writes the figures knows the test's part."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nodegraph")
    add = group.addoption
    add("--all", action="store_true", help="run the long part, too")
    add("--left-out", action="store_true", help="run only the long part")
    # Their values are written with `=`: else pytest takes them for paths before it knows these.
    add("--shard", metavar="I/N", help="run one of N shards of the long part: 1/N to N/N")
    add("--shuffle", type=int, metavar="SEED", help="take files and their tests in random order")
    add("--timings", type=Path, metavar="FILE", help="write the seconds of each test file")


def _is_thorough(config: pytest.Config) -> bool:
    return bool(config.getoption("--all") or config.getoption("--left-out"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--shard"):
        config.option.left_out = True
        _shard_of(config)
    thorough = _is_thorough(config)
    if thorough and getattr(config.option, "hypothesis_seed", "") is None:
        # Drawn here, so that it can be printed, and that all processes draw by one.
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))
    load_profile(thorough=thorough)
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(LongestFirst())


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = []
    if _is_thorough(config):
        seed = getattr(config.option, "hypothesis_seed", None)
        lines.append(f"property tests: thorough; --hypothesis-seed={seed} draws them again")
    if config.getoption("--shuffle") is not None:
        lines.append(f"shuffled by {config.getoption('--shuffle')}")
    return lines


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One for each core, and one more, as many tests wait for servers and processes of theirs.

    None besides this one for what is named file by file.
    """
    named = getattr(config.option, "file_or_dir", None)  # there are none where `--help` is asked
    if named and all(".py" in name for name in named):
        return 0
    return min((os.cpu_count() or 1) + 1, _MOST_PROCESSES)


def _is_plain(config: pytest.Config) -> bool:
    if _is_thorough(config):
        return False
    return all(Path(name).resolve() == HERE for name in config.option.file_or_dir)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_long = collection_path.parent == HERE and collection_path.name in FOLDERS
    return True if is_long and _is_plain(config) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--left-out"):
        wanted = [item for item in items if _is_long(item) or _is_property(item)]
        if config.getoption("--shard"):
            turn, of = _shard_of(config)
            chosen = shard(_by_file(wanted), Durations.load().long, of)[turn - 1]
            wanted = [item for item in wanted if item in chosen]
    elif _is_plain(config):
        wanted = [item for item in items if not _is_long(item)]
        config.stash[_COUNT] = len(items) - len(wanted)
    else:
        wanted = items
    kept = set(wanted)
    left = [item for item in items if item not in kept]
    items[:] = wanted
    if left:
        config.hook.pytest_deselected(items=left)
    if config.getoption("--shuffle") is not None:
        _shuffle(items, config.getoption("--shuffle"))


def _shard_of(config: pytest.Config) -> tuple[int, int]:
    text = config.getoption("--shard")
    turn, _, of = text.partition("/")
    if not (turn.isdecimal() and of.isdecimal() and 1 <= int(turn) <= int(of)):
        raise pytest.UsageError(f"--shard takes I/N with 1 <= I <= N, such as 3/10 (given: {text})")
    return int(turn), int(of)


def _by_file(items: list[pytest.Item]) -> dict[str, list[pytest.Item]]:
    files: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[_file(item.nodeid)].append(item)
    return files


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _shuffle(items: list[pytest.Item], seed: int) -> None:
    """Files in random order, and the tests in each: a file's own fixtures are still made once."""
    source = random.Random(seed)
    files = list(_by_file(items).values())
    source.shuffle(files)
    for tests in files:
        source.shuffle(tests)
    items[:] = [item for tests in files for item in tests]


class LongestFirst:
    """In which order files are handed out where several processes run them.

    The longest first, so that no process is left with one at the end. Those with a browser come
    after the others, the longest of them first, too: several browsers beside each other are slow
    from the first to the last, and this way all of them end together.
    """

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        if config.getoption("--shuffle") is not None:
            return
        kept = Durations.load()
        thorough = _is_thorough(config)

        def rank(item: pytest.Item) -> tuple[bool, float]:
            file = _file(item.nodeid)
            seconds = kept.of(file) if thorough else kept.plain.get(file, 0.0)
            return file.startswith("tests/editor/"), -seconds

        items.sort(key=rank)


def _is_long(item: pytest.Item) -> bool:
    folder = item.path.relative_to(HERE).parts[0]
    return folder in FOLDERS or item.get_closest_marker("slow") is not None


def _is_property(item: pytest.Item) -> bool:
    # Its marker is set by a hook of the same name, perhaps after ours.
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _is_long(item) or (_is_property(item) and _is_thorough(item.config)):
        item.user_properties.append((_LONG, True))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any], dict[str, Any]]:
    """A failure that shows half a surrogate pair reaches the process that prints it.

    xdist sends reports as UTF-8, and would end the run without a word on the test.
    """
    data = yield
    if not data or data.get("outcome") != "failed":
        return data
    return {
        **data,
        **{name: to_well_formed(data[name]) for name in ("longrepr", "sections") if name in data},
    }


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
    if config.getoption("--timings"):
        _timings(terminalreporter).save(config.getoption("--timings"))
    if not _is_plain(config):
        return
    terminalreporter.section("left out")
    for name, what in FOLDERS.items():
        terminalreporter.line(f"tests/{name}: it takes {what}")
    terminalreporter.line(f"{config.stash.get(_COUNT, 0)} tests marked `slow` elsewhere")
    terminalreporter.line("Run everything with: pytest --all (or only these: pytest --left-out)")


def _timings(reporter: pytest.TerminalReporter) -> Durations:
    """The seconds of each file, of the reports of all processes."""
    found = Durations()
    for report in (report for reports in reporter.stats.values() for report in reports):
        if isinstance(report, pytest.TestReport):
            is_long = (_LONG, True) in map(tuple, report.user_properties)
            part = found.long if is_long else found.plain
            file = _file(report.nodeid)
            part[file] = part.get(file, 0.0) + report.duration
    return found
