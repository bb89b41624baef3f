"""What of the long part a change reaches, nearest first: for CI, which has no time for all of it.

    python -m tests.reach --base COMMIT --seconds 600 --out FILE    # for pytest --left-out

A test file is reached where it, its conftest modules or what they import, however far, was changed.
Fewest imports in between come first, then the quick ones. An example or workflow of the gallery is
reached where the code digest of one of its nodes covers a changed module.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import grimp

from nodegraph import Workflow
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from tests.durations import Durations

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "nodegraph": "nodegraph",
    "nodegraph_nodes": "nodes",
    "nodegraph_pipelines": "pipelines",
    "tests": "tests",
}
"""Import names, and the folders that they are made of."""
FOLDERS = {
    "editor/": ("tests/editor/",),
    "nodegraph/server/static/": ("tests/editor/",),
    "training/": ("tests/training/", "tests/test_project.py"),
    "benchmarks/": ("tests/test_benchmarks.py",),
    "docs/": ("tests/test_docs.py",),
}
"""Which tests changed files reach that nobody imports."""
WORKFLOWS = {
    "nodes/examples": "tests/nodes/test_examples.py::test_an_example_runs",
    "workflows": "tests/test_gallery.py::test_every_workflow_runs",
}
"""Folders of workflows, and the test that runs each of them by its name."""


def changed_since(base: str) -> list[str]:
    """Paths of files that differ from where HEAD left a commit's line, uncommitted ones, too."""
    start = _git("merge-base", base, "HEAD").strip()
    return _git("diff", "--name-only", start).splitlines()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def module_of(path: str) -> str | None:
    """The import name of a source file; None for other files."""
    for package, folder in PACKAGES.items():
        if path.startswith(f"{folder}/") and path.endswith(".py"):
            inner = path.removeprefix(f"{folder}/").removesuffix(".py")
            parts = [package, *inner.split("/")]
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return None


@cache
def _graph() -> grimp.ImportGraph:
    """All imports, and that a test needs the conftest modules of its folders."""
    graph = grimp.build_graph(*PACKAGES)
    for test in [name for name in graph.modules if _is_test(name)]:
        parts = test.split(".")
        for depth in range(1, len(parts)):
            conftest = ".".join([*parts[:depth], "conftest"])
            if conftest in graph.modules:
                graph.add_import(importer=test, imported=conftest)
    return graph


def distances(changed: Iterable[str]) -> dict[str, int]:
    """How many imports lie between changed modules and each test module that they reach."""
    graph = _graph()
    found: dict[str, int] = {name: 0 for name in changed if name in graph.modules}
    front = list(found)
    while front:
        reached: list[str] = []
        for module in front:
            for importer in sorted(graph.find_modules_that_directly_import(module)):
                if importer not in found:
                    found[importer] = found[module] + 1
                    reached.append(importer)
        front = reached
    return {name: far for name, far in found.items() if _is_test(name)}


def _is_test(module: str) -> bool:
    return module.startswith("tests.") and module.rpartition(".")[2].startswith("test_")


def reached_files(changed: Iterable[str], long: Mapping[str, float]) -> dict[str, int]:
    """Files with tests of the long part that a change reaches, with how far they are from it."""
    paths = list(changed)
    modules = [module for module in map(module_of, paths) if module]
    found = {f"{name.replace('.', '/')}.py": far for name, far in distances(modules).items()}
    for path in paths:
        for prefix, tests in FOLDERS.items():
            if path.startswith(prefix):
                found |= {file: 1 for file in long if file.startswith(tests)}
    return {file: far for file, far in found.items() if file in long}


def reached_workflows(changed: Iterable[str]) -> Iterator[str]:
    """Tests of the examples and workflows whose file was changed, or code that their nodes run."""
    paths = set(changed)
    modules = {module for module in map(module_of, paths) if module}
    registry = Registry([pack for pack in installed_packs() if not pack.name])
    reached = {
        name
        for name in registry.node_types()
        if not modules.isdisjoint(registry.code_modules(name))
    }
    for folder, test in WORKFLOWS.items():
        for file in sorted((ROOT / folder).glob("*.json")):
            workflow = Workflow.load(file)
            parts = [workflow.nodes, *(block.nodes for block in workflow.subgraphs.values())]
            types = {node.type for nodes in parts for node in nodes.values()}
            name = file.relative_to(ROOT).as_posix()
            if name in paths or not types.isdisjoint(reached):
                yield f"{test}[{file.stem}]"


def chosen(
    files: Mapping[str, int], workflows: Iterable[str], long: Mapping[str, float], seconds: float
) -> tuple[list[str], int]:
    """What fits into some seconds of tests, and how much of what is reached does not.

    Args:
        files: Reached test files, with how far they are from the change.
        workflows: Reached tests of workflows.
        long: What each file of the long part takes, in seconds.
        seconds: All that may be spent.
    """
    listed = list(workflows)
    by_file = {test.partition("::")[0] for test in WORKFLOWS.values()}
    wanted = [(far, long[file], file) for file, far in files.items() if file not in by_file]
    for file in sorted(by_file):
        tests = [test for test in listed if test.startswith(f"{file}::")]
        each = long.get(file, 60.0) / max(1, _count(file))
        wanted += [(2, each, test) for test in tests]
    taken: list[str] = []
    left = 0
    for _, took, name in sorted(wanted):
        if took <= seconds:
            seconds -= took
            taken.append(name)
        else:
            left += 1
    return taken, left


def _count(file: str) -> int:
    """How many workflows a test file runs."""
    (folder,) = [name for name, test in WORKFLOWS.items() if test.startswith(f"{file}::")]
    return len(list((ROOT / folder).glob("*.json")))


def main() -> None:
    """Write what pytest is to run, and print how much of what is reached that is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, help="a commit before the change")
    parser.add_argument("--seconds", type=float, default=600, help="how long it may take in all")
    parser.add_argument("--out", type=Path, required=True, help="a test or file a line")
    given = parser.parse_args()
    long = Durations.load().long
    changed = changed_since(given.base)
    processes = (os.cpu_count() or 1) + 1  # as in tests/selection.py
    taken, left = chosen(
        reached_files(changed, long), reached_workflows(changed), long, given.seconds * processes
    )
    given.out.write_text("".join(f"{name}\n" for name in taken))
    print(f"{len(changed)} files changed since {given.base}")  # noqa: T201 - a command
    print(f"of the long part they reach {len(taken) + left} files and workflows; {len(taken)} fit")  # noqa: T201


if __name__ == "__main__":
    main()
