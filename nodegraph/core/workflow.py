"""The workflow file: nodes by name, the links between them, and what people vary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from nodegraph.core.collecting import NoCollecting
from nodegraph.core.digests import LEAVES
from nodegraph.core.files import write_file
from nodegraph.core.json_text import read_json, write_json
from nodegraph.core.links import Link, parse_target, write_input, write_literal
from nodegraph.core.migrate import FORMAT, migrate_format
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, Problem

Name = Annotated[str, StringConstraints(pattern=r"^[^./]+$")]
"""Of a node: any text without ``.`` (parts node and port) and ``/`` (parts block and node)."""


Mode = Literal["mute", "bypass"]
"""Of a node that doesn't run: it leaves out what depends on it, or its inputs stand for it."""
MODES: tuple[Mode, ...] = get_args(Mode)


def _own(value: Any) -> Any:
    """A JSON value whose lists and objects nobody else holds: a run may last, and they change."""
    try:
        return _owned(value)
    except RecursionError:  # of what holds itself, which is told where it is checked
        return value


def _owned(value: Any) -> Any:
    if type(value) is list:
        # Long lists are mostly of numbers: those are looked over at the speed of C.
        is_flat = LEAVES.issuperset(map(type, value))
        return list(value) if is_flat else [_owned(item) for item in value]
    if type(value) is dict:
        return {key: item if type(item) in LEAVES else _owned(item) for key, item in value.items()}
    return value


class _Part(BaseModel):
    """Unknown keys are kept; values are not converted, so a file means what it says."""

    model_config = ConfigDict(extra="allow", strict=True)


PLACEHOLDER = "comfyui:"
"""What types of nodes begin with that stand for ComfyUI's and keep what its file says of them."""


class NodeEntry(_Part):
    """One node of a workflow.

    Attributes:
        type: Node type, or the name of one of the file's subgraphs.
        version: Version of the type that the inputs were written for; None means today's.
        inputs: As written: literals and links, see `core.links`.
        label: Shown instead of the name.
        note: The author's remark.
        always: Run in any case, never from the cache.
        mode: ``mute``: it isn't run, and what depends on it is left out. ``bypass``: it isn't run,
            and its inputs stand for its outputs. None for nodes that run.
        pack: What brings the type, as far as its author knows; told where there is no such type.
    """

    type: str
    version: Annotated[int, Field(ge=1)] | None = None
    inputs: Annotated[dict[str, Any], AfterValidator(_own)] = Field(default_factory=dict)
    label: str = ""
    note: str = ""
    always: bool = False
    mode: Mode | None = None
    pack: str = ""


class Parameter(_Part):
    """An input that people vary; in the file just ``"node.input"`` if nothing else is said."""

    input: str
    label: str = ""
    help: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, written: Any) -> Any:
        return {"input": written} if isinstance(written, str) else written


class SubgraphInput(_Part):
    """A typed input of a subgraph.

    Attributes:
        type: Type expression; empty for that of the first inner input it leads to.
        to: The inner inputs, each as ``node.input``.
        help: One sentence.
    """

    type: str = ""
    to: list[str] = Field(default_factory=list)
    help: str = ""

    @model_validator(mode="after")
    def _own_default(self) -> SubgraphInput:
        if self.model_extra:
            self.model_extra.update(_own(self.model_extra))
        return self

    # `default` is no field: as an unknown key it tells "null" and "none given" apart.
    @property
    def has_default(self) -> bool:
        return "default" in (self.model_extra or {})

    @property
    def default(self) -> Any:
        """Value where nothing is given, as written; None without one."""
        return (self.model_extra or {}).get("default")


class Subgraph(_Part):
    """A reusable block, used like a node type.

    Attributes:
        outputs: Inner outputs, ``node.port``, by the block's output name.
    """

    inputs: dict[str, SubgraphInput] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    nodes: dict[Name, NodeEntry] = Field(default_factory=dict)


