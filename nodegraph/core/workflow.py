"""The workflow file: nodes by name, the links between them, and named parameters."""

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
    KeyPath,
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
    malformed,
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


PRECISIONS = ("float32", "mixed", "bfloat16")
"""Those of a workflow; see `core.context.CpuPrecision`."""


def _precision(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    if value not in PRECISIONS:
        problems.append(malformed(path, f"must be one of {', '.join(PRECISIONS)}", value))
    return value


@dataclass(kw_only=True)
class Workflow(WorkflowPart):
    """Workflow as in its file: nodes, links and named parameters.

    Attributes:
        format: Name and version of the file format.
        title: Title of the workflow.
        description: Description of the workflow.
        parameters: Inputs that users set for a run, by parameter name.
        nodes: The nodes by name, in the author's order.
        subgraphs: Reusable subgraphs by name. A subgraph hides a node type of the same name.
        requires: Version specifiers of the required packs, by pack.
        ui: Data of the editor. The engine never reads it.
        metadata: Data that a client sends to be kept in files. Only nodes that ask for it, by
            `WorkflowMetadata` or `WorkflowDocument`, depend on it.
        cpu_precision: What the dtype ``auto`` is on a CPU: one of `PRECISIONS`, as results note it;
            the setting counts if it is empty.
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
    metadata: dict[str, Any] = field(default_factory=dict, metadata=key(named(anything)))
    cpu_precision: str = field(default="", metadata=key(_precision))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a workflow file.

        Raises:
            InvalidFile: The file is missing or unreadable, or it is not JSON or not a nodegraph
                workflow.
            InvalidWorkflow: Parts of the workflow have the wrong form. The error lists all of them.
        """
        return cls.from_dict(read_document(path))

    @classmethod
    def from_json(cls, text: str, *, name: str = "") -> Self:
        """Read a workflow from JSON text. Raises the same errors as `load`.

        Args:
            text: The JSON text.
            name: Source of the text, for messages.
        """
        return cls.from_dict(read_json(text, name=name))

    @classmethod
    def of(cls, workflow: WorkflowOrDict) -> Workflow:
        """Return a workflow unchanged, or read it from a dictionary with the errors of `load`.

        Raises:
            InvalidValue: The argument is neither a workflow nor a dictionary.
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
        """Read a workflow from a dictionary of its JSON. Raises the same errors as `load`."""
        if not isinstance(document, dict):
            raise InvalidFile(
                "a workflow is a JSON object",
                given=in_words(document),
                expected=f'{{"format": "{FORMAT}", "nodes": {{…}}}}',
            )
        with PausedGC():
            return cls.read(migrate_format(document))

    def to_json(self) -> str:
        """Return the text of the workflow's file, which is always the same for the same workflow.

        Nodes, inputs, parameters and subgraphs keep the author's order, so that a diff shows only
        real changes. ``ui`` is sorted. Values in memory become parameters: see `without_values`.

        Raises:
            InvalidValue: An input has a value that JSON cannot contain.
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
        """Return a drawing of the workflow for notebooks."""
        from nodegraph.core.drawing.boxes import drawings
        from nodegraph.core.drawing.svg import picture_html

        return picture_html(drawings(self.nodes, self.subgraphs, self.title or "workflow"))

    def __rich__(self) -> Group:
        """Return the workflow as Rich prints it: a table of its nodes and their inputs."""
        from nodegraph.core.tables import workflow_table

        return workflow_table(self.nodes, self.title)

    def save(self, path: str | Path) -> None:
        """Write the workflow to a file in one step: a crash leaves the old or the new file.

        Raises:
            OutputError: The file cannot be written.
        """
        write_file(Path(path), self.to_json().encode())

    def with_inputs(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with other values or links of inputs.

        Args:
            values: The new values by ``node.input``. A `Link` makes a link, and so does
                ``{"from": "node.port"}``, as in a file.
        Raises:
            InvalidWorkflow: A node does not exist. The error lists every wrong target.
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
        """Return a copy with other values of parameters.

        Args:
            values: The new values by parameter name.
        Raises:
            InvalidWorkflow: A parameter does not exist, or its input belongs to no node. The error
                lists all of them.
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
        """Return node, input and value of each input whose value is held in memory."""
        return [
            (name, port, value)
            for name, entry in self.nodes.items()
            for port, value in live_inputs(entry.inputs)
        ]

    def too_large_input(self) -> tuple[str, str] | None:
        """Find a literal with too many parts for a file or a cache key, as node and input."""
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
        """Return a copy for files, in which inputs with values in memory become parameters.

        The values themselves are left out. An existing parameter of such an input is kept. A new
        parameter has the name of the input, or of node and input if that name is taken. Its help
        describes the value.
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
        """Return a copy in which nodes are muted (``mute``), bypassed (``bypass``) or run (None).

        Args:
            modes: The new modes by node.
        Raises:
            InvalidWorkflow: A node or a mode does not exist. The error lists all of them.
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
        """Return the problem with a parameter name, or None if the parameter exists."""
        if name in self.parameters:
            return None
        return Problem(
            "unknown-parameter",
            f"the workflow has no parameter `{name}`",
            hint=did_you_mean(name, self.parameters) or "It declares none.",
        )

    def target_problem(self, target: str) -> Problem | None:
        """Return the problem with a target, or None if it is ``node.input`` of an existing node."""
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


def read_document(path: str | Path, name: str = "") -> Any:
    """Read a JSON file, which does not need to be a workflow.

    Args:
        name: What errors call the file; its path if empty.
    Raises:
        InvalidFile: The file is missing, unreadable or not JSON.
    """
    name = name or str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidFile(f"cannot read {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{name} is not UTF-8 text (byte {error.start})",
            hint="A workflow is a JSON file.",
        ) from error
    return read_json(text, name=name)


WorkflowOrDict = Workflow | Mapping[str, Any]
"""A workflow, or the dictionary of one."""


def _free_name(name: str, longer: str, taken: Container[str]) -> str:
    """Return a free name for a parameter: `name`, or a longer one if it is taken."""
    if name not in taken:
        return name
    more = (f"{longer}_{count}" if count > 1 else longer for count in itertools.count(1))
    return next(each for each in more if each not in taken)


def _raise_all(problems: Iterable[Problem | None]) -> None:
    actual = [problem for problem in problems if problem is not None]
    if actual:
        raise InvalidWorkflow(actual)


def _sorted(value: Any, levels: int = 8) -> Any:
    """Sort objects by key down to some level, so that the files of two editors can be merged."""
    if isinstance(value, dict) and levels:
        return {key: _sorted(value[key], levels - 1) for key in sorted(value)}
    return value
