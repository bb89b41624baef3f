"""Which classes of a package are pipelines, and what each has from the classes it stands on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from nodegraph.interop.pipelines.reading.modules import ClassSource, SourcePackage

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
