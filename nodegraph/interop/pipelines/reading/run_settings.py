"""Runtime settings of a pipeline, and the packages it needs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import Any

from nodegraph.interop.pipelines.classes import Follows, PipelineInput
from nodegraph.interop.pipelines.reading.call_code import PipelineCode, arguments
from nodegraph.interop.pipelines.reading.inputs import rate_source
from nodegraph.interop.pipelines.reading.outputs import inner_pipelines
from nodegraph.interop.pipelines.reading.parameters import CallParameter
from nodegraph.interop.pipelines.reading.source_modules import (
    PipelineSource,
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


_STEPS = re.compile(r"num_inference_steps\w*$|^steps$")


def follows(code: PipelineCode, bar: bool) -> Follows:
    """How the steps of a call are followed best."""
    names = {item.arg for item in arguments(code.call)}
    used = code.names_called()
    if any(name in used for name in names if _is_step_callback(name)):
        return "callback_on_step_end"
    if "callback" in names and "callback" in used:
        return "callback"
    return "progress" if bar else "modules"


def read_settings(
    source: PipelineSource,
    code: PipelineCode,
    parameters: list[CallParameter],
    inputs: tuple[PipelineInput, ...],
) -> dict[str, Any]:
    """What `PipelineClass.settings` lists, but for refusals; nothing that is empty or false."""
    by_name = {item.name: item for item in parameters}
    names = frozenset(by_name)
    used = code.names_called()
    output_type = by_name.get("output_type")
    settings: dict[str, Any] = {
        "output_types": list(code.words_of("output_type")),
        "output_type": output_type.default if output_type else None,
        "callbacks": [
            name
            for name in by_name
            if (_is_step_callback(name) or name == "callback") and name in used
        ],
        "tensor_inputs": _texts(source.attribute("_callback_tensor_inputs")),
        "bar": draws_bar(code),
        "tqdm": "tqdm" in used,
        "steps": [name for name in by_name if _STEPS.search(name)],
        "generators": {
            item.name: _generator(by_name[item.name])
            for item in inputs
            if item.kind == "seed" and by_name[item.name].annotation.kinds != {"int"}
        },
        "rates": {name: rate_source(name, names) for name in by_name if rate_source(name, names)},
        "divisors": {name: item.divisor for name, item in by_name.items() if item.divisor},
        "pipelines": list(inner_pipelines(source)),
        "swaps": _swaps(source, code),
        "global_seed": _sets_global_seed(code),
        "deprecated": ".deprecated." in source.own.module.name
        or any("Deprecated" in ast.unparse(base) for base in source.own.node.bases),
    }
    return {key: value for key, value in settings.items() if value}


def draws_bar(code: PipelineCode) -> bool:
    return "progress_bar" in code.methods_called()


def _is_step_callback(name: str) -> bool:
    return "callback_on_step_end" in name and not name.endswith("tensor_inputs")


def _generator(parameter: CallParameter) -> str:
    return "numpy" if "RandomState" in parameter.annotation.kinds else "torch"


def _sets_global_seed(code: PipelineCode) -> bool:
    """Whether it calls ``torch.manual_seed``, which is for the whole process."""
    return any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "manual_seed"
        and ast.unparse(call.func.value) in ("torch", "torch.cuda")
        for call in code.nodes(ast.Call)
    )


def _swaps(source: PipelineSource, code: PipelineCode) -> list[str]:
    called = code.methods_called()
    swaps = []
    if any("attn_processor" in name for name in called):
        swaps.append("attention")
    if called & {"register_forward_hook", "register_forward_pre_hook"}:
        swaps.append("hooks")
    built = source.method("__init__")
    parts = {item.arg for item in arguments(built[1])} if built else set()
    return swaps + sorted(code.attributes_set() & parts)


def _texts(value: ast.expr | None) -> list[str]:
    if not isinstance(value, ast.List | ast.Tuple):
        return []
    return [str(item.value) for item in value.elts if isinstance(item, ast.Constant)]


__all__ = ["draws_bar", "follows", "read_settings"]
