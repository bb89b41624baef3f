"""What a saved workflow takes and gives, seen as an app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.links import is_link, parse_target, read_literal
from nodegraph.core.overrides import input_spec
from nodegraph.core.spec import InputSpec
from nodegraph.core.workflow import Parameter, Workflow
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.server.content.saved import SavedWorkflow


@dataclass(frozen=True, slots=True)
class AppParameter:
    """A named parameter of a workflow.

    Attributes:
        label: For people.
        node, input: What it feeds.
        port: What that takes.
        is_given: Whether the workflow itself gives it a value or a link.
        default: What it has if nothing is given; None if that is a link, or nothing.
    """

    name: str
    label: str
    help: str
    node: str
    port: InputSpec
    is_given: bool
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether the app can't run without it."""
        return self.port.required and not self.is_given

    @property
    def is_file(self) -> bool:
        """Whether it names a file, which can be brought along; models lie on the server."""
        return self.port.widget.startswith("file") and self.port.widget != "file:model"


@dataclass(frozen=True, slots=True)
class AppOutput:
    """A node that gives files."""

    node: str
    label: str
    type: str


@dataclass(frozen=True, slots=True)
class App:
    """A saved workflow as an app.

    Attributes:
        title: For people; its name if it has none.
        problems: Why it, or a parameter, can't be used.
    """

    name: str
    title: str
    description: str
    version: int
    digest: str
    parameters: tuple[AppParameter, ...]
    outputs: tuple[AppOutput, ...]
    problems: tuple[Problem, ...]

    def parameter(self, name: str) -> AppParameter | None:
        """The parameter of a name; None if there is none."""
        return next((each for each in self.parameters if each.name == name), None)


def app_of(saved: SavedWorkflow, catalog: Catalog) -> App:
    """A saved workflow as an app.

    Raises:
        InvalidFile, InvalidWorkflow: Its file was changed by hand, and can't be read.
    """
    workflow = Workflow.from_dict(saved.document)
    parameters: list[AppParameter] = []
    problems: list[Problem] = []
    for name, declared in workflow.parameters.items():
        try:
            parameters.append(_parameter(workflow, name, declared, catalog))
        except InvalidWorkflow as error:
            problems += error.problems
    return App(
        name=saved.name,
        title=workflow.title or saved.name,
        description=workflow.description,
        version=saved.version.number,
        digest=saved.version.digest,
        parameters=tuple(parameters),
        outputs=_outputs(workflow, catalog),
        problems=tuple(problems),
    )


def _parameter(
    workflow: Workflow, name: str, declared: Parameter, catalog: Catalog
) -> AppParameter:
    port = input_spec(workflow, declared.input, catalog)
    node, target = parse_target(declared.input)
    entry = workflow.nodes[node]
    if port is None:
        fault = Problem("unknown-node-type", "there is no such node type", node, entry.type)
        raise InvalidWorkflow([fault])
    if port.json_schema is None:
        fault = Problem(
            *("link-needed", f"the parameter `{name}` feeds an input that only takes a link"),
            *(node, entry.type, port.name),
        )
        raise InvalidWorkflow([fault])
    written = entry.inputs.get(target)
    is_given = target in entry.inputs
    return AppParameter(
        name=name,
        label=declared.label or name.replace("_", " ").capitalize(),
        help=declared.help or port.help,
        node=node,
        port=port,
        is_given=is_given,
        default=None if is_link(written) else read_literal(written) if is_given else port.default,
    )


def _outputs(workflow: Workflow, catalog: Catalog) -> tuple[AppOutput, ...]:
    found = []
    for name, entry in workflow.nodes.items():
        spec = catalog.spec(entry.type)
        if spec is not None and spec.output and entry.mode is None:
            found.append(AppOutput(name, entry.label or name, entry.type))
    return tuple(found)
