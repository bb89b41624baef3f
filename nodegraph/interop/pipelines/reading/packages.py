"""Packages that a pipeline needs besides those that diffusers always does."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from nodegraph.interop.pipelines.reading.lineage import PipelineSource
from nodegraph.interop.pipelines.reading.modules import (
    SourceModule,
    SourcePackage,
    top_statements,
    walk,
)

_CHECK = re.compile(r"\bis_(\w+)_available\(\)")

_IMPORTED_AS = {
    # What is_X_available asks for, where that isn't how it is imported.
    "opencv": "cv2",
    "onnx": "onnxruntime",
    "invisible_watermark": "imwatermark",
}

_ALWAYS_THERE = frozenset(
    {
        "diffusers",
        "torch",
        "transformers",
        "numpy",
        "PIL",
        "regex",
        "tqdm",
        "packaging",
        "safetensors",
        "huggingface_hub",
        "filelock",
        "requests",
        "httpx",
        "importlib_metadata",
        "typing_extensions",
        "accelerate",
    }
)
"""Diffusers' own requirements, and those of nodegraph."""

_OTHER_DEVICES = frozenset({"torch_xla", "torch_npu", "torch_mlu", "torch_neuronx"})


class PackageNeeds:
    """What the pipelines of a package need; each of its modules is looked through once."""

    def __init__(self, package: SourcePackage) -> None:
        self._package = package
        self._guards: dict[str, dict[str, tuple[str, ...]]] = {}
        self._modules: dict[str, frozenset[str]] = {}

    def of(self, source: PipelineSource) -> tuple[str, ...]:
        """Names, as they are imported, of packages without which a pipeline can't be imported or
        fails in the middle of a call.

        They are: what the package hides the class for, what its modules import at the top, and
        what they import only if it is there and then use without asking again.
        """
        packages: set[str] = set()
        for item in source.lineage:
            packages |= self._hidden_for(item.module.name, item.name)
            packages |= self._of_module(item.module)
        kept = packages - _ALWAYS_THERE - _OTHER_DEVICES - sys.stdlib_module_names
        return tuple(sorted(kept - {self._package.name, ""}))

    def _of_module(self, module: SourceModule) -> frozenset[str]:
        if module.name not in self._modules:
            imported = {*_imported_anyway(module), *_used_unasked(module)}
            self._modules[module.name] = frozenset(imported)
        return self._modules[module.name]

    def _hidden_for(self, module: str, name: str) -> set[str]:
        """Packages for which the ``__init__`` of a folder that its module is in hides a class."""
        packages: set[str] = set()
        parts = module.split(".")
        for end in range(1, len(parts)):
            folder = ".".join(parts[:end])
            if folder not in self._guards:
                read = self._package.module(folder)
                self._guards[folder] = dict(_hidden_for(read)) if read else {}
            packages |= set(self._guards.get(folder, {}).get(name, ()))
        return packages


def _hidden_for(module: SourceModule) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What a module offers only if packages are there: ``try: if not is_x_available(): raise …
    else: names``."""
    for item in module.tree.body:
        if not isinstance(item, ast.Try) or not item.orelse:
            continue
        conditions = [ast.unparse(part.test) for part in item.body if isinstance(part, ast.If)]
        packages = tuple(
            _IMPORTED_AS.get(name, name) for text in conditions for name in _CHECK.findall(text)
        )
        if packages:
            for statement in item.orelse:
                for node in walk(statement):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield node.value, packages


def _imported_anyway(module: SourceModule) -> Iterator[str]:
    for item in module.tree.body:
        if isinstance(item, ast.Import):
            yield from (alias.name.split(".")[0] for alias in item.names)
        elif isinstance(item, ast.ImportFrom) and not item.level and item.module:
            yield item.module.split(".")[0]


def _used_unasked(module: SourceModule) -> Iterator[str]:
    """Packages that are imported if they are there, and used as if they were.

    A question anywhere in the module's functions counts: whoever calls the one that uses it may
    ask for it. So does a flag that is set where it is imported.
    """
    names_used: set[str] | None = None
    for item in module.tree.body:
        if not isinstance(item, ast.If) or not _CHECK.search(ast.unparse(item.test)):
            continue
        names = _names_imported(item)
        if not names:
            continue
        questions = {f"is_{name}_available" for name in _CHECK.findall(ast.unparse(item.test))}
        questions |= {
            target.id
            for part in top_statements(item.body)
            if isinstance(part, ast.Assign)
            for target in part.targets
            if isinstance(target, ast.Name)
        }
        if names_used is None:
            names_used = _used_in_functions(module)
        if not names_used & questions:
            yield from sorted({names[name] for name in names_used & set(names)})


def _used_in_functions(module: SourceModule) -> set[str]:
    functions = [node for node in walk(module.tree) if isinstance(node, ast.FunctionDef)]
    return {node.id for node in walk(*functions) if isinstance(node, ast.Name)}


def _names_imported(condition: ast.If) -> dict[str, str]:
    """Local name to package, of the imports under a condition; those of other devices not."""
    package_of: dict[str, str] = {}
    for item in condition.body:
        if isinstance(item, ast.Import):
            for alias in item.names:
                package_of[alias.asname or alias.name.split(".")[0]] = alias.name.split(".")[0]
        elif isinstance(item, ast.ImportFrom) and not item.level and item.module:
            for alias in item.names:
                package_of[alias.asname or alias.name] = item.module.split(".")[0]
    return {name: package for name, package in package_of.items() if package not in _OTHER_DEVICES}
