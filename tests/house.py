"""Measure the shape of the code: folders, files, import circles, names.

    python -m tests.house            # print the figures beside those that are allowed
    python -m tests.house --write    # allow what is there now, where it is less
    python -m tests.house --list circles
    python -m tests.house --write --trips   # also the modules that a job and a command enter

Files are parsed, never imported. An import counts wherever it stands: at the top, inside a
function, under TYPE_CHECKING, or as the name of a module in a string.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import networkx

ROOT = Path(__file__).parents[1]
ALLOWED = Path(__file__).with_suffix(".json")
PACKAGES = {
    "nodegraph": "nodegraph",
    "nodes": "nodegraph_nodes",
    "pipelines": "nodegraph_pipelines",
}
"""Folders of the repository, and the packages that they are installed as."""
GENERATED = ("nodegraph/client/blocking/",)
SMALL = 100
"""Lines below which a module with one importer belongs into it."""
BANNED_NAMES = frozenset(
    re.findall(
        r"\w+",
        """
        asked asking beside churned classroom company forgetful found given heeding heeds hole
        ladder laid laws leading led lesson mends one place rest rung said seen shower still taught
        tells told wish wishes
        """,
    )
)
"""Words of a private dialect; docs/design.md has the field's terms."""
OF_OTHERS = frozenset(
    re.findall(
        r"[\w.]+",
        """
        ClipTokenWeightEncoder.encode_token_weights ImageOps.exif_transpose
        SDTokenizer.max_word_length beta_scheduler convert_hunyuan_image_to_diffusers.py
        convert_pixart_sigma_to_diffusers.py ddim_scheduler equalize_hist
        importlib.abc.MetaPathFinder kfd_topology.c load_textual_inversion match_histograms
        normal_scheduler offset_first_sigma_for_snr parse_prompt_attention processDynamicPrompt
        save_lora_weights structural_similarity token_weights tokenize_with_weights
        pointsOfLink Templates.file LoadTurboModel dpm2m fat my_family except
        """,
    )
)
"""Names in docstrings of other programs, of generated files, of the editor; and examples."""
HINTS = {
    "folders": "folders at the top of nodegraph/: let the new one lie in a room that is there",
    "files": "files in nodegraph/: write into the module that holds the concept",
    "circles": "modules that import each other: move what both need below them",
    "lone": f"modules under {SMALL} lines that one other imports: merge them into it",
    "longest": "lines of the longest file: look for a second noun in it",
    "named": "things with a name of the private dialect: use the field's term",
}
LISTED = ("folders", "circles", "lone", "named")
"""Figures whose parts `--list` shows."""
_MODULE = re.compile(r"nodegraph(?:\.\w+)+")


@dataclass(frozen=True)
class Module:
    """One parsed source file."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return self.text.count("\n")


def read_modules(root: Path = ROOT) -> dict[str, Module]:
    """All source files by dotted name, without generated ones."""
    modules = {}
    for folder, package in PACKAGES.items():
        for path in sorted((root / folder).rglob("*.py")):
            relative = path.relative_to(root)
            if relative.as_posix().startswith(GENERATED):
                continue
            parts = [package, *path.relative_to(root / folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            name = ".".join(parts)
            modules[name] = Module(name, relative, path.read_text("utf-8"))
    return modules


def imports_of(module: Module, modules: Mapping[str, Module]) -> set[str]:
    """The modules that one names, wherever in its text."""
    is_package = module.path.name == "__init__.py"
    named: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.name.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                child = f"{base}.{alias.name}"
                named.add(child if child in modules else base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.partition(":")[0]
            if _MODULE.fullmatch(text):
                named.add(text)
    return {name for name in named if name in modules and name != module.name}


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names that a file gives to functions, classes, arguments and variables, and their lines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno


def _written_names(tree: ast.AST) -> Iterator[str]:
    """All names that code says; texts that aren't docstrings may hold some."""
    for item in ast.walk(tree):
        match item:
            case ast.Name():
                yield item.id
            case ast.Attribute():
                yield item.attr
            case ast.arg() | ast.keyword() if item.arg:
                yield item.arg
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield item.name
            case ast.alias():
                yield from item.name.split(".")
                yield item.asname or ""
            case ast.Constant(value=str(text)) if "\n\n" not in text and "`" not in text:
                yield from re.findall(r"\w+", text)


def _section(text: str, name: str) -> Iterator[str]:
    """The names that a section of a docstring explains."""
    found = re.search(rf"^{name}:\n((?: .*\n?|\n)*)", text, re.M)
    for names in re.findall(r"^    (\*{0,2}\w[\w., *]*):", found[1] if found else "", re.M):
        yield from (one.strip(" *") for one in names.split(","))


def _documented(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for item in ast.walk(tree):
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield item, ast.get_docstring(item) or ""


def _parameters(item: ast.AST) -> set[str] | None:
    """Of a function, or of what makes an instance of a class; None if it takes any."""
    found: set[str] = set()
    for inner in item.body if isinstance(item, ast.ClassDef) else [item]:
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
            inner is item or inner.name in ("__init__", "__new__")
        ):
            if inner.args.kwarg is not None:
                return None
            found.update(one.arg for one in ast.walk(inner.args) if isinstance(one, ast.arg))
        elif isinstance(inner, ast.AnnAssign):
            found.add(ast.unparse(inner.target))
    return found


