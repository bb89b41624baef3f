"""Facts of a pipeline's code: what its call, and the methods it reaches, do with what they get."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from nodegraph.pipelines.reading.axes import axes_of
from nodegraph.pipelines.reading.lineage import PipelineSource
from nodegraph.pipelines.reading.modules import SourceModule, walk

_BUILTIN = frozenset(vars(builtins))


class PipelineCode:
    """The syntax trees of a pipeline's call and of the methods that it reaches by ``self``.

    Attributes:
        methods: By name, each with the module that it stands in; ``__call__`` first.
        calls, refusals: Their calls, and conditions under which they raise.
    """

    def __init__(self, source: PipelineSource) -> None:
        self.source = source
        self.call = source.call
        self.methods: dict[str, tuple[SourceModule, ast.FunctionDef]] = {}
        self.calls: list[ast.Call] = []
        self.refusals: list[ast.If] = []
        self._compared: list[ast.Compare] = []
        self._unpacked: list[tuple[ast.Tuple, str]] = []
        self._returns: list[ast.Return] = []
        self._set: set[str] = set()
        self._names_read: set[str] = set()
        self._locals_taken = 0
        self._stored_at: dict[str, int] = {}
        self._checked_at = 0
        self._reach()

    def _reach(self) -> None:
        todo = [("__call__", self.source.call_class.module, self.call)]
        while todo:
            name, module, function = todo.pop(0)
            if name in self.methods:
                continue
            self.methods[name] = (module, function)
            for node in _code_of(function):
                reached = self._sort(node, name == "__call__")
                if reached and reached not in self.methods:
                    found = self.source.method(reached)
                    if found is not None:
                        todo.append((reached, found[0].module, found[1]))

    def _sort(self, node: ast.AST, of_call: bool) -> str | None:
        """Keeps a node where questions look for it; gives the attribute of ``self`` that it names.

        All questions are asked of what one look at each node has sorted, as there are a million.
        """
        if isinstance(node, ast.Name):
            if of_call:
                self._name_in_call(node)
        elif isinstance(node, ast.Subscript):
            # Callbacks are shown what they ask for of locals()[name]; that reads no parameter.
            asked = node.value
            if of_call and isinstance(asked, ast.Call) and isinstance(asked.func, ast.Name):
                self._locals_taken -= asked.func.id == "locals"
        elif isinstance(node, ast.Attribute):
            reached = own_attribute(node)
            if reached and isinstance(node.ctx, ast.Store):
                self._set.add(reached)
            return reached
        elif isinstance(node, ast.Call):
            self.calls.append(node)
            if of_call and own_attribute(node.func) == "check_inputs":
                self._checked_at = node.lineno
        elif isinstance(node, ast.Compare):
            self._compared.append(node)
        elif isinstance(node, ast.Assign):
            match node:
                case ast.Assign(
                    targets=[ast.Tuple() as target],
                    value=ast.Attribute(value=ast.Name(id=name), attr="shape"),
                ):
                    self._unpacked.append((target, name))
        elif isinstance(node, ast.Return):
            self._returns.append(node)
        elif isinstance(node, ast.If) and any(isinstance(part, ast.Raise) for part in node.body):
            self.refusals.append(node)
        return None

    def _name_in_call(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._stored_at.setdefault(node.id, node.lineno)
        elif isinstance(node.ctx, ast.Load):
            self._names_read.add(node.id)
            self._locals_taken += node.id == "locals"

    def parameters_read(self) -> set[str]:
        """Parameters that the call reads by name, or all if it takes its locals as a whole."""
        if self._locals_taken > 0:
            return {item.arg for item in arguments(self.call)}
        return self._names_read

    def names_called(self) -> set[str]:
        """Names called as functions, such as ``callback``, or handed on to another call."""
        found: set[str] = set()
        for call in self.calls:
            if isinstance(call.func, ast.Name):
                found.add(call.func.id)
            for word in call.keywords:
                if isinstance(word.value, ast.Name):
                    found.add(word.value.id)
        return found

    def methods_called(self) -> set[str]:
        """Attributes that are called, of whatever: ``progress_bar``, ``manual_seed``."""
        return {call.func.attr for call in self.calls if isinstance(call.func, ast.Attribute)}

    def words_of(self, name: str) -> tuple[str, ...]:
        """Texts that a parameter is compared with."""
        found: set[str] = set()
        for node in self._compared:
            if _mentions(node, name):
                found |= set(_texts(node))
        return tuple(sorted(found))

    def allowed_words(self) -> dict[str, tuple[str, ...]]:
        """Texts of which a parameter has to be one, since anything else is refused; by its name."""
        found: dict[str, tuple[str, ...]] = {}
        for node in self.refusals:
            parts = walk(node.test)
            asked = {part.id for part in parts if isinstance(part, ast.Name)} - _BUILTIN
            if len(asked) != 1:
                continue  # refused only together with something else
            name = asked.pop()
            for part in parts:
                if words := _words_demanded(part, name):
                    found.setdefault(name, words)
        return found

    def divisors(self) -> dict[str, str]:
        """What sizes are refused for not being a multiple of, as written; by the parameter."""
        found: dict[str, str] = {}
        for node in self.refusals:
            for part in walk(node.test):
                match part:
                    case ast.BinOp(op=ast.Mod(), left=ast.Name(id=name), right=by):
                        found.setdefault(name, ast.unparse(by))
        return found

    def one_of(self) -> list[tuple[str, ...]]:
        """Parameters of which one at least must be given though the signature lets all out."""
        known = {
            name
            for name, value in defaults(self.call).items()
            if isinstance(value, ast.Constant) and value.value is None
        }
        found: list[tuple[str, ...]] = []
        for name in ("__call__", "check_inputs"):
            for statement in self.methods[name][1].body if name in self.methods else ():
                for node in _chain(statement):
                    names = _all_none(node.test) if node in self.refusals else ()
                    line = node.lineno if name == "__call__" else self._checked_at
                    if names and set(names) <= known and not self._set_before(names, line):
                        found.append(names)
        return list(dict.fromkeys(found))

    def _set_before(self, names: tuple[str, ...], line: int) -> bool:
        """Whether the call itself gives one of them a value before it is looked at."""
        return any(self._stored_at.get(name, line) < line for name in names)

    def prepared(self, by: str) -> set[str]:
        """Names that a method of a processor is given: ``preprocess``, ``preprocess_video``."""
        return {
            call.args[0].id
            for call in self.calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr == by
            and call.args
            and isinstance(call.args[0], ast.Name)
        }

    def axes(self) -> dict[str, str]:
        """Order of the axes of what the call unpacks the shape of, by its name."""
        found: dict[str, str] = {}
        for target, name in self._unpacked:
            words = [item.id for item in target.elts if isinstance(item, ast.Name)]
            axes = axes_of(words) if len(words) == len(target.elts) else ""
            if axes:
                found.setdefault(name, axes)
        return found

    def returned(self) -> list[str]:
        """Output classes that are called in a return, those of the call itself first."""
        made = (part for node in self._returns for part in walk(node) if isinstance(part, ast.Call))
        names = (call.func.id for call in made if isinstance(call.func, ast.Name))
        return list(dict.fromkeys(name for name in names if "Output" in name))

    def keywords_taken(self) -> set[str]:
        """Words that the code takes out of ``**kwargs``."""
        return {
            str(call.args[0].value)
            for call in self.calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr in ("pop", "get")
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "kwargs"
            and call.args
            and isinstance(call.args[0], ast.Constant)
        }

    def attributes_set(self) -> set[str]:
        """Attributes of the pipeline that a call gives another value."""
        return self._set


def arguments(function: ast.FunctionDef) -> list[ast.arg]:
    """Named parameters of a method, without the first."""
    taken = function.args
    return [*taken.posonlyargs, *taken.args][1:] + taken.kwonlyargs


def defaults(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """Parameter to its default, of those that have one."""
    taken = function.args
    names = [*taken.posonlyargs, *taken.args]
    found: dict[str, ast.expr] = {}
    if taken.defaults:
        for item, value in zip(names[-len(taken.defaults) :], taken.defaults, strict=True):
            found[item.arg] = value
    for item, given in zip(taken.kwonlyargs, taken.kw_defaults, strict=True):
        if given is not None:
            found[item.arg] = given
    return found


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


def _mentions(node: ast.Compare, name: str) -> bool:
    return any(
        isinstance(part, ast.Name) and part.id == name for part in (node.left, *node.comparators)
    )


def _texts(node: ast.AST) -> list[str]:
    return [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _words_demanded(test: ast.AST, name: str) -> tuple[str, ...]:
    """Texts of ``name not in [...]`` or ``not name in [...]``."""
    wanted: type[ast.cmpop] = ast.NotIn
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, wanted = test.operand, ast.In
    match test:
        case ast.Compare(left=ast.Name(id=asked), ops=[how], comparators=[among]):
            if asked == name and isinstance(how, wanted):
                return tuple(_texts(among))
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
