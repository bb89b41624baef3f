"""What a pipeline refuses before it begins: words, sizes, and nothing where something is due."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from nodegraph.interop.pipelines.reading.code import PipelineCode, defaults, own_attribute, texts
from nodegraph.interop.pipelines.reading.modules import walk

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
        that turns a picture into noise; empty if there is none."""
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
