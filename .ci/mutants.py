"""How many changed statements the tests notice: one seeded sample before and after they change.

    # of what nodegraph/ and nodes/ have in both commits:
    python .ci/mutants.py sample SAMPLE --count 200 --seed 39 --before COMMIT
    python .ci/mutants.py mark SAMPLE CLONE    # let a clone note which test runs which of them
    (cd CLONE; MUTANT_HITS=FOLDER pytest -q --junitxml=RUN.xml)
    python .ci/mutants.py run SAMPLE CLONE RESULTS --hits FOLDER --times RUN.xml

A mutant is one expression or statement, replaced. It is killed where one of the tests that run it
fails. Clones are thrown away: `mark` and `run` write into their sources, as `git show HEAD:` has
them, and take their .venv.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDERS = ("nodegraph", "nodes")
MADE = ("nodegraph/client/blocking/",)
"""Written by a command: their source is tested instead."""
COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
OPERATORS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*"}
MOST_TESTS = 60
"""Tests tried for a mutant: those that run the fewest other mutants, so the nearest, first."""
LONGEST = 300
"""Seconds after which a mutant counts as killed: it waits for ever."""
RECORDER = """
import os
seen = set()
def hit(number):
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    if (number, test) not in seen and "MUTANT_HITS" in os.environ:
        seen.add((number, test))
        with open(os.path.join(os.environ["MUTANT_HITS"], str(os.getpid())), "a") as file:
            file.write(f"{number}\\t{test}\\n")
"""


@dataclass(frozen=True)
class Mutant:
    """Where in a file which bytes give way to which text."""

    path: str
    line: int
    start: int
    end: int
    text: str
    kind: str


class _Finder(ast.NodeVisitor):
    """All mutants of one file."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Mutant] = []

    def place(self, line: int, column: int) -> int:
        return self.starts[line - 1] + column

    def text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.source[start:end].decode()

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.place(node.lineno, node.col_offset),
            self.place(node.end_lineno, node.end_col_offset),
        )

    def add(self, node: ast.expr | ast.stmt, text: str, kind: str) -> None:
        self.found.append(Mutant(self.path, node.lineno, *self.span(node), text, kind))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        for statement in node.body:
            self.visit(statement)

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Texts are no behaviour here, and their parts have no places of their own before 3.12."""

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            return
        self.add(node.test, f"not ({self.text(node.test)})", "condition")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.add(node.test, f"(not ({self.text(node.test)}))", "condition")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        sign = COMPARISONS.get(type(node.ops[0]))
        if len(node.ops) == 1 and sign:
            left, right = self.text(node.left), self.text(node.comparators[0])
            self.add(node, f"(({left}) {sign} ({right}))", "comparison")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        sign = OPERATORS.get(type(node.op))
        texts = any(
            isinstance(side, ast.JoinedStr)
            or (isinstance(side, ast.Constant) and isinstance(side.value, str))
            for side in (node.left, node.right)
        )
        if sign and not texts:
            left, right = self.text(node.left), self.text(node.right)
            self.add(node, f"(({left}) {sign} ({right}))", "arithmetic")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        sign = " or " if isinstance(node.op, ast.And) else " and "
        self.add(node, f"({sign.join(f'({self.text(one)})' for one in node.values)})", "and, or")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, str(not node.value), "constant")
        elif isinstance(node.value, (int, float)):
            self.add(node, f"({node.value!r} + 1)", "constant")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (
            isinstance(node.value, ast.Constant) and node.value.value is None
        ):
            self.add(node.value, "None", "return")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.add(node, "None", "call left out")
        self.generic_visit(node)


def candidates(root: Path) -> list[Mutant]:
    """All mutants of the sources, in a fixed order."""
    found: list[Mutant] = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not name.startswith(MADE):
                finder = _Finder(name, path.read_bytes())
                finder.visit(ast.parse(finder.source))
                found += finder.found
    return found


def _changed(tree: Path, commit: str) -> list[str]:
    done = subprocess.run(
        ["git", "diff", "--name-only", commit], cwd=tree, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def _original(tree: Path, path: str) -> bytes:
    """A file's committed text, also where it was marked or changed."""
    return subprocess.run(
        ["git", "show", f"HEAD:{path}"], cwd=tree, check=True, capture_output=True
    ).stdout


class _Marker(ast.NodeTransformer):
    """Puts a note before each statement that holds a mutant's line."""

    def __init__(self, lines: dict[int, list[int]]) -> None:
        self.lines = lines

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                setattr(node, field, [part for one in body for part in self.marked(one)])
        return node

    def marked(self, node: ast.stmt) -> Iterator[ast.stmt]:
        head_end = node.end_lineno or node.lineno
        inner = getattr(node, "body", None)
        if isinstance(inner, list) and inner:
            head_end = max(node.lineno, min(one.lineno for one in inner) - 1)
        for line in range(node.lineno, head_end + 1):
            for number in self.lines.pop(line, ()):
                yield ast.parse(f"__hit__({number})").body[0]
        yield node