@dataclass
class House:
    """What is measured of the modules of nodegraph/, nodes/ and pipelines/."""

    modules: dict[str, Module]

    @cached_property
    def names(self) -> set[str]:
        """All that code names, and the folders and files."""
        names = set(dir(builtins))
        for module in self.modules.values():
            names.update(module.name.split("."), module.path.parts, _written_names(module.tree))
        return names

    def stale_names(self, module: Module) -> Iterator[str]:
        """What docstrings and comments name that isn't there: in backticks, arguments, errors."""
        for name in re.findall(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)", module.text):
            if name not in OF_OTHERS and not self.names.issuperset(name.split(".")):
                yield f"`{name}`"
        for item, text in _documented(module.tree):
            known = _parameters(item)
            if known is not None:
                yield from (f"argument {one}" for one in _section(text, "Args") if one not in known)
            for one in _section(text, "Raises"):
                if not self.names.issuperset(one.split(".")):
                    yield f"error {one}"

    @cached_property
    def imports(self) -> networkx.DiGraph:
        graph = networkx.DiGraph()
        graph.add_nodes_from(self.modules)
        for name, module in self.modules.items():
            graph.add_edges_from((name, other) for other in imports_of(module, self.modules))
        return graph

    @cached_property
    def folders(self) -> list[str]:
        """Folders at the top of nodegraph/."""
        return sorted(
            {
                module.path.parts[1]
                for module in self.modules.values()
                if module.path.parts[0] == "nodegraph" and len(module.path.parts) > 2
            }
        )

    @cached_property
    def circles(self) -> list[list[str]]:
        """Groups of modules that name each other, largest first."""
        groups = networkx.strongly_connected_components(self.imports)
        return sorted((sorted(group) for group in groups if len(group) > 1), key=len, reverse=True)

    @cached_property
    def lone(self) -> dict[str, str]:
        """Small modules that one other module imports, and that module."""
        importer = {}
        for name, module in self.modules.items():
            importers = list(self.imports.predecessors(name))
            if module.lines < SMALL and len(importers) == 1 and module.path.name != "__init__.py":
                importer[name] = importers[0]
        return importer

    @cached_property
    def longest(self) -> Module:
        return max(self.modules.values(), key=lambda module: module.lines)

    @cached_property
    def statements(self) -> int:
        return sum(
            isinstance(node, ast.stmt)
            for module in self.modules.values()
            for node in ast.walk(module.tree)
        )

    @cached_property
    def named(self) -> dict[str, list[str]]:
        """Where each word of the private dialect names something, modules included."""
        places: dict[str, list[str]] = {}
        for module in self.modules.values():
            for name, line in (*_names(module.tree), (module.path.stem, 1)):
                if (word := name.strip("_").lower()) in BANNED_NAMES:
                    places.setdefault(word, []).append(f"{module.path}:{line}")
        return places

    def figures(self) -> dict[str, int]:
        """The figures that may only fall; see `HINTS`."""
        return {
            "folders": len(self.folders),
            "files": sum(module.path.parts[0] == "nodegraph" for module in self.modules.values()),
            "circles": sum(map(len, self.circles)),
            "lone": len(self.lone),
            "longest": self.longest.lines,
            **{f"named {word}": len(places) for word, places in sorted(self.named.items())},
        }


def measure(root: Path = ROOT) -> House:
    return House(read_modules(root))


def modules_entered() -> dict[str, int]:
    """How many modules run from `nodegraph run` to an image, and from POST to *finished*."""
    script = ROOT / "benchmarks" / "trips.py"
    command = [sys.executable, script, "--json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {
        f"entered {row['what'].partition(':')[0]}": row["measured"]
        for row in rows
        if row["what"].endswith("modules entered")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trips", action="store_true", help="also run a command and a job")
    parser.add_argument("--write", action="store_true", help="keep smaller figures as the allowed")
    parser.add_argument("--list", choices=LISTED)
    options = parser.parse_args()
    house = measure()
    if options.list:
        print(json.dumps(getattr(house, options.list), indent=1))  # noqa: T201 - a command
        return
    allowed = json.loads(ALLOWED.read_text("utf-8")) if ALLOWED.exists() else {}
    figures = house.figures() | (modules_entered() if options.trips else {})
    for name, count in figures.items():
        print(f"{count:>8} {allowed.get(name, '-'):>8}  {name}")  # noqa: T201 - a command
    print(f"{house.statements:>8} {'':>8}  statements, the longest file is {house.longest.path}")  # noqa: T201 - a command
    if options.write:
        kept = {name: min(count, allowed.get(name, count)) for name, count in figures.items()}
        kept = {
            name: count for name, count in allowed.items() if name.startswith("entered ")
        } | kept
        ALLOWED.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
