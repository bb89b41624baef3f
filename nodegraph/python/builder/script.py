"""A workflow as the Python script that builds it.

The graph is built here as well, call by call. What a call refuses, as it is wrong or unfinished, is
written as the file has it, so that the script's graph is the workflow in any case. Whatever a
workflow says gets into the script only as a quoted text, or as a name of letters and digits.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from nodegraph.core.context import CPU_PRECISION
from nodegraph.core.file_access import upload_digest
from nodegraph.core.links import is_link, read_link, read_literal
from nodegraph.core.parts import NodeEntry, Parameter, Subgraph
from nodegraph.core.text_format import snake_case
from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError
from nodegraph.python.builder.graph import BuiltSubgraph, Graph
from nodegraph.python.builder.inputs import InnerInput
from nodegraph.python.builder.outputs import BuiltNode
from nodegraph.python.builder.scope import Scope
from nodegraph.python.builder.stubs import is_name
from nodegraph.session.session import Session

_WIDTH = 96
_RESERVED = {"g", "Graph", "NodeEntry", "Parameter", "Path", "Session", "Subgraph", "file", "print"}


_VALUES = "# What was in memory are parameters: give it as g.run(parameters={...})."
_UPLOADS = "# Paths that begin with upload: are those of a server: give paths of your own instead."


def python_script(
    workflow: Workflow, session: Session, *, inputs: str = "", packs: Sequence[Path] = ()
) -> str:
    """The text of a script that builds a workflow and, where it is the program, runs it.

    Live values are parameters in it; see `Workflow.without_values`.

    Args:
        session: Whose node types there are.
        inputs: Python for the folder where relative input paths start, for workflows that name
            files.
        packs: Folders and files of packs that the script is to name, as they aren't installed.
    """
    return _Script(workflow, session, inputs, packs).text()


class _Script:
    def __init__(
        self, workflow: Workflow, session: Session, inputs: str, packs: Sequence[Path]
    ) -> None:
        self._workflow = workflow.without_values()
        self._has_values = self._workflow is not workflow
        self._inputs = inputs
        self._packs = packs
        self._lines: list[str] = []
        self._imports: set[str] = set()
        self._taken = {*_RESERVED, *keyword.kwlist, *keyword.softkwlist}
        self._blocks: dict[str, str] = {}
        self._graph = Graph(
            workflow.title,
            session=session,
            description=workflow.description,
            requires=dict(workflow.requires),
            cpu_precision=workflow.cpu_precision,
        )

    def text(self) -> str:
        self._begin()
        for name in _in_order(self._workflow.subgraphs, self._used_subgraphs()):
            self._subgraph(name, self._workflow.subgraphs[name])
        varied = [_link(each.input)[0] for each in self._workflow.parameters.values()]
        variables = self._nodes(self._graph, "g", self._workflow.nodes, {}, varied)
        for name, parameter in self._workflow.parameters.items():
            self._parameter(name, parameter, variables)
        self._write_remaining_fields()
        imports = [f"from nodegraph import Graph{', Session' if self._packs else ''}"]
        if self._imports:
            imports.append(f"from nodegraph.core import {', '.join(sorted(self._imports))}")
        if self._inputs and self._names_files():
            imports = ["from pathlib import Path", "", *imports]
        if self._has_values:
            imports = [_VALUES, "", *imports]
        if _holds_upload(self._workflow):
            imports = [_UPLOADS, "", *imports]
        end = ['if __name__ == "__main__":', "    for file in g.run().files:"]
        return "\n".join([*imports, "", *self._lines, "", *end, "        print(file.path)", ""])

    def _begin(self) -> None:
        arguments = [python(self._workflow.title)] if self._workflow.title else []
        for key in ("description", "requires", CPU_PRECISION):
            if value := getattr(self._workflow, key):
                arguments.append(f"{key}={python(value)}")
        inputs = [f"inputs={self._inputs}"] if self._inputs and self._names_files() else []
        if self._packs:
            packs = f"packs={python([str(path) for path in self._packs])}"
            arguments.append(_call("session=Session", [packs, *inputs]))
        else:
            arguments += inputs
        self._write(_call("g = Graph", arguments))

    def _names_files(self) -> bool:
        """Whether a node is given the path of a file that lies with the workflow."""
        blocks = self._workflow.subgraphs.values()
        for entry in [
            *self._workflow.nodes.values(),
            *(e for b in blocks for e in b.nodes.values()),
        ]:
            spec = self._graph.catalog.spec(entry.type)
            for port in spec.inputs if spec else ():
                is_file = port.widget.startswith("file:") and not port.is_model_file
                if is_file and isinstance(entry.inputs.get(port.name), str):
                    return True
        return False

    def _write(self, *lines: str) -> None:
        self._lines.extend(lines)

    def _variable(self, name: str) -> str:
        """A name of Python's that nothing else has."""
        base = re.sub(r"[^a-z0-9]+", "_", snake_case(name)).strip("_") or "node"
        base = f"node_{base}" if base[0].isdigit() else base
        candidate, count = base, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{base}_{count}"
        self._taken.add(candidate)
        return candidate

    # Nodes

    def _nodes(
        self,
        scope: Scope,
        variable: str,
        entries: Mapping[str, NodeEntry],
        fed: Mapping[str, Mapping[str, str]],
        used: Iterable[str] = (),
    ) -> dict[str, str]:
        """Add nodes; gives back the variables that they are in.

        Args:
            fed: Of nodes of a subgraph, by name and port, its input that leads there.
            used: Names of nodes that are needed later on.
        """
        needs = {name: _sources(entry) for name, entry in entries.items()}
        wanted = {*used, *(source for sources in needs.values() for source in sources)}
        variables: dict[str, str] = {}
        for name in _in_order(entries, needs):
            made = self._node(scope, variable, name, entries[name], variables, fed.get(name, {}))
            extras = _entry_fields(entries[name])
            if name in wanted or extras:
                variables[name] = self._variable(name)
                made = f"{variables[name]} = {made}" if made else ""
                if not made:
                    made = f"{variables[name]} = {variable}[{python(name)}]"
            if made:
                self._write(made)
            for key, value in extras.items():
                setattr(scope.entry(name), key, value)
                self._write(f"{variable}.entry({variables[name]}).{key} = {python(value)}")
        if list(entries) != list(scope):
            target = "g.nodes" if scope is self._graph else f"{variable}.subgraph.nodes"
            order = python(list(entries))
            self._write(f"{target} = {{name: {target}[name] for name in {order}}}")
        return variables

    def _node(
        self,
        scope: Scope,
        variable: str,
        name: str,
        entry: NodeEntry,
        variables: Mapping[str, str],
        fed: Mapping[str, str],
    ) -> str:
        """The call that adds a node; empty if it was added as the file has it."""
        arguments: list[tuple[str, str]] = []
        values: dict[str, Any] = {}
        for port, written in entry.inputs.items():
            argument = self._subgraph_given(entry.type, port, written)
            argument = argument or _input_code(scope, written, variables)
            if argument is None:
                return self._raw_node(scope, variable, name, entry)
            arguments.append((port, argument[0]))
            values[port] = argument[1]
        for port, inner in fed.items():
            arguments.append((port, self._blocks[f"{variable}.{inner}"]))
            values[port] = InnerInput(scope, inner)
        derived = scope._free_name(entry.type)
        try:
            scope.node(entry.type, name, **values)
        except NodegraphError:
            return self._raw_node(scope, variable, name, entry)
        if scope.entry(name).inputs != entry.inputs:
            del scope._entries()[name]
            return self._raw_node(scope, variable, name, entry)
        first = [] if derived == name else [python(name)]
        return self._call_of(variable, entry.type, first, arguments)

    def _subgraph_given(self, kind: str, port: str, written: Any) -> tuple[str, str] | None:
        """A subgraph that a node is to run."""
        spec = self._graph.catalog.spec(kind)
        port_spec = spec.inputs_by_name.get(port) if spec else None
        is_one = port_spec is not None and port_spec.body is not None and isinstance(written, str)
        return (self._blocks[written], written) if is_one and written in self._blocks else None

    def _call_of(
        self, variable: str, kind: str, first: list[str], arguments: Sequence[tuple[str, str]]
    ) -> str:
        pack, _, plain = kind.rpartition(":")
        path = [*([pack] if pack else []), plain]
        is_method = kind not in self._workflow.subgraphs and all(map(is_name, path))
        if is_method and not self._is_attribute(path[0]):
            function = ".".join([variable, *path])
        else:
            function = f"{variable}.node"
            block = self._blocks.get(kind)
            first = [block or python(kind), *first]
        inputs = [f"{port}={text}" for port, text in arguments if _is_keyword(port)]
        odd = [f"{python(port)}: {text}" for port, text in arguments if not _is_keyword(port)]
        return _call(function, [*first, *inputs, *([f"**{{{', '.join(odd)}}}"] if odd else [])])

    def _is_attribute(self, name: str) -> bool:
        """Whether a graph or a subgraph has something of its own there, and no node type."""
        mine = {*vars(self._graph), "name"}
        return name in mine or hasattr(Graph, name) or hasattr(BuiltSubgraph, name)

    def _raw_node(self, scope: Scope, variable: str, name: str, entry: NodeEntry) -> str:
        document = entry.to_dict()
        scope._entries()[name] = NodeEntry.read(document)
        target = "g.nodes" if scope is self._graph else f"{variable}.subgraph.nodes"
        self._imports.add("NodeEntry")
        self._write(f"{target}[{python(name)}] = NodeEntry.read({python(document)})")
        return ""

    # Subgraphs

    def _used_subgraphs(self) -> dict[str, list[str]]:
        blocks = self._workflow.subgraphs
        texts = {
            name: [
                text
                for entry in block.nodes.values()
                for text in (entry.type, *entry.inputs.values())
                if isinstance(text, str)
            ]
            for name, block in blocks.items()
        }
        return {
            name: [text for text in node_texts if text in blocks]
            for name, node_texts in texts.items()
        }

    def _subgraph(self, name: str, block: Subgraph) -> None:
        variable = self._blocks[name] = self._variable(name)
        built = self._graph.subgraph(name)
        self._write("", _call(f"{variable} = g.subgraph", [python(name)]))
        with suppress(NodegraphError):  # what is there by then is replaced
            self._build(built, variable, block)
        if built.subgraph.to_dict() != block.to_dict():
            self._graph.subgraphs[name] = Subgraph.read(block.to_dict())
            self._imports.add("Subgraph")
            self._write(f"g.subgraphs[{python(name)}] = Subgraph.read({python(block.to_dict())})")
        self._write("")

    def _build(self, built: BuiltSubgraph, variable: str, block: Subgraph) -> None:
        fed: dict[str, dict[str, str]] = {}
        for name, port in block.inputs.items():
            arguments = [python(name), *([python(port.type)] if port.type else [])]
            keys = {"help": port.help} if port.help else {}
            if port.has_default:
                keys["default"] = read_literal(port.default)
            arguments += [f"{key}={python(value)}" for key, value in keys.items()]
            built.input(name, port.type, **keys)
            self._blocks[f"{variable}.{name}"] = inner = self._variable(name)
            self._write(_call(f"{inner} = {variable}.input", arguments))
            for target in port.to:
                node, _, inside = target.partition(".")
                fed.setdefault(node, {})[inside] = name
        ends = {name: _link(text) for name, text in block.outputs.items()}
        used = [node for node, _ in ends.values()]
        variables = self._nodes(built, variable, block.nodes, fed, used)
        for name, (node, end) in ends.items():
            output = _output(built, node, end, variables)
            built.output(name, output[1])
            self._write(_call(f"{variable}.output", [python(name), output[0]]))

    # What else is said

    def _parameter(self, name: str, parameter: Parameter, variables: Mapping[str, str]) -> None:
        node, port = _link(parameter.input)
        keys = {key: getattr(parameter, key) for key in ("label", "help", "required")}
        options = [f"{key}={python(value)}" for key, value in keys.items() if value]
        with suppress(NodegraphError):
            self._graph.parameter(name, node, port, **keys)
        made = self._graph.parameters.get(name)
        if made is not None and made.to_dict() == parameter.to_dict():
            self._write(
                _call("g.parameter", [python(name), variables[node], python(port), *options])
            )
            return
        self._imports.add("Parameter")
        self._graph.parameters[name] = parameter
        self._write(f"g.parameters[{python(name)}] = Parameter.read({python(parameter.to_dict())})")

    def _write_remaining_fields(self) -> None:
        names = list(self._workflow.subgraphs)
        if names != list(self._graph.subgraphs):
            self._write(f"g.subgraphs = {{name: g.subgraphs[name] for name in {python(names)}}}")
        for key in ("format", "ui", "extra"):
            value = getattr(self._workflow, key)
            if value != getattr(self._graph, key):
                self._write(f"g.{key} = {python(value)}")


