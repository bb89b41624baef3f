"""A plain evaluation of the packs' code as it lies there now: nothing is remembered.

Neither nodegraph nor Python's own imports take part: each evaluation reads the files and executes
them in namespaces of its own.
"""

from __future__ import annotations

import builtins
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import signature
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

_PACKS = "nodegraph_packs"
_NEAR = "adversarial_near"


class Plain:
    """The packs below a folder, read anew.

    Args:
        root: The folder; its packs are in ``packs``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, ModuleType] = {}
        self._builtins = vars(builtins) | {"__import__": self._import}

    def function(self, node_type: str) -> Callable[..., Any]:
        """The function of a node type.

        Raises:
            Exception: What its module raises.
        """
        pack, name = node_type.split(":")
        fault: Exception = LookupError(node_type)
        for module in self._modules_of(pack):
            try:
                found = vars(self._with_parents(module)).get(name)
            except (ImportError, OSError, SyntaxError) as error:
                fault = error  # of this module alone
                continue
            if found is not None:
                function: Callable[..., Any] = found
                return function
        raise fault

    def _modules_of(self, pack: str) -> list[str]:
        folder = self._root / "packs" / pack
        if not folder.is_dir():
            return [f"{_PACKS}.{pack}"]
        names = sorted(path.stem for path in folder.glob("*.py") if path.stem[0] != "_")
        return [f"{_PACKS}.{pack}.{name}" for name in names]

    def _module(self, name: str) -> ModuleType:
        if name in self._modules:
            return self._modules[name]
        path = self._root.joinpath("packs", *name.split(".")[1:])
        # A folder without `__init__` gives way to a module of its name, as Python has it.
        is_package = path.is_dir() and (
            (path / "__init__.py").is_file() or not path.with_suffix(".py").is_file()
        )
        file = path / "__init__.py" if is_package else path.with_suffix(".py")
        module = ModuleType(name)
        self._modules[name] = module
        module.__file__ = str(file)
        module.__package__ = name if is_package else name.rpartition(".")[0]
        vars(module)["__builtins__"] = self._builtins
        if is_package and not file.is_file():
            return module
        try:
            exec(_compiled(file.read_text(), str(file)), vars(module))
        except BaseException:
            del self._modules[name]
            raise
        return module

    def _import(
        self,
        name: str,
        namespace: Mapping[str, Any] | None = None,
        local: Mapping[str, Any] | None = None,
        wanted: tuple[str, ...] = (),
        level: int = 0,
    ) -> Any:
        if level:
            assert namespace is not None
            parts = namespace["__package__"].split(".")
            base = ".".join(parts[: len(parts) - level + 1])
            name = f"{base}.{name}" if name else base
        if name == "nodegraph":
            return _API
        if name == "importlib":
            return SimpleNamespace(import_module=self._by_name)
        if name == "sys":
            return SimpleNamespace(path=[])  # it has no part in this
        if name.startswith(_NEAR):
            return self._near(name)
        if not name.startswith(_PACKS):
            return __import__(name, namespace, local, wanted)
        module = self._with_parents(name)
        for part in wanted:
            if not hasattr(module, part):
                setattr(module, part, self._module(f"{name}.{part}"))
        return module

    def _near(self, name: str) -> ModuleType:
        """A module that is found by `sys.path`, in a pack's folder or beside it."""
        for module in (f"{_PACKS}.{name}", f"{_PACKS}.side.{name}"):
            if self._root.joinpath("packs", *module.split(".")[1:]).with_suffix(".py").is_file():
                return self._module(module)
        raise ImportError(name)

    def _by_name(self, name: str) -> ModuleType:
        return (
            self._with_parents(name) if name.startswith(_PACKS) else importlib.import_module(name)
        )

    def _with_parents(self, name: str) -> ModuleType:
        parent = name.rpartition(".")[0]
        if parent != _PACKS:
            self._with_parents(parent)
        return self._module(name)


@dataclass
class Evaluated:
    """A workflow that was evaluated plainly.

    Attributes:
        outputs: By node.
        calls: What each node calls with what, as text that is equal for equal calls.
        refused: Nodes that change a tensor that they were given, so that nodegraph fails them.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def evaluate(
    nodes: Mapping[str, Any], targets: Sequence[str], function: Callable[[str], Callable[..., Any]]
) -> Evaluated:
    """Simply call the functions of the nodes that some targets need.

    Each call has its own copies, so what it does to them is its own affair.
    """
    found = Evaluated()

    def value(written: Any) -> Any:
        return deepcopy(output(written["from"])) if isinstance(written, dict) else written

    def output(source: str) -> Any:
        name = source.partition(".")[0]
        if name not in found.outputs:
            entry = nodes[name]
            inputs = {port: value(written) for port, written in entry["inputs"].items()}
            told = [
                # What is written in a workflow and what comes over a link are told apart.
                f"{port}{'<' if isinstance(entry['inputs'][port], dict) else '='}{shown(item)}"
                for port, item in sorted(inputs.items())
            ]
            found.calls[name] = f"{entry['type']} {' '.join(told)}"
            called = function(entry["type"])
            context = {"ctx": PlainContext()} if "ctx" in signature(called).parameters else {}
            tensors = _tensors(inputs)
            found.outputs[name] = called(**inputs, **context)
            if _tensors(inputs) != tensors:
                found.refused.append(name)
        return found.outputs[name]

    for name in targets:
        output(name)
    return found


def _tensors(inputs: Mapping[str, Any]) -> list[str]:
    import torch

    return [shown(value) for value in inputs.values() if isinstance(value, torch.Tensor)]


def shown(value: Any) -> str:
    """A value as text that is equal for equal values only."""
    import torch

    if isinstance(value, torch.Tensor):
        return f"{type(value).__name__} {value.dtype} {value.tolist()}"
    return f"{type(value).__name__} {value!r}"


@lru_cache(4096)
def _compiled(text: str, path: str) -> CodeType:
    return compile(text, path, "exec")


def _node(function: Any = None, **_: Any) -> Any:
    return function if function is not None else lambda decorated: decorated


_API = SimpleNamespace(
    node=_node,
    Context=object,
)


class PlainContext:
    """What a node's context gives, without a run."""

    def file(self, path: str | Path) -> Path:
        return Path(path)

    def env(self, name: str, default: str | None = None) -> str | None:
        return os.environ.get(name, default)
