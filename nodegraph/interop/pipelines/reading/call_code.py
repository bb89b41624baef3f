"""What the code of a pipeline call reads, calls and refuses."""

from __future__ import annotations

import ast
import builtins
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

from nodegraph.interop.pipelines.reading.source_modules import PipelineSource, walk

_BUILTIN = frozenset(vars(builtins))
_CHECKS = "check_inputs"


class InputChecks:
    """Conditions under which a call, or the check that it makes first, raises."""

    def __init__(self, code: PipelineCode) -> None:
        self._code = code
        self._conditions = list(filter(_raises, code.nodes(ast.If)))

    def allowed_words(self) -> dict[str, tuple[str, ...]]:
        """Texts of which a parameter has to be one, since anything else is refused; by its name."""
        allowed: dict[str, tuple[str, ...]] = {}
        for node in self._conditions:
            parts = walk(node.test)
            names = {part.id for part in parts if isinstance(part, ast.Name)} - _BUILTIN
            if len(names) != 1:
                continue  # refused only together with something else
            name = names.pop()
            for part in parts:
                if words := _words_demanded(part, name):
                    allowed.setdefault(name, words)
        return allowed

    def divisors(self) -> dict[str, str]:
        """What sizes are refused for not being a multiple of, as written; by the parameter.

        Not those that the call itself brings to a size that does before they are looked at.
        """
        divisor_of: dict[str, str] = {}
        for node in self._conditions:
            for part in walk(node.test):
                match part:
                    case ast.BinOp(op=ast.Mod(), left=ast.Name(id=name), right=by):
                        divisor_of.setdefault(name, ast.unparse(by))
        return {name: by for name, by in divisor_of.items() if not self._is_rounded(name)}

    def one_of(self) -> list[list[str]]:
        """Parameters of which one at least must be given though the signature lets all out."""
        known = {
            name
            for name, value in defaults(self._code.call).items()
            if isinstance(value, ast.Constant) and value.value is None
        }
        groups: dict[tuple[str, ...], None] = {}
        for node, line in self._outer():
            names = _all_none(node.test)
            if names and set(names) <= known and not self._is_set_before(names, line):
                groups[names] = None
        return [list(names) for names in groups]

    def called_first(self) -> str:
        """The method of the pipeline that sets what the call refuses to do without, such as one
        that turns an image into noise; empty if there is none."""
        for node, _ in self._outer():
            match node.test:
                case ast.Compare(
                    left=ast.Attribute(value=ast.Name(id="self"), attr=name),
                    ops=[ast.Is()],
                    comparators=[ast.Constant(value=None)],
                ):
                    return self._setter(name)
        return ""

    def _setter(self, name: str) -> str:
        for source in self._code.source.lineage:
            for method, function in source.methods.items():
                if method == "__init__" or method in self._code.methods:
                    continue
                for part in walk(*function.body):
                    stored = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
                    if stored and own_attribute(part) == name:
                        return method
        return ""

    def _outer(self) -> Iterator[tuple[ast.If, int]]:
        """Conditions that aren't under another, and the line of the call that they are asked at."""
        for name in ("__call__", _CHECKS):
            function = self._code.methods.get(name)
            for statement in function.body if function else ():
                for node in _chain(statement):
                    if _raises(node):
                        yield node, node.lineno if name == "__call__" else self._checked_at()

    def _checked_at(self) -> int:
        calls = self._code.nodes_of_call(ast.Call)
        lines = [call.lineno for call in calls if own_attribute(call.func) == _CHECKS]
        return min(lines, default=0)

    def _is_set_before(self, names: tuple[str, ...], line: int) -> bool:
        """Whether the call itself gives one of them a value before it is looked at."""
        return any(
            node.id in names and node.lineno < line and isinstance(node.ctx, ast.Store)
            for node in self._code.nodes_of_call(ast.Name)
        )

    def _is_rounded(self, name: str) -> bool:
        """Whether the call makes another size of it before the check, as ``size // 16 * 16``."""
        line = self._checked_at()
        return any(
            _is_remade(statement, name)
            for statement in self._code.call.body
            if statement.lineno < line
        )


def _is_remade(statement: ast.stmt, name: str) -> bool:
    """Whether a statement gives a size a value made of itself; not where none was given:
    ``size or default``, or what comes under a question for it."""
    if isinstance(statement, ast.If):
        condition_nodes = walk(statement.test)
        is_there = any(isinstance(part, ast.Name) and part.id == name for part in condition_nodes)
        divides = any(
            isinstance(part, ast.Mod) for node in condition_nodes for part in [_operator(node)]
        )
        inner = statement.orelse if is_there and not divides else statement.body + statement.orelse
        return any(_is_remade(part, name) for part in inner)
    if not isinstance(statement, ast.Assign) or isinstance(statement.value, ast.BoolOp | ast.IfExp):
        return False
    targets = {part.id for part in walk(*statement.targets) if isinstance(part, ast.Name)}
    read = {part.id for part in walk(statement.value) if isinstance(part, ast.Name)}
    return name in targets and name in read


def _operator(node: ast.AST) -> ast.operator | None:
    return node.op if isinstance(node, ast.BinOp) else None


def _raises(node: ast.If) -> bool:
    return any(isinstance(part, ast.Raise) for part in node.body)


def _words_demanded(test: ast.AST, name: str) -> tuple[str, ...]:
    """Texts of ``name not in [...]`` or ``not name in [...]``."""
    wanted: type[ast.cmpop] = ast.NotIn
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, wanted = test.operand, ast.In
    match test:
        case ast.Compare(left=ast.Name(id=asked), ops=[how], comparators=[among]):
            if asked == name and isinstance(how, wanted):
                return tuple(texts(among))
    return ()


def _chain(statement: ast.stmt) -> Iterator[ast.If]:
    """A condition and its ``elif``; not what is asked under it, which holds only there."""
    if isinstance(statement, ast.If):
        yield statement
        for item in statement.orelse:
            yield from _chain(item)


def _all_none(test: ast.expr) -> tuple[str, ...]:
    """The names of ``a is None and b is None``; nothing if the test asks anything else as well."""
    parts = test.values if isinstance(test, ast.BoolOp) else [test]
    if isinstance(test, ast.BoolOp) and not isinstance(test.op, ast.And):
        return ()
    names: list[str] = []
    for part in parts:
        match part:
            case ast.Compare(
                left=ast.Name(id=name),
                ops=[ast.Is()],
                comparators=[ast.Constant(value=None)],
            ):
                names.append(name)
            case _:
                return ()
    return tuple(names)


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