class Workflow(_Part):
    """A workflow as its file says it.

    Attributes:
        parameters: The inputs that people vary, by the name they go by.
        nodes: By name, in the author's order.
        subgraphs: Reusable blocks by name; one hides a node type of the same name.
        requires: Version specifiers by pack.
        ui: The editor's own; the engine never reads it.
    """

    format: str = FORMAT
    title: str = ""
    description: str = ""
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    nodes: dict[Name, NodeEntry] = Field(default_factory=dict)
    subgraphs: dict[str, Subgraph] = Field(default_factory=dict)
    requires: dict[str, str] = Field(default_factory=dict)
    ui: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def new(cls, title: str = "") -> Workflow:
        """An empty workflow."""
        return cls(title=title)

    @classmethod
    def load(cls, path: str | Path) -> Workflow:
        """Read a workflow file.

        Raises:
            InvalidFile: It is missing, unreadable, no JSON or no nodegraph workflow.
            InvalidWorkflow: Parts of it have the wrong form; lists all of them.
        """
        return cls.from_dict(read_document(path))

    @classmethod
    def loads(cls, text: str, *, name: str = "") -> Workflow:
        """Read a workflow from JSON text; raises as `load` does.

        Args:
            name: Where the text comes from, for messages.
        """
        return cls.from_dict(read_json(text, name=name))

    @classmethod
    def from_dict(cls, document: Any) -> Workflow:
        """Read a workflow from what its JSON says; raises as `load` does."""
        if not isinstance(document, dict):
            raise InvalidFile(
                "a workflow is a JSON object",
                given=_kind(document),
                expected=f'{{"format": "{FORMAT}", "nodes": {{…}}}}',
            )
        try:
            with NoCollecting():
                return cls.model_validate(migrate_format(document))
        except ValidationError as error:
            raise InvalidWorkflow(_problems(error)) from None

    def to_dict(self) -> dict[str, Any]:
        """What the file says: known keys in a fixed order, then unknown ones by name.

        It is the caller's own.
        """
        return _written(self, always=("format", "nodes")) | _extra(self)

    def dumps(self) -> str:
        """The file's text, the same for the same workflow.

        Nodes, inputs, parameters and subgraphs keep the author's order, so that a change shows
        as itself in a diff; ``ui`` is sorted.

        Raises:
            InvalidValue: An input holds something that JSON can't.
        """
        blocks = [("subgraphs", name, "nodes") for name in self.subgraphs]
        document = self.to_dict()
        if self.ui:
            document["ui"] = _sorted(self.ui)
        return write_json(document, expanded=[(), ("nodes",), ("subgraphs",), *blocks])

    def save(self, path: str | Path) -> None:
        """Write the file in one step: a crash leaves the old one or the new one.

        Raises:
            OutputError: It can't be written.
        """
        write_file(Path(path), self.dumps().encode())

    def add(self, name: str, node_type: str, /, **inputs: Any) -> Link:
        """Add a node to this workflow.

        Args:
            inputs: Values; a `Link` (another `add` returns one) links, and so does
                ``{"from": "node.port"}``, as in a file.
        Returns:
            The node's only output; ``.output("vae")`` is another one.
        Raises:
            InvalidWorkflow: The name can't be a node's.
            InvalidValue: The name is taken.
        """
        if name in self.nodes:
            raise InvalidValue(f"there is a node `{name}` already")
        if not name or "." in name or "/" in name:
            raise InvalidWorkflow([_bad_name(name)])
        written = {port: write_input(value) for port, value in inputs.items()}
        self.nodes[name] = NodeEntry(type=node_type, inputs=written)
        return Link(name)

    def set(self, target: str, value: Any) -> Workflow:
        """A copy in which one input, ``node.input``, has another value or link; see `add`."""
        return self.with_inputs({target: value})

    def with_inputs(self, values: Mapping[str, Any]) -> Workflow:
        """A copy in which inputs, each ``node.input``, have other values or links; see `add`.

        Raises:
            InvalidWorkflow: No such node; lists every wrong target.
        """
        return self._written({target: write_input(value) for target, value in values.items()})

    def _written(self, values: Mapping[str, Any]) -> Workflow:
        _raise_all(self.target_problem(target) for target in values)
        nodes = dict(self.nodes)
        for target, written in values.items():
            node, port = parse_target(target)
            inputs = nodes[node].inputs | {port: written}
            nodes[node] = nodes[node].model_copy(update={"inputs": inputs})
        return self.model_copy(update={"nodes": nodes})

    def with_parameters(self, values: Mapping[str, Any]) -> Workflow:
        """A copy in which parameters have other values.

        Raises:
            InvalidWorkflow: No such parameter, or one that leads nowhere; lists all.
        """
        _raise_all(self.parameter_problem(name) for name in values)
        # Values that others give, who are to change what it is given and not what it does.
        return self._written(
            {
                self.parameters[name].input: write_input(value)
                if isinstance(value, Link)
                else write_literal(value)
                for name, value in values.items()
            }
        )

    def with_modes(self, modes: Mapping[str, str | None]) -> Workflow:
        """A copy in which nodes are muted (``mute``), bypassed (``bypass``), or run (None).

        Raises:
            InvalidWorkflow: No such node or mode; lists all that are wrong.
        """
        _raise_all(self._mode_problem(node, mode) for node, mode in modes.items())
        nodes = dict(self.nodes)
        for node, mode in modes.items():
            nodes[node] = nodes[node].model_copy(update={"mode": mode})
        return self.model_copy(update={"nodes": nodes})

    def _mode_problem(self, node: str, mode: str | None) -> Problem | None:
        if node not in self.nodes:
            hint = did_you_mean(node, self.nodes) or None
            return Problem("unknown-node", f"there is no node `{node}`", hint=hint)
        if mode is None or mode in MODES:
            return None
        return _bad_mode(mode, node)

    def parameter_problem(self, name: str) -> Problem | None:
        """What is wrong with a parameter's name; None if there is such a parameter."""
        if name in self.parameters:
            return None
        return Problem(
            "unknown-parameter",
            f"the workflow has no parameter `{name}`",
            hint=did_you_mean(name, self.parameters) or "It declares none.",
        )

    def target_problem(self, target: str) -> Problem | None:
        """What is wrong with a target; None if it is ``node.input`` of a node that there is."""
        try:
            node, _ = parse_target(target)
        except ValueError:
            return Problem("bad-target", f"`{target}` names no input", expected="`node.input`")
        if node in self.nodes:
            return None
        return Problem(
            "unknown-node",
            f"`{target}`: there is no node `{node}`",
            hint=did_you_mean(node, self.nodes) or None,
        )


