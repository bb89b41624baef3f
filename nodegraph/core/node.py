"""The `@node` decorator: a function's signature becomes a node type."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints, overload

from nodegraph.core.annotations import Annotation, read_annotation, widget
from nodegraph.core.context import Context
from nodegraph.core.hints import as_json, check_fields
from nodegraph.core.hooks import EstimateHook, FingerprintHook, InferHook, ValidateHook
from nodegraph.core.literals import check_literal
from nodegraph.core.pack_faults import is_lenient, skip_function
from nodegraph.core.parts import in_words
from nodegraph.core.ports import PORT_ATTRIBUTE, Blocked, PortType, run_fact
from nodegraph.core.spec import (
    HookName,
    HookRef,
    InputSpec,
    LaneName,
    NodeSpec,
    OutputSpec,
    RunFact,
)
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import read_docstring, snake_case
from nodegraph.errors import PackError

Function = TypeVar("Function", bound=Callable[..., Any])
NODE_ATTRIBUTE = "__nodegraph_node__"
MIGRATE = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class NodeDefinition:
    """A node type with its code.

    Attributes:
        spec: The declaration of the node type.
        function: The decorated function.
        context: Name of the parameter that takes the context, if any.
        enums: Enum classes that literals are converted to, by input.
        ports: Port types of packs in its signature.
        hooks: Its hook functions.
        migrations: Functions that convert the inputs of an older version, by that version.
        returns_one: Whether its only output is in a tuple, annotated as ``tuple[Image]``.
    """

    spec: NodeSpec
    function: Callable[..., Any]
    context: str | None
    enums: Mapping[str, type[Enum]]
    ports: tuple[PortType, ...]
    hooks: Mapping[HookName, Callable[..., Any]]
    migrations: Mapping[int, MIGRATE]
    returns_one: bool = False

    @cached_property
    def lazy(self) -> tuple[str, ...]:
        """Names of the inputs that are evaluated on demand."""
        return tuple(port.name for port in self.spec.inputs if port.lazy)

    def outputs_of(self, result: Any) -> tuple[Any, ...]:
        """Split the function's result into one value for each output port.

        Raises:
            TypeError: The result does not match the declared outputs.
        """
        count = len(self.spec.outputs)
        if count == 0:
            return ()
        if type(result) is Blocked:
            return (result,) * count
        if self.returns_one:
            if isinstance(result, tuple) and len(result) == 1:
                return tuple(result)
            raise TypeError(f"returned {type(result).__name__}, but declares a tuple of 1 output")
        if count == 1 and not _is_record(result, self.spec.outputs[0].name):
            return (result,)
        if is_dataclass(result) and not isinstance(result, type):
            return tuple(getattr(result, port.name) for port in self.spec.outputs)
        if isinstance(result, tuple) and len(result) == count:
            return tuple(result)
        raise TypeError(f"returned {type(result).__name__}, but declares {count} outputs")


def _is_record(result: Any, name: str) -> bool:
    return isinstance(result, tuple) and getattr(result, "_fields", None) == (name,)


@overload
def node(function: Function, /) -> Function: ...
@overload
def node(
    *,
    id: str = "",
    version: int = 1,
    label: str = "",
    category: str = "",
    lane: LaneName = "cpu",
    deterministic: bool = True,
    output: bool | Literal["files"] = False,
    numerics: bool = False,
    continues: tuple[str, ...] = (),
    facts: Mapping[str, Mapping[str, str]] | None = None,
    infer: InferHook | None = None,
    validate: ValidateHook | None = None,
    fingerprint: FingerprintHook | None = None,
    estimate: EstimateHook | None = None,
    migrations: Mapping[int, MIGRATE] | None = None,
    deprecated: str = "",
    experimental: bool = False,
    tags: tuple[str, ...] = (),
) -> Callable[[Function], Function]: ...


def node(function: Any = None, /, **options: Any) -> Any:
    """Make a function a node type and return the function unchanged.

    Parameters become inputs, the return annotation the outputs. The docstring's first line is the
    summary, and its ``Args:`` section is the help of the inputs.

    Args:
        id: Name of the type in workflows. Default: the name of the function.
        version: Version of the type. Raise it when behavior changes, and add to `migrations`.
        label: Display name.
        category: Category in the palette, such as ``image/adjust``.
        lane: ``gpu`` for tensor work on the compute device, ``cpu`` for other work, ``io`` for
            waiting on files and networks.
        deterministic: False if results differ from run to run with equal inputs.
        output: True for a sink: a node with effects outside the run. A run computes its sinks.
            "files" if its only effects are files that it reports with `ctx.wrote`: it is not run
            again for equal inputs while these files are unchanged.
        numerics: True if the result's last bits depend on device or library version.
        continues: Inputs that only set where the work stops. If a later call allows more work, it
            resumes from the state that an earlier one saved with `ctx.checkpoint`.
        facts: Facts of outputs that are copies of inputs or of their facts, by output.
        infer: Hook that computes facts of outputs that `facts` cannot express.
        validate: Hook that checks inputs against each other before anything runs.
        fingerprint: Hook that returns a text that changes when something outside the inputs does.
        estimate: Hook that returns the expected seconds and memory.
        migrations: Functions that convert the inputs of a version to those of the next, by version.
        deprecated: What to use instead. Empty if the type is not deprecated.
        experimental: Whether the type may still change.
        tags: Words for the search in the palette.
    Raises:
        PackError: The signature is not valid for a node, or an option is unknown.
    """
    scope = dict(sys._getframe(1).f_locals)

    def declare(target: Function) -> Function:
        if not is_lenient():
            setattr(target, NODE_ATTRIBUTE, _define(target, scope, options))
            return target
        try:
            _refuse_second(target, scope)
            setattr(target, NODE_ATTRIBUTE, _define(target, scope, options))
        except PackError as error:
            skip_function(target, _placed(error, target))
        return target

    if function is None:
        return declare
    if not inspect.isfunction(function):
        raise PackError(
            "`@node` takes only arguments with a name, or a function below it",
            given=in_words(function),
            expected="@node or @node(option=…)",
            hint=f"Write `@node(id={function!r})`." if isinstance(function, str) else None,
        )
    return declare(function)


def _placed(error: PackError, function: Callable[..., Any]) -> PackError:
    code = function.__code__
    problem = error.problem
    return PackError(
        f"{Path(code.co_filename).name}, line {code.co_firstlineno}: {problem.message}",
        given=problem.given,
        expected=problem.expected,
        hint=problem.hint,
    )


def _refuse_second(function: Callable[..., Any], scope: Mapping[str, Any]) -> None:
    """Raise if a module has two nodes with one name: the second would hide the first."""
    first: Any = scope.get(function.__name__)
    if not isinstance(getattr(first, NODE_ATTRIBUTE, None), NodeDefinition):
        return
    if first.__module__ == function.__module__:
        raise PackError(
            f"node {function.__name__}: there is another function of this name in line "
            f"{first.__code__.co_firstlineno}",
            hint="Rename one of them.",
        )


def definition_of(function: Callable[..., Any]) -> NodeDefinition:
    """Return the node type that `@node` made from a function.

    Raises:
        PackError: The function is not decorated.
    """
    definition = getattr(function, NODE_ATTRIBUTE, None)
    if not isinstance(definition, NodeDefinition):
        raise PackError(
            f"{getattr(function, '__name__', function)!r} is not a node type",
            hint="Decorate the function with @node.",
        )
    return definition


def _define(
    function: Callable[..., Any], scope: dict[str, Any], options: dict[str, Any]
) -> NodeDefinition:
    name = options.get("id") or function.__name__
    _check_options(name, options)
    hints = _type_hints(function, name, scope)
    summary, help_text, about = read_docstring(inspect.getdoc(function) or "")
    context, hidden, inputs, read = _inputs(function, name, hints, about)
    outputs, output_ports = _outputs(name, hints.get("return", _MISSING))
    is_async = inspect.iscoroutinefunction(function)
    if is_async and options.get("lane") == "gpu":
        raise PackError(
            f"node {name}: the gpu lane runs one node at a time, and an `async def` cannot hold it",
            hint="Make it a plain function, or omit the lane.",
        )
    lazy = [port.name for port in inputs if port.lazy]
    if lazy and not is_async:
        raise PackError(
            f"node {name}: input `{lazy[0]}` is Lazy, so the function must be `async def`",
            hint="Then `await` the input where it is needed.",
        )
    _check_body(name, inputs, outputs)
    _check_continues(name, inputs, options.get("continues", ()))
    _check_facts(name, inputs, outputs, options.get("facts") or {})
    _check_help(function, name, about)
    hooks = _hooks(options)
    spec_options = {key: options[key] for key in _SPEC_OPTIONS if key in options}
    if spec_options.get("output") == "files":
        spec_options |= {"output": True, "output_files": True}
    label = options.get("label") or _label(name)
    spec_options = check_fields(f"node {name}", NodeSpec, {**spec_options, "label": label})
    facts = {port: dict(port_facts) for port, port_facts in (options.get("facts") or {}).items()}
    spec = NodeSpec(
        type=name,
        summary=summary,
        help=help_text,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        hidden=hidden,
        is_async=is_async,
        facts=facts,
        hooks={
            key: HookRef(module=hook.__module__, name=hook.__qualname__)
            for key, hook in hooks.items()
        },
        module=function.__module__,
        qualname=function.__qualname__,
        **spec_options,
    )
    return NodeDefinition(
        spec,
        function,
        context,
        {port: item.enum for port, item in read.items() if item.enum is not None},
        tuple(port for item in read.values() for port in item.ports) + output_ports,
        hooks,
        dict(options.get("migrations") or {}),
        _is_tuple_of_one(hints.get("return", _MISSING)),
    )


def _check_body(name: str, inputs: list[InputSpec], outputs: list[OutputSpec]) -> None:
    bodies = [port for port in inputs if port.body is not None]
    if len(bodies) > 1:
        raise PackError(f"node {name}: more than one input has the hint `Body`")
    for port in bodies:
        assert port.body is not None
        if port.type != "Subgraph":
            raise PackError(
                f"node {name}: input `{port.name}` has the hint `Body`, but is not a Subgraph"
            )
        used = {*filter(None, port.body.inputs.values())}
        for own in sorted(used - {item.name for item in inputs}):
            raise PackError(f"node {name}: its `Body` names `{own}`, which is not an input")
        made = {own for several in port.body.outputs.values() for own in several}
        for own in sorted(made - {item.name for item in outputs}):
            raise PackError(f"node {name}: its `Body` names `{own}`, which is not an output")


def _check_continues(name: str, inputs: list[InputSpec], ports: tuple[str, ...]) -> None:
    for port in ports:
        if port not in {item.name for item in inputs}:
            raise PackError(
                f"node {name}: `continues` names `{port}`, which is not an input",
                hint="Name inputs that only say where the work stops.",
            )


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in _OPTIONS:
            raise PackError(
                f"node {name}: `@node` has no such option",
                given=option,
                hint=did_you_mean(option, _OPTIONS, listed=len(_OPTIONS)),
            )


def _check_facts(
    name: str,
    inputs: list[InputSpec],
    outputs: list[OutputSpec],
    facts: Mapping[str, Mapping[str, str]],
) -> None:
    own, made = [port.name for port in inputs], [port.name for port in outputs]
    for port, sources in facts.items():
        if port not in made:
            raise PackError(
                f"node {name}: `facts` names an output that the node does not have",
                given=port,
                hint=did_you_mean(port, made) or None,
            )
        for source in sources.values():
            if source.partition(".")[0] not in own:
                raise PackError(
                    f"node {name}: `facts` of `{port}` copies from an input that the node does "
                    "not have",
                    given=source,
                    hint=did_you_mean(source.partition(".")[0], own) or None,
                )


def _check_help(function: Callable[..., Any], name: str, about: Mapping[str, str]) -> None:
    """Warn if the docstring describes a name that is not a parameter: editors do not show it."""
    parameters = inspect.signature(function).parameters
    for documented in about:
        if documented not in parameters:
            hint = did_you_mean(documented, parameters)
            warnings.warn_explicit(
                f"node {name}: `Args:` of its docstring describes `{documented}`, which is not a "
                f"parameter. {hint}".rstrip(),
                UserWarning,
                function.__code__.co_filename,
                function.__code__.co_firstlineno,
            )


_MISSING = object()
_SPEC_OPTIONS = (
    "version",
    "category",
    "lane",
    "deterministic",
    "output",
    "numerics",
    "continues",
    "deprecated",
    "experimental",
    "tags",
)
_HOOKS: tuple[HookName, ...] = ("infer", "validate", "fingerprint", "estimate")
_OPTIONS = ("id", "label", "facts", "migrations", *_SPEC_OPTIONS, *_HOOKS)


def _hooks(options: dict[str, Any]) -> dict[HookName, Callable[..., Any]]:
    return {key: options[key] for key in _HOOKS if options.get(key) is not None}


def _type_hints(function: Callable[..., Any], name: str, scope: dict[str, Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, localns=scope, include_extras=True)
    except NameError as error:
        raise PackError(
            f"node {name}{_faulty(function, scope)}: an annotation names `{error.name}`, which is "
            "not defined at run time",
            hint="Import it outside `if TYPE_CHECKING:`.",
        ) from error
    except PackError as error:  # a hint that can't be so
        its = error.problem
        text = f"node {name}{_faulty(function, scope)}: {its.message}"
        raise PackError(text, given=its.given, expected=its.expected, hint=its.hint) from None
    except Exception as error:  # evaluating an annotation is running the pack's code
        raise PackError(
            f"node {name}{_faulty(function, scope)}: an annotation cannot be read: "
            f"{type(error).__name__}: {error}",
            hint="Write a port type, such as Image.",
        ) from error


def _faulty(function: Callable[..., Any], scope: dict[str, Any]) -> str:
    """Find the parameter whose annotation cannot be evaluated, as text for a message."""
    for parameter, annotation in function.__annotations__.items():
        probe = SimpleNamespace(__annotations__={parameter: annotation})
        try:
            get_type_hints(probe, function.__globals__, scope)
        except Exception:  # noqa: BLE001 - whatever it raised, it is this one
            is_output = parameter == "return"
            return ", the return type" if is_output else f", parameter `{parameter}`"
    return ""


def _inputs(
    function: Callable[..., Any], name: str, hints: dict[str, Any], about: dict[str, str]
) -> tuple[str | None, dict[str, RunFact], list[InputSpec], dict[str, Annotation]]:
    context = None
    hidden: dict[str, RunFact] = {}
    inputs: list[InputSpec] = []
    read: dict[str, Annotation] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise PackError(f"node {name}: *{parameter.name} cannot be a port")
        if parameter.kind is parameter.VAR_KEYWORD:
            inputs = _passing_on(name, parameter.name, inputs)
            continue
        if parameter.name not in hints:
            raise PackError(
                f"node {name}: parameter `{parameter.name}` has no type annotation",
                hint=f"Write `{parameter.name}: Image`, or another port type.",
            )
        if hints[parameter.name] is Context:
            context = parameter.name
            continue
        if fact := run_fact(hints[parameter.name]):
            hidden[parameter.name] = fact
            continue
        annotation = _read(name, parameter.name, hints[parameter.name])
        read[parameter.name] = annotation
        inputs.append(_input(name, parameter, annotation, about.get(parameter.name, "")))
        _check_default(name, inputs[-1])
    return context, hidden, inputs, read


def _passing_on(node_name: str, name: str, inputs: list[InputSpec]) -> list[InputSpec]:
    """Return the inputs of a function that passes more inputs to the subgraph that it runs."""
    if not any(port.body for port in inputs):
        raise PackError(
            f"node {node_name}: **{name} cannot be a port",
            hint="Only a node that runs a subgraph (an input with the hint `Body`) may have it.",
        )
    return [
        replace(port, body=replace(port.body, passes_on=True)) if port.body else port
        for port in inputs
    ]


def _read(node_name: str, port: str, annotation: Any) -> Annotation:
    try:
        return read_annotation(annotation)
    except TypeError as error:
        raise PackError(f"node {node_name}, port `{port}`: {error}") from error


def _input(
    node_name: str, parameter: inspect.Parameter, annotation: Annotation, about: str
) -> InputSpec:
    has_default = parameter.default is not parameter.empty
    default = parameter.default if has_default else None
    owner = f"node {node_name}, input `{parameter.name}`"
    return InputSpec(
        name=parameter.name,
        type=str(annotation.expr),
        required=not has_default and not annotation.nullable,
        nullable=annotation.nullable,
        lazy=annotation.lazy,
        raw_link=annotation.raw_link,
        default=as_json(owner, "its default", default),
        json_schema=as_json(owner, "what it takes", annotation.json_schema),
        help=about,
        **check_fields(owner, InputSpec, widget(annotation.hints)),
    )


def _check_default(node_name: str, port: InputSpec) -> None:
    """Raise if a workflow cannot contain the default, or if the range allows no value."""
    schema = port.json_schema or {}
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and low > high:
        raise PackError(
            f"node {node_name}, input `{port.name}`: its range allows no value",
            given=f"from {low} to {high}",
        )
    if port.default is None or port.json_schema is None:
        return
    for finding in check_literal(port.default, port):
        raise PackError(
            f"node {node_name}, input `{port.name}`: its default {finding.message}",
            given=finding.given,
            expected=finding.expected,
            hint=finding.hint or "Change the default or the annotation.",
        )


def _outputs(name: str, annotation: Any) -> tuple[list[OutputSpec], tuple[PortType, ...]]:
    if annotation is _MISSING:
        raise PackError(
            f"node {name}: the return type is missing",
            hint="Write `-> Image`, or `-> None` for a node without outputs.",
        )
    if annotation is type(None):
        return [], ()
    several = _named_outputs(name, annotation)
    if several is None:
        read = _read(name, "return", annotation)
        name = _output_name(str(read.expr))
        return [OutputSpec(name=name, type=str(read.expr), nullable=read.nullable)], read.ports
    outputs: list[OutputSpec] = []
    ports: list[PortType] = []
    for port, inner in several.items():
        read = _read(name, port, inner)
        outputs.append(OutputSpec(name=port, type=str(read.expr), nullable=read.nullable))
        ports.extend(read.ports)
    return outputs, tuple(ports)


def _named_outputs(node_name: str, annotation: Any) -> dict[str, Any] | None:
    """Return the fields of a NamedTuple or of a dataclass that is not a port type, else None.

    The items of a plain tuple are named after their types.
    """
    if get_origin(annotation) is tuple:  # in Python 3.10 a type, too
        return _outputs_of_tuple(node_name, annotation)
    if not isinstance(annotation, type):
        return None
    if issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        return get_type_hints(annotation, include_extras=True)
    if is_dataclass(annotation) and PORT_ATTRIBUTE not in annotation.__dict__:
        try:
            read_annotation(annotation)
        except TypeError:
            hints = get_type_hints(annotation, include_extras=True)
            return {item.name: hints[item.name] for item in fields(annotation)}
    return None


def _outputs_of_tuple(node_name: str, annotation: Any) -> dict[str, Any] | None:
    items = get_args(annotation)
    if Ellipsis in items or not items:
        return None
    outputs: dict[str, Any] = {}
    for item in items:
        name = _output_name(str(_read(node_name, "return", item).expr))
        known = [other for other in outputs if re.fullmatch(rf"{name}(_\d+)?", other)]
        outputs[f"{name}_{len(known) + 1}" if known else name] = item
    return outputs


def _is_tuple_of_one(annotation: Any) -> bool:
    items = get_args(annotation)
    return get_origin(annotation) is tuple and len(items) == 1 and items[0] != ()


def _output_name(type_text: str) -> str:
    """Return a type's name in snake case as an output's name; a list's is its item's plural."""
    if type_text.startswith("list["):
        inner = _output_name(type_text[5:-1])
        return inner if inner == "output" else f"{inner}s"
    if not type_text.isidentifier() or type_text == "Any":
        return "output"
    plain = {"int": "number", "float": "number", "str": "text", "bool": "value"}
    return plain.get(type_text) or snake_case(type_text)


def _label(name: str) -> str:
    return snake_case(name).replace("_", " ").capitalize()
