"""Parse modules of a package, and find its pipeline classes and their bases."""

from __future__ import annotations

import ast
import gc
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOME = "pipelines"
"""The folder of the package that pipelines are in. What they inherit from other folders is how
they are loaded and saved, not what they take."""

_ROOT = "DiffusionPipeline"
"""The class that makes a pipeline of another: one of diffusers, written for torch."""


@dataclass(frozen=True, slots=True, eq=False)
class PipelineSource:
    """A pipeline class as it stands in the source.

    Attributes:
        lineage: Itself, then what it stands on, nearest first, without the root of them all.
        call: The ``__call__`` it has, perhaps of another class.
        call_class: The class that this one is from.
    """

    package: SourcePackage
    lineage: tuple[ClassSource, ...]
    call: ast.FunctionDef
    call_class: ClassSource

    @property
    def own(self) -> ClassSource:
        return self.lineage[0]

    def method(self, name: str) -> tuple[ClassSource, ast.FunctionDef] | None:
        """A method and the class that it is from."""
        for source in self.lineage:
            if (function := source.methods.get(name)) is not None:
                return source, function
        return None

    def attribute(self, name: str) -> ast.expr | None:
        """A value of the class's body, or of one it stands on."""
        for source in self.lineage:
            if (value := source.attribute(name)) is not None:
                return value
        return None


def pipeline_source(package: SourcePackage, source: ClassSource) -> PipelineSource | None:
    """A class as a pipeline; None if it is none, or can't be called."""
    lineage = list(_lineage(package, source))
    if source.name == _ROOT or lineage[-1].name != _ROOT:
        return None
    kept = tuple(item for item in lineage if item.name != _ROOT)
    for item in kept:
        if (call := item.methods.get("__call__")) is not None:
            return PipelineSource(package, kept, call, item)
    return None


def every_pipeline(package: SourcePackage) -> Iterator[PipelineSource]:
    """All pipelines of a package, in the order of their files."""
    for module in package.modules_with("Pipeline", HOME):
        for definition in list(module.definitions.values()):
            if isinstance(definition, ast.ClassDef) and definition.bases:
                pipeline = pipeline_source(package, ClassSource(module, definition))
                if pipeline is not None:
                    yield pipeline


def named_pipeline(package: SourcePackage, name: str) -> PipelineSource | None:
    """The pipeline of a name; only files that define a class of that name are parsed."""
    for module in package.modules_with(f"class {name}", HOME):
        definition = module.definitions.get(name)
        if isinstance(definition, ast.ClassDef):
            pipeline = pipeline_source(package, ClassSource(module, definition))
            if pipeline is not None:
                return pipeline
    return None


def _lineage(package: SourcePackage, source: ClassSource) -> Iterator[ClassSource]:
    """A class and all it stands on in the folder of pipelines, the root last if it is among them.

    Depth first, each once: Python's own order differs only where a class is reached by two ways,
    and a mixin of pipelines overrides nothing that is read here.
    """
    visited: set[str] = set()
    root: ClassSource | None = None
    todo = [source]
    while todo:
        item = todo.pop(0)
        if item.name in visited:
            continue
        visited.add(item.name)
        if item.name == _ROOT:
            root = item
            continue
        yield item
        bases = [_base(package, item, base) for base in item.node.bases]
        todo = [base for base in bases if base is not None] + todo
    if root is not None:
        yield root


def _base(package: SourcePackage, source: ClassSource, base: ast.expr) -> ClassSource | None:
    name = ast.unparse(base).rpartition(".")[2]
    target = source.module.imports.get(name, ("", ""))[0]
    if target and not _worth_reading(package, target):
        return None
    return package.find_class(source.module, name)


def _worth_reading(package: SourcePackage, target: str) -> bool:
    """Whether a base from a module can be a pipeline: mixins of loaders are long and never are."""
    return target == package.name or target.startswith(f"{package.name}.{HOME}")


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr
"""What a name at the top of a module stands for: a class, a function, or the value given to it."""

_KEPT = 160
"""Trees of modules kept at a time, about half a megabyte each."""

_DEEPEST = 12
"""Imports that are followed for one name, so that modules importing each other end."""


@dataclass(slots=True, eq=False)
class SourceModule:
    """A file that was read.

    Attributes:
        name: Dotted, from the package on: ``diffusers.pipelines.wan.pipeline_wan``.
        definitions: By the name at the top of the module, those under ``if`` and ``try`` too.
        imports: Local name to (module, name in it); the second is empty for a module itself.
        stars: Modules of which everything is imported.
    """

    name: str
    path: Path
    tree: ast.Module
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    @property
    def package(self) -> str:
        """Where its relative imports start from."""
        if self.path.name == "__init__.py":
            return self.name
        return self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True, eq=False)
class ClassSource:
    """A class and the module that it stands in, in whose names its own are to be read.

    Attributes:
        methods: Those it defines itself, by name; the last of a name, as Python has it.
    """

    module: SourceModule
    node: ast.ClassDef
    methods: dict[str, ast.FunctionDef] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in top_statements(self.node.body):
            if isinstance(item, ast.FunctionDef):
                self.methods[item.name] = item

    @property
    def name(self) -> str:
        return self.node.name

    def attribute(self, name: str) -> ast.expr | None:
        """The value that its body gives to a name."""
        last_value: ast.expr | None = None
        for item in self.node.body:
            for target, value in assigned(item):
                if target == name:
                    last_value = value
        return last_value


