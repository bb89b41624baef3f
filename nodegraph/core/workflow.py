"""The workflow file: nodes by name, the links between them, and what people vary."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nodegraph.core.files import write_file
from nodegraph.core.garbage_collection import PausedGC
from nodegraph.core.json_text import read_json, write_json
from nodegraph.core.links import (
    Link,
    Value,
    live_inputs,
    parse_target,
    too_large_inputs,
    write_input,
    write_literal,
)
from nodegraph.core.migrations import FORMAT, migrate_format
from nodegraph.core.parts import (
    MODES,
    Mode,
    NodeEntry,
    Parameter,
    Subgraph,
    WorkflowPart,
    anything,
    bad_mode,
    in_words,
    is_node_name,
    key,
    named,
    parts_by_name,
    text,
)
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import pluralize
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, Problem

if TYPE_CHECKING:
    from rich.console import Group
    from typing_extensions import Self


@dataclass(kw_only=True)
class Workflow(WorkflowPart):
    """A workflow as its file says it.

    Attributes:
        parameters: The inputs that people vary, by the name they go by.
        nodes: By name, in the author's order.
        subgraphs: Reusable blocks by name; one hides a node type of the same name.
        requires: Version specifiers by pack.
        ui: The editor's own; the engine never reads it.
    """

    format: str = field(default=FORMAT, metadata=key(text, always=True))
    title: str = field(default="", metadata=key(text))
    description: str = field(default="", metadata=key(text))
    parameters: dict[str, Parameter] = field(
        default_factory=dict, metadata=parts_by_name(Parameter, short="input")
    )
    nodes: dict[str, NodeEntry] = field(
        default_factory=dict, metadata=parts_by_name(NodeEntry, is_node_name, always=True)
    )
    subgraphs: dict[str, Subgraph] = field(default_factory=dict, metadata=parts_by_name(Subgraph))
    requires: dict[str, str] = field(default_factory=dict, metadata=key(named(text)))
    ui: dict[str, Any] = field(default_factory=dict, metadata=key(named(anything)))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a workflow file.

        Raises:
            InvalidFile: It is missing, unreadable, no JSON or no nodegraph workflow.
            InvalidWorkflow: Parts of it have the wrong form; lists all of them.
        """
        return cls.from_dict(read_document(path))

    @classmethod
    def from_json(cls, text: str, *, name: str = "") -> Self:
        """Read a workflow from JSON text; raises as `load` does.

        Args:
            name: Where the text comes from, for messages.
        """
        return cls.from_dict(read_json(text, name=name))

    @classmethod
    def of(cls, workflow: WorkflowOrDict) -> Workflow:
        """A workflow as it is, or read from its dictionary; raises as `load` does.

        Raises:
            InvalidValue: It is neither.
        """
        if isinstance(workflow, Workflow):
            return workflow
        if isinstance(workflow, Mapping):
            return cls.from_dict(dict(workflow))
        raise InvalidValue(
            "this is not a workflow",
            given=type(workflow).__name__,
            expected="a `Workflow` or a `Graph`, or the dictionary of one",
        )

    @classmethod
    def from_dict(cls, document: Any) -> Self:
        """Read a workflow from what its JSON says; raises as `load` does."""
        if not isinstance(document, dict):
            raise InvalidFile(
                "a workflow is a JSON object",
                given=in_words(document),
                expected=f'{{"format": "{FORMAT}", "nodes": {{…}}}}',
            )
        with PausedGC():
            return cls.read(migrate_format(document))

    def to_json(self) -> str:
        """The file's text, the same for the same workflow.

        Nodes, inputs, parameters and subgraphs keep the author's order, so that a change shows
        as itself in a diff; ``ui`` is sorted. Live values are named: see `without_values`.

        Raises:
            InvalidValue: An input holds something that JSON can't.
        """
        if too_large := self.too_large_input():
            node, port = too_large
            raise InvalidValue("has too many parts to be written as JSON", node=node, port=port)
        blocks = [("subgraphs", name, "nodes") for name in self.subgraphs]
        document = self.without_values().to_dict()
        if self.ui:
            document["ui"] = _sorted(self.ui)
        return write_json(document, expanded=[(), ("nodes",), ("subgraphs",), *blocks])

    def __repr__(self) -> str:
        title = f" {self.title!r}" if self.title else ""
        return f"<Workflow{title} of {pluralize(len(self.nodes), 'node')}>"

    def _repr_html_(self) -> str:
        """The workflow drawn, in notebooks."""
        from nodegraph.core.drawing.boxes import drawings
        from nodegraph.core.drawing.svg import picture_html

        return picture_html(drawings(self.nodes, self.subgraphs, self.title or "workflow"))

    def __rich__(self) -> Group:
        """The workflow as Rich prints it: its nodes, and what they are given."""
        from nodegraph.core.tables import workflow_table

        return workflow_table(self.nodes, self.title)

    def save(self, path: str | Path) -> None:
        """Write the file in one step: a crash leaves the old one or the new one.

        Raises:
            OutputError: It can't be written.
        """
        write_file(Path(path), self.to_json().encode())

    def with_inputs(self, values: Mapping[str, Any]) -> Self:
        """A copy in which inputs, each ``node.input``, have other values or links.

        A `Link` links, and so does ``{"from": "node.port"}``, as in a file.

        Raises:
            InvalidWorkflow: No such node; lists every wrong target.
        """
        return self._written({target: write_input(value) for target, value in values.items()})

    def _written(self, values: Mapping[str, Any]) -> Self:
        _raise_all(self.target_problem(target) for target in values)
        nodes = dict(self.nodes)
        for target, written in values.items():
            node, port = parse_target(target)
            inputs = nodes[node].inputs | {port: written}
            nodes[node] = replace(nodes[node], inputs=inputs)
        return self._with_nodes(nodes)

    def with_parameters(self, values: Mapping[str, Any]) -> Self:
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

    def live_inputs(self) -> list[tuple[str, str, Value]]:
        """Node, input and value of each input that is given a live value."""
        return [
            (name, port, value)
            for name, entry in self.nodes.items()
            for port, value in live_inputs(entry.inputs)
        ]

    def too_large_input(self) -> tuple[str, str] | None:
        """Node and input of a literal of so many parts that no file and no key is made of it."""
        return next(
            (
                (name, port)
                for nodes in (self.nodes, *(block.nodes for block in self.subgraphs.values()))
                for name, entry in nodes.items()
                for port in too_large_inputs(entry.inputs)
            ),
            None,
        )

    def without_values(self) -> Self:
        """A copy as files have it: inputs with live values are left out, and named by parameters.

        A parameter that there is for such an input stays; a new one is called as the input, or as
        node and input where that is taken. Its help says what was given.
        """
        values = self.live_inputs()
        if not values:
            return self
        nodes, parameters = dict(self.nodes), dict(self.parameters)
        known = {parameter.input: name for name, parameter in parameters.items()}
        ports = Counter(port for _, port, _ in values)
        for node, port, value in values:
            left = {name: written for name, written in nodes[node].inputs.items() if name != port}
            nodes[node] = replace(nodes[node], inputs=left)
            target = f"{node}.{port}"
            name = known.get(target) or _free_name(
                port if ports[port] == 1 else f"{node}_{port}", f"{node}_{port}", parameters
            )
            parameter = parameters.get(name) or Parameter(input=target)
            help_text = parameter.help or f"It was given in memory: {value.text}."
            parameters[name] = replace(parameter, help=help_text, required=True)
        copied = self._with_nodes(nodes)
        copied.parameters = parameters
        return copied

    def with_modes(self, modes: Mapping[str, str | None]) -> Self:
        """A copy in which nodes are muted (``mute``), bypassed (``bypass``), or run (None).

        Raises:
            InvalidWorkflow: No such node or mode; lists all that are wrong.
        """
        _raise_all(self._mode_problem(node, mode) for node, mode in modes.items())
        nodes = dict(self.nodes)
        for node, mode in modes.items():
            nodes[node] = replace(nodes[node], mode=cast("Mode | None", mode))
        return self._with_nodes(nodes)

    def _with_nodes(self, nodes: dict[str, NodeEntry]) -> Self:
        return replace(self, nodes=nodes)

    def _mode_problem(self, node: str, mode: str | None) -> Problem | None:
        if node not in self.nodes:
            hint = did_you_mean(node, self.nodes) or None
            return Problem("unknown-node", f"there is no node `{node}`", hint=hint)
        if mode is None or mode in MODES:
            return None
        return bad_mode(mode, node)

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
            return Problem("bad-target", f"`{target}` is not an input", expected="`node.input`")
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
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{path} is not UTF-8 text (byte {error.start})",
            hint="A workflow is a JSON file.",
        ) from error
    return read_json(text, name=str(path))


WorkflowOrDict = Workflow | Mapping[str, Any]
"""A workflow, or the dictionary of one."""


def _free_name(name: str, longer: str, taken: Container[str]) -> str:
    """A name for a parameter, or a longer one if it is taken."""
    if name not in taken:
        return name
    more = (f"{longer}_{count}" if count > 1 else longer for count in itertools.count(1))
    return next(each for each in more if each not in taken)


def _raise_all(problems: Iterable[Problem | None]) -> None:
    actual = [problem for problem in problems if problem is not None]
    if actual:
        raise InvalidWorkflow(actual)


def _sorted(value: Any, levels: int = 8) -> Any:
    """Objects by key, down to some level, so that two editors' files merge."""
    if isinstance(value, dict) and levels:
        return {key: _sorted(value[key], levels - 1) for key in sorted(value)}
    return value