def read_document(path: str | Path) -> Any:
    """What a JSON file says, whether it is a workflow or not.

    Raises:
        InvalidFile: It is missing, unreadable or no JSON.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{path} is no UTF-8 text (byte {error.start})",
            hint="A workflow is a JSON file.",
        ) from error
    return read_json(text, name=str(path))


def _raise_all(problems: Iterable[Problem | None]) -> None:
    found = [problem for problem in problems if problem is not None]
    if found:
        raise InvalidWorkflow(found)


def _written(part: _Part, always: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a part that say something, in the order of the class; the caller's own."""
    values = vars(part)
    return {
        name: {key: _part(item) for key, item in value.items()} if is_of_parts else _own(value)
        for name, is_needed, is_of_parts in _fields(type(part), always)
        if (value := values[name]) or is_needed
    }


@lru_cache
def _fields(kind: type[_Part], always: tuple[str, ...]) -> tuple[tuple[str, bool, bool], ...]:
    """Names of the fields, whether each is written whatever it says, and whether it holds parts."""
    return tuple(
        (name, field.is_required() or name in always, _is_of_parts(field.annotation))
        for name, field in kind.model_fields.items()
    )


def _is_of_parts(annotation: Any) -> bool:
    if get_origin(annotation) is not dict:
        return False
    held = get_args(annotation)[1]
    return isinstance(held, type) and issubclass(held, _Part)


def _part(part: _Part) -> Any:
    found = _written(part)
    if part.model_extra:
        found |= _extra(part)
    # The short form of a parameter that is nothing but the input's name.
    return found["input"] if isinstance(part, Parameter) and len(found) == 1 else found


def _extra(part: _Part) -> dict[str, Any]:
    return {key: _own(value) for key, value in sorted((part.model_extra or {}).items())}


def _sorted(value: Any, levels: int = 8) -> Any:
    """Objects by key, down to some level, so that two editors' files merge."""
    if isinstance(value, dict) and levels:
        return {key: _sorted(value[key], levels - 1) for key in sorted(value)}
    return value


_EXPECTED = {
    "string_unicode": "has a name with half a surrogate pair, which is no character",
    "missing": "is missing",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least 1",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
}


def _problems(error: ValidationError) -> list[Problem]:
    return [_problem(details) for details in error.errors(include_url=False)]


def _problem(details: Any) -> Problem:
    place = [str(part) for part in details["loc"]]
    if place and place[-1] == "[key]":
        return _bad_name(place[-2])
    node = place[1] if len(place) > 1 and place[0] == "nodes" else None
    if place[-1:] == ["mode"] and details["type"] == "literal_error":
        found = _bad_mode(details["input"], node)
        inside = f"`{'.'.join(place)}` " if node is None else ""
        return replace(found, message=inside + found.message)
    rest = ".".join(place[2:] if node else place)
    says = _EXPECTED.get(details["type"], details["msg"])
    return Problem(
        "malformed",
        f"`{rest}` {says}" if rest else f"it {says}",
        node=node,
        given=None if details["type"] == "missing" else _kind(details["input"]),
    )


def _bad_mode(mode: Any, node: str | None) -> Problem:
    hint = did_you_mean(mode, MODES) if isinstance(mode, str) else ""
    return Problem(
        "malformed",
        "is no mode of a node",
        node,
        given=_kind(mode),
        expected=" or ".join(f'"{known}"' for known in MODES),
        hint=hint if hint.startswith("Did") else "Leave `mode` out for a node that runs.",
    )


def _bad_name(name: str) -> Problem:
    return Problem(
        "bad-node-name",
        f"{name!r} can't be the name of a node",
        expected="any text without `.` and `/`, at least one character",
    )


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if value is not None else "null"
    return text if len(text) <= 60 else f"{text[:59]}…"