class SourcePackage:
    """A folder of Python files that is a package.

    Attributes:
        folder: Holds its ``__init__.py``.
        broken: Module name to what is wrong with its file; such a module is as if it weren't there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.broken: dict[str, str] = {}
        self._read: OrderedDict[str, SourceModule] = OrderedDict()

    def names(self, under: str = "") -> Iterator[str]:
        """Dotted names of its modules, or of those in one of its folders, sorted by path."""
        for path in sorted((self.folder / under).rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            kept = parts[:-1] if parts[-1] == "__init__" else parts
            yield ".".join((self.name, *kept))

    def path(self, name: str) -> Path | None:
        """The file of a module; None where the package has none of that name."""
        head, *parts = name.split(".")
        if head != self.name:
            return None
        base = self.folder.joinpath(*parts)
        for path in (base / "__init__.py", base.with_suffix(".py") if parts else base):
            if path.is_file():
                return path
        return None

    def module(self, name: str) -> SourceModule | None:
        """A module by its dotted name; None where there is none, or it can't be read."""
        if name in self.broken:
            return None
        if (known := self._read.get(name)) is not None:
            self._read.move_to_end(name)
            return known
        path = self.path(name)
        if path is None:
            return None
        try:
            tree = ast.parse(path.read_bytes(), str(path))
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
            self.broken[name] = f"{type(error).__name__}: {error}"
            return None
        module = SourceModule(name, path, tree)
        _fill(module)
        self._read[name] = module
        while len(self._read) > _KEPT:
            self._read.popitem(last=False)
        return module

    def find(
        self, module: SourceModule, name: str, depth: int = _DEEPEST
    ) -> tuple[SourceModule, Definition] | None:
        """What a name in a module stands for, through imports; None if it comes from elsewhere."""
        if depth <= 0:
            return None
        if (here := module.definitions.get(name)) is not None:
            if isinstance(here, ast.Name) and here.id != name:
                return self.find(module, here.id, depth - 1) or (module, here)
            return module, here
        if name in module.imports:
            target, original = module.imports[name]
            source = self.module(target) if original else None
            return self.find(source, original, depth - 1) if source else None
        for star in module.stars:
            source = self.module(star)
            if source and (definition := self.find(source, name, depth - 1)):
                return definition
        return None

    def find_class(self, module: SourceModule, name: str) -> ClassSource | None:
        """The class that a name in a module stands for."""
        definition = self.find(module, name)
        if definition and isinstance(definition[1], ast.ClassDef):
            return ClassSource(definition[0], definition[1])
        return None

    def modules_with(self, text: str, under: str = "") -> Iterator[SourceModule]:
        """Modules whose file contains a text: quicker to look for than to parse them all."""
        wanted = text.encode()
        for name in self.names(under):
            path = self.path(name)
            try:
                there = path is not None and wanted in path.read_bytes()
            except OSError:
                continue
            if there and (module := self.module(name)) is not None:
                yield module


def top_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body, and those under its conditions, whichever way they come out."""
    for item in body:
        yield item
        if isinstance(item, ast.If):
            yield from top_statements(item.body)
            yield from top_statements(item.orelse)
        elif isinstance(item, ast.Try):
            yield from top_statements(item.body)
            for handler in item.handlers:
                yield from top_statements(handler.body)
            yield from top_statements(item.orelse)
            yield from top_statements(item.finalbody)
        elif isinstance(item, ast.With):
            yield from top_statements(item.body)


def assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Names that a statement gives a value, with it."""
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value
        return
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as given):
            yield name, given


def absolute(module: SourceModule, statement: ast.ImportFrom) -> str:
    """The module that a ``from … import`` takes from, with its dots followed."""
    if not statement.level:
        return statement.module or ""
    parts = module.package.split(".")
    kept = parts[: len(parts) - statement.level + 1]
    return ".".join([*kept, statement.module] if statement.module else kept)


def walk(*nodes: ast.AST) -> list[ast.AST]:
    """Nodes and all below them, in the order of the source. Thrice as quick as `ast.walk`, and
    that is where most of the time of reading goes."""
    ordered: list[ast.AST] = []
    todo = list(reversed(nodes))
    while todo:
        node = todo.pop()
        ordered.append(node)
        below: list[ast.AST] = []
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                if value._fields:  # Load, Add and their like hold nothing
                    below.append(value)
            elif isinstance(value, list):
                below += [item for item in value if isinstance(item, ast.AST)]
        todo += reversed(below)
    return ordered


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the search for cycles: trees have none, and looking through them while they grow
    takes three times as long as reading them."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _fill(module: SourceModule) -> None:
    for item in top_statements(module.tree.body):
        if isinstance(item, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            module.definitions[item.name] = item
        elif isinstance(item, ast.ImportFrom):
            source = absolute(module, item)
            for alias in item.names:
                if alias.name == "*":
                    module.stars.append(source)
                else:
                    module.imports[alias.asname or alias.name] = (source, alias.name)
        elif isinstance(item, ast.Import):
            for alias in item.names:
                local = alias.asname or alias.name.split(".")[0]
                module.imports[local] = (alias.name if alias.asname else local, "")
        else:
            for name, value in assigned(item):
                module.definitions.setdefault(name, value)