def mark(sample: list[Mutant], tree: Path) -> None:
    """Let each sampled statement of a clone note by which test it is run."""
    packages = next((tree / ".venv" / "lib").glob("python3*")) / "site-packages"
    (packages / "mutant_hits.py").write_text(RECORDER)
    of_file: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, mutant in enumerate(sample):
        of_file[mutant.path][mutant.line].append(number)
    for path, lines in of_file.items():
        module = ast.parse(_original(tree, path))
        marker = _Marker(lines)
        marker.visit(module)
        if lines:
            print(f"no place for a note: {path} {dict(lines)}", file=sys.stderr)
        future = [
            place
            for place, node in enumerate(module.body)
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        ]
        first = ast.get_docstring(module) is not None
        at = max([int(first), *(place + 1 for place in future)])
        module.body[at:at] = ast.parse("from mutant_hits import hit as __hit__").body
        (tree / path).write_text(ast.unparse(ast.fix_missing_locations(module)) + "\n")


def _times(report: Path) -> dict[str, float]:
    """Seconds of each test, by its id, of a JUnit report."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        found[f"{case.get('classname')}::{case.get('name')}"] = float(case.get("time") or 0)
    return found


def _tests_of(hits: Path) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for file in hits.iterdir():
        for line in file.read_text().splitlines():
            number, _, test = line.partition("\t")
            if test:
                found[int(number)].add(test)
    return found


def run(sample: list[Mutant], tree: Path, hits: Path, times: Path, out: Path, part: str) -> None:
    """Try each mutant against the tests that run it; results so far are kept and not made again."""
    took, tests_of = _times(times), _tests_of(hits)
    share = Counter(test for tests in tests_of.values() for test in tests)
    done = json.loads(out.read_text()) if out.exists() else {}
    turn, of = map(int, part.split("/"))
    for number, mutant in enumerate(sample):
        if str(number) in done or number % of != turn:
            continue

        def rank(test: str) -> tuple[int, float]:
            name = test.partition("::")
            key = f"{name[0].removesuffix('.py').replace('/', '.')}::{name[2]}"
            return share[test], took.get(key, 1.0)

        chosen = sorted(tests_of.get(number, ()), key=rank)[:MOST_TESTS]
        verdict = _verdict(mutant, tree, chosen) if chosen else "no test"
        done[str(number)] = {**asdict(mutant), "verdict": verdict, "tests": len(chosen)}
        out.write_text(json.dumps(done, indent=1))
        print(number, verdict, len(chosen), mutant.path, mutant.line, mutant.kind, flush=True)
    print(Counter(item["verdict"] for item in done.values()))


def _verdict(mutant: Mutant, tree: Path, tests: list[str]) -> str:
    source = _original(tree, mutant.path)
    changed = source[: mutant.start] + mutant.text.encode() + source[mutant.end :]
    (tree / mutant.path).write_bytes(changed)
    command = [str(tree / ".venv/bin/python"), "-m", "pytest", "-q", "-x", "-n", "0", *tests]
    try:
        ended = subprocess.run(
            [*command, "-p", "no:cacheprovider"],
            cwd=tree,
            check=False,
            capture_output=True,
            timeout=LONGEST,
            env={**os.environ, "CI": "true", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        return "killed"
    finally:
        (tree / mutant.path).write_bytes(source)
    return {0: "survived", 1: "killed", 2: "killed"}.get(ended.returncode, f"rc {ended.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("sample", "mark", "run"))
    parser.add_argument("sample", type=Path)
    parser.add_argument("tree", type=Path, nargs="?", default=Path())
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=39)
    parser.add_argument("--before", help="a commit; files that differ from its are left out")
    parser.add_argument("--hits", type=Path)
    parser.add_argument("--times", type=Path)
    parser.add_argument("--part", default="0/1", help="the mutants of one of several processes")
    given = parser.parse_args()
    if given.what == "sample":
        found = candidates(given.tree)
        if given.before:
            changed = {*_changed(given.tree, given.before)}
            found = [mutant for mutant in found if mutant.path not in changed]
        chosen = random.Random(given.seed).sample(found, given.count)
        given.sample.write_text(json.dumps([asdict(one) for one in chosen], indent=1))
        return
    sample = [Mutant(**item) for item in json.loads(given.sample.read_text())]
    if given.what == "mark":
        mark(sample, given.tree)
    else:
        run(sample, given.tree, given.hits, given.times, given.out, given.part)


if __name__ == "__main__":
    main()