def _input_code(scope: Scope, written: Any, variables: Mapping[str, str]) -> tuple[str, Any] | None:
    """What an input is given, as Python and as a value; None if no call can give it."""
    if not is_link(written):
        literal = read_literal(written)
        return _literal(literal), literal
    try:
        link = read_link(written)
        if len(written) > 1 or link.node not in variables:
            return None
        return _output(scope, link.node, link.port, variables)
    except (ValueError, NodegraphError):
        return None


def _output(scope: Scope, node: str, port: str, variables: Mapping[str, str]) -> tuple[str, Any]:
    built: BuiltNode = scope[node]
    if not port:
        return variables[node], built
    access = f".{port}" if is_name(port) else f"[{python(port)}]"
    return variables[node] + access, built[port]


def _holds_upload(workflow: Workflow) -> bool:
    entries = list(workflow.nodes.values())
    for block in workflow.subgraphs.values():
        entries += block.nodes.values()
    return any(_is_upload(value) for entry in entries for value in entry.inputs.values())


def _is_upload(value: Any) -> bool:
    return isinstance(value, str) and upload_digest(value) is not None


def _link(text: str) -> tuple[str, str]:
    node, _, port = text.partition(".")
    return node, port


def _literal(value: Any) -> str:
    """A value as Python: long texts of several lines stand line by line, in brackets."""
    if isinstance(value, str) and len(value) > _WIDTH // 2 and "\n" in value:
        lines = "".join(f"    {python(line)}\n" for line in value.splitlines(keepends=True))
        return f"(\n{lines})"
    return python(value)


