"""What a pipeline's call, and the methods that it reaches, do with what they are given."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from nodegraph.interop.pipelines.reading.lineage import PipelineSource
from nodegraph.interop.pipelines.reading.modules import walk

_WORDS: dict[str, str] = {
    # As documentation writes shapes and code names what it unpacks.
    "b": "b",
    "batch": "b",
    "batch_size": "b",
    "c": "c",
    "channels": "c",
    "num_channels": "c",
    "f": "f",
    "t": "f",
    "frames": "f",
    "num_frames": "f",
    "h": "h",
    "height": "h",
    "height_video": "h",
    "w": "w",
    "width": "w",
    "width_video": "w",
    "samples": "n",
    "audio_length": "n",
}
_SHAPE = re.compile(r"[(\[]\s*(\w+(?:\s*,\s*\w+)+)\s*[)\]]")


def axes_of(names: Iterable[str]) -> str:
    """Axes by their words, a letter each; empty if one isn't known or comes twice."""
    letters = [_WORDS.get(name.strip().lower(), "") for name in names]
    return "".join(letters) if all(letters) and len(set(letters)) == len(letters) else ""


def parse_axes(text: str) -> str:
    """Axes of the first shape that a text tells, such as ``(batch, channels, samples)``."""
    for match in _SHAPE.finditer(text):
        if axes := axes_of(match[1].split(",")):
            return axes
    return ""


_Node = TypeVar("_Node", bound=ast.AST)


