"""What the byte code of a function names: globals and attributes, modules, and texts."""

from __future__ import annotations

import dis
import re
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

_BY_TEXT = frozenset(
    {"getattr", "globals", "vars", "eval", "exec", "attrgetter", "__dict__", "__getattribute__"}
)
"""What looks up names that are given as texts."""
_IMPORTERS = frozenset({"import_module", "__import__"})
_WORD = re.compile(r"[A-Za-z_]\w*")


class CodeReferences(NamedTuple):
    """What a function and those in it may look up.

    Attributes:
        names: Of globals and attributes.
        modules: That it imports, as level and name.
        texts: All that stand in it.
    """

    names: tuple[str, ...]
    modules: tuple[tuple[int, str], ...]
    texts: tuple[str, ...]


@lru_cache(maxsize=4096)
def code_references(code: CodeType) -> CodeReferences:
    """What a function and those in it may look up, in the order in which it stands there."""
    names: dict[str, None] = {}
    modules: dict[tuple[int, str], None] = {}
    texts: dict[str, None] = {}
    waiting: list[Any] = [code]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            texts[each] = None
        elif isinstance(each, (tuple, frozenset)):
            waiting.extend(sorted(each, key=repr))  # a set has no order
        elif isinstance(each, CodeType):
            names.update(dict.fromkeys(each.co_names))
            waiting.extend(each.co_consts)
            if not _IMPORTERS.isdisjoint(each.co_names) or "IMPORT_NAME" in _operations(each):
                modules.update(dict.fromkeys(imports_in(each)))
    if not _BY_TEXT.isdisjoint(names):
        names.update(dict.fromkeys(word for text in texts for word in _WORD.findall(text)))
    return CodeReferences(tuple(names), tuple(modules), tuple(texts))


def _operations(code: CodeType) -> Iterator[str]:
    return (dis.opname[operation] for operation in code.co_code[::2])


def imports_in(code: CodeType) -> Iterator[tuple[int, str]]:
    """Level and name of each module that code imports, apart from what functions in it do."""
    loaded: list[Any] = []
    called = ""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level = loaded[-2] if len(loaded) > 1 and isinstance(loaded[-2], int) else 0
            yield level, str(step.argval)
        elif "CONST" in step.opname or step.opname == "LOAD_SMALL_INT":
            loaded.append(step.argval)
            if called in _IMPORTERS and isinstance(step.argval, str):
                name = step.argval.lstrip(".")
                yield len(step.argval) - len(name), name
            called = ""
        elif step.opname.startswith("LOAD_"):
            called = str(step.argval)