def python(value: Any) -> str:
    """A JSON value as Python writes it, texts in double quotes where that needs no more escapes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{python(key)}: {python(value[key])}" for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(python, value)) + "]"
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text


def _sources(entry: NodeEntry) -> list[str]:
    sources = []
    for written in entry.inputs.values():
        if is_link(written) and isinstance(written["from"], str):
            sources.append(_link(written["from"])[0])
    return sources


def _entry_fields(entry: NodeEntry) -> dict[str, Any]:
    """What a node's entry says beside its type and inputs."""
    plain = NodeEntry(type=entry.type)
    names = [item.name for item in fields(entry) if item.name not in ("type", "inputs")]
    values = {name: getattr(entry, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(plain, name)}


def _in_order(names: Iterable[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Each after those it needs, else as they come; in circles, too."""
    done: dict[str, None] = {}
    visited: set[str] = set()
    for name in names:
        waiting = [name]
        while waiting:
            visited.add(waiting[-1])
            left = [each for each in needs.get(waiting[-1], ()) if each in needs]
            left = [each for each in left if each not in visited]
            if left:
                waiting.append(left[0])
            else:
                done[waiting.pop()] = None
    return list(done)


def _is_keyword(port: str) -> bool:
    return port.isidentifier() and not keyword.iskeyword(port)


def _call(function: str, arguments: Sequence[str]) -> str:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    lines = [text.replace("\n", "\n    ") for text in arguments]
    inner = "".join(f"    {text},\n" for text in lines)
    return f"{function}(\n{inner})"