class PipelineCode:
    """The syntax trees of a pipeline's call and of the methods that it reaches by ``self``.

    Attributes:
        methods: By name; ``__call__`` first.
    """

    def __init__(self, source: PipelineSource) -> None:
        self.source = source
        self.call = source.call
        self.methods: dict[str, ast.FunctionDef] = {}
        # There are a million nodes in all: each is looked at once, and found by its type after.
        self._of_call: dict[type, list[Any]] = defaultdict(list)
        self._of_all: dict[type, list[Any]] = defaultdict(list)
        self._reach()

    def _reach(self) -> None:
        todo = [("__call__", self.call)]
        while todo:
            name, function = todo.pop(0)
            if name in self.methods:
                continue
            self.methods[name] = function
            nodes_by_type: dict[type, list[Any]] = defaultdict(list)
            for node in _code_of(function):
                nodes_by_type[type(node)].append(node)
            for kind, nodes in nodes_by_type.items():
                self._of_all[kind] += nodes
            if name == "__call__":
                self._of_call = nodes_by_type
            todo += self._methods_of(nodes_by_type[ast.Attribute])

    def _methods_of(self, attributes: list[Any]) -> list[tuple[str, ast.FunctionDef]]:
        names = dict.fromkeys(filter(None, map(own_attribute, attributes)))
        known = ((name, self.source.method(name)) for name in names if name not in self.methods)
        return [(name, method[1]) for name, method in known if method is not None]

    def nodes(self, kind: type[_Node]) -> list[_Node]:
        """All nodes of a type."""
        return cast("list[_Node]", self._of_all.get(kind, []))

    def nodes_of_call(self, kind: type[_Node]) -> list[_Node]:
        """Those of the call itself, without what it reaches."""
        return cast("list[_Node]", self._of_call.get(kind, []))

    def parameters_read(self) -> set[str]:
        """Parameters that the call reads by name, or all if it takes its locals as a whole."""
        names = [node.id for node in self.nodes_of_call(ast.Name) if isinstance(node.ctx, ast.Load)]
        # Callbacks are shown what they ask for of locals()[name]; that reads no parameter.
        shown = [
            part for part in self.nodes_of_call(ast.Subscript) if _called(part.value) == "locals"
        ]
        if names.count("locals") > len(shown):
            return {item.arg for item in arguments(self.call)}
        return set(names)

    def names_called(self) -> set[str]:
        """Names called as functions, such as ``callback``, or handed on to another call."""
        calls = self.nodes(ast.Call)
        values = (word.value for call in calls for word in call.keywords)
        handed = {value.id for value in values if isinstance(value, ast.Name)}
        return handed | {call.func.id for call in calls if isinstance(call.func, ast.Name)}

    def methods_called(self) -> set[str]:
        """Attributes that are called, of whatever: ``progress_bar``, ``manual_seed``."""
        functions = (call.func for call in self.nodes(ast.Call))
        return {function.attr for function in functions if isinstance(function, ast.Attribute)}

    def words_of(self, name: str) -> tuple[str, ...]:
        """Texts that a parameter is compared with."""
        words: set[str] = set()
        for node in self.nodes(ast.Compare):
            sides = (node.left, *node.comparators)
            if any(isinstance(side, ast.Name) and side.id == name for side in sides):
                words |= set(texts(node))
        return tuple(sorted(words))

    def prepared(self, by: str) -> set[str]:
        """Names that a method of a processor is given: ``preprocess``, ``preprocess_video``."""
        names: set[str] = set()
        for call in self.nodes(ast.Call):
            match call:
                case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Name(id=name), *_]):
                    if attr == by:
                        names.add(name)
        return names

    def axes(self) -> dict[str, str]:
        """Order of the axes of what the call unpacks the shape of, by its name."""
        axes_by_name: dict[str, str] = {}
        for node in self.nodes(ast.Assign):
            match node:
                case ast.Assign(
                    targets=[ast.Tuple(elts=parts)],
                    value=ast.Attribute(value=ast.Name(id=name), attr="shape"),
                ):
                    words = [part.id for part in parts if isinstance(part, ast.Name)]
                    if len(words) == len(parts) and (axes := axes_of(words)):
                        axes_by_name.setdefault(name, axes)
        return axes_by_name

    def returned(self) -> list[str]:
        """Output classes that are called in a return, those of the call itself first."""
        made = (part for node in self.nodes(ast.Return) for part in walk(node))
        names = dict.fromkeys(_called(part) for part in made)
        return [name for name in names if "Output" in name]

    def keywords_taken(self) -> set[str]:
        """Words that the code takes out of ``**kwargs``."""
        keywords: set[str] = set()
        for call in self.nodes(ast.Call):
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="kwargs"), attr="pop" | "get"),
                    args=[ast.Constant(value=word), *_],
                ):
                    keywords.add(str(word))
        return keywords

    def attributes_set(self) -> set[str]:
        """Attributes of the pipeline that a call gives another value."""
        stored = (part for part in self.nodes(ast.Attribute) if isinstance(part.ctx, ast.Store))
        return {name for part in stored if (name := own_attribute(part)) is not None}


def arguments(function: ast.FunctionDef) -> list[ast.arg]:
    """Named parameters of a method, without the first."""
    taken = function.args
    return [*taken.posonlyargs, *taken.args][1:] + taken.kwonlyargs


def defaults(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """Parameter to its default, of those that have one."""
    taken = function.args
    names = [*taken.posonlyargs, *taken.args]
    nodes_by_name: dict[str, ast.expr] = {}
    if taken.defaults:
        for item, value in zip(names[-len(taken.defaults) :], taken.defaults, strict=True):
            nodes_by_name[item.arg] = value
    for item, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True):
        if default is not None:
            nodes_by_name[item.arg] = default
    return nodes_by_name


def own_attribute(node: ast.AST) -> str | None:
    """The name of ``self.name``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "self" else None
    return None


def _code_of(function: ast.FunctionDef) -> list[ast.AST]:
    """All nodes of a function's body; its docstring, defaults and annotations are no code."""
    return walk(
        *(
            statement
            for statement in function.body
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        )
    )


def texts(node: ast.AST) -> list[str]:
    """Constant texts in an expression."""
    parts = walk(node)
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


def _called(node: ast.AST) -> str:
    """The name of a function that is called by it; empty for anything else."""
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return node.func.id if is_call else ""  # type: ignore[attr-defined]
