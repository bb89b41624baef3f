"""What a module's source says of what it needs: imports, and environment variables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from threading import Lock

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.packs.source_files import Import, ModuleSource

EVERYTHING = "*"
"""As an import's module: it can't be told which one, so it may be any of the pack."""

_IMPORTERS = ("import_module", "__import__")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
"""As variables of the environment are called."""
_NODE_TYPE = re.compile(r"[\w-]+(:\w+)?")
_PARSING = Lock()
_MOST_TRIES = 10
_MOST_KNOWN = 4096
_KNOWN: dict[tuple[Digest, str], ModuleSource] = {}
"""What was parsed in this process, for all its sessions: a text says the same each time."""


def parse_module(data: bytes, package: str) -> ModuleSource:
    """What a source says.

    Args:
        package: Dotted name that relative imports start from.
    Raises:
        SyntaxError, ValueError: It is no Python.
    """
    key = digest_bytes(data), package
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        known = _KNOWN[key] = _parsed(data, package)
    return known


def cached_module(digest: Digest, package: str) -> ModuleSource | None:
    """What a source of this digest says, if it was parsed in this process before."""
    return _KNOWN.get((digest, package))


def _parsed(data: bytes, package: str) -> ModuleSource:
    items = list(ast.walk(_tree(data)))
    imports = tuple(dict.fromkeys(_imports(items, package)))
    bound = frozenset(item.bound for item in imports)
    texts = frozenset(_texts(items) if _gives_graph(items, package) else ())
    made, used = bound.intersection(_made(items)), bound.intersection(_used(items))
    variables = frozenset(_variables(items, package))
    return ModuleSource(digest_bytes(data), imports, made, used, variables, texts)


def _tree(data: bytes) -> ast.Module:
    """A source's tree, also while other threads parse.

    Before Python 3.13 these count their depth in one place, and one of them may find it wrong.
    """
    with _PARSING:
        for _ in range(_MOST_TRIES):
            try:
                return ast.parse(data)
            except SystemError:  # a library parses too, as torch does where it is imported
                continue
        return ast.parse(data)


def _imports(items: Sequence[ast.AST], package: str) -> Iterator[Import]:
    for item in items:
        if isinstance(item, ast.Import):
            for alias in item.names:
                yield Import(alias.name, "", alias.asname or alias.name.split(".")[0])
        elif isinstance(item, ast.ImportFrom):
            module = _absolute(item.module or "", item.level, package)
            for alias in item.names:
                yield Import(module, alias.name, alias.asname or alias.name)
        elif isinstance(item, ast.Call) and _name(item.func) in _IMPORTERS:
            yield _imported(item, package)


def _imported(call: ast.Call, package: str) -> Import:
    """What ``importlib.import_module(...)`` imports."""
    name = call.args[0] if call.args else None
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return Import(EVERYTHING, "", EVERYTHING)
    module = name.value.lstrip(".")
    level = len(name.value) - len(module)
    # Bound to a name that is always used, as the call itself uses it.
    return Import(_absolute(module, level, package), "", _name(call.func))


def _made(items: Sequence[ast.AST]) -> Iterator[str]:
    for item in items:
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            yield item.id
        elif isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield item.name


def _used(items: Sequence[ast.AST]) -> Iterator[str]:
    for item in items:
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load):
            yield item.id
        elif isinstance(item, ast.Call) and _name(item.func) in _IMPORTERS:
            yield _name(item.func)
            yield EVERYTHING


def _variables(items: Sequence[ast.AST], package: str) -> Iterator[str]:
    """Environment variables that are read by a name that stands there, wherever in the module."""
    is_elsewhere = False
    for item in items:
        key: ast.expr | None = None
        if isinstance(item, ast.Subscript) and _name(item.value) == "environ":
            key = item.slice
        elif isinstance(item, ast.Call) and item.args:
            function = item.func
            holder = function.value if isinstance(function, ast.Attribute) else function
            is_get = _name(function) == "get" and _name(holder) == "environ"
            if is_get or _name(function) == "getenv":
                key = item.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value
        elif key is not None and not (
            isinstance(item, ast.Subscript) and isinstance(item.ctx, ast.Store)
        ):
            is_elsewhere = True  # such as in a constant of the module
    if is_elsewhere and package.partition(".")[0] != "nodegraph":  # which sets some itself
        texts = (item.value for item in items if isinstance(item, ast.Constant))
        yield from (text for text in texts if isinstance(text, str) and _VARIABLE.fullmatch(text))


def _gives_graph(items: Sequence[ast.AST], package: str) -> bool:
    """Whether the code may add nodes to a run; what nodegraph itself adds is in a workflow."""
    return package.partition(".")[0] != "nodegraph" and any(
        (isinstance(item, (ast.Name, ast.Attribute)) and _name(item) == "Expand")
        or (isinstance(item, ast.alias) and item.name == "Expand")  # under another name
        for item in items
    )


def _texts(items: Sequence[ast.AST]) -> Iterator[str]:
    """What may name a node type."""
    texts = (item.value for item in items if isinstance(item, ast.Constant))
    return (text for text in texts if isinstance(text, str) and _NODE_TYPE.fullmatch(text))


def _name(item: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(item, ast.Attribute):
        return item.attr
    return item.id if isinstance(item, ast.Name) else ""


def _absolute(module: str, level: int, package: str) -> str:
    if not level:
        return module
    parts = package.split(".")
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, *([module] if module else [])])
