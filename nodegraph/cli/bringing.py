"""Bringing files of this machine to a server: those that a workflow reads."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.cli.output import echo_stderr, format_path, format_size
from nodegraph.core.links import is_link
from nodegraph.core.overrides import input_spec
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import InputSpec
from nodegraph.core.subgraphs import SpecResolver
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, NodegraphError

if TYPE_CHECKING:
    from nodegraph.client import Client, NodeTypes

_FILE = "file:"
_FILE_STATUS_CODES = (413, 415, 422)
"""Statuses that say something of the file that was sent."""


class FileUploader:
    """Uploads what inputs of a workflow name, each file once.

    Inputs that name no file here stay as they are: they may name one of the server's.

    Args:
        types: Tell which inputs take files; models stay where they are.
        folder: Where relative paths start.
        quiet: Say nothing of it.
    """

    def __init__(self, client: Client, types: NodeTypes, folder: Path, *, quiet: bool) -> None:
        self._client = client
        self._types = types
        self._folder = folder
        self._quiet = quiet
        self._brought: dict[Path, str] = {}

    def upload_workflow_files(self, workflow: Workflow) -> dict[str, Any]:
        """What the file of a workflow says, with uploads in place of paths.

        Raises:
            InvalidFile: One of them isn't taken by the server.
        """
        document = deepcopy(workflow.to_dict())
        specs = SpecResolver(workflow, self._types)
        self._nodes(document.get("nodes", {}), workflow.nodes, specs)
        for name, block in workflow.subgraphs.items():
            self._nodes(document["subgraphs"][name].get("nodes", {}), block.nodes, specs)
        return document

    def _nodes(
        self, written: dict[str, Any], entries: Mapping[str, NodeEntry], specs: SpecResolver
    ) -> None:
        for name, entry in entries.items():
            spec = specs.resolve(entry)
            inputs = written[name].get("inputs", {})
            for port in spec.inputs if spec is not None else ():
                if port.name in inputs and _takes_file(port):
                    inputs[port.name] = self._value(inputs[port.name])

    def upload_parameter_files(
        self, workflow: Workflow, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Values of parameters, with uploads in place of paths; raises as `workflow` does."""
        converted = {}
        for name, value in values.items():
            port = self._port(workflow, name)
            converted[name] = (
                self._value(value) if port is not None and _takes_file(port) else value
            )
        return converted

    def _port(self, workflow: Workflow, name: str) -> InputSpec | None:
        try:
            return input_spec(workflow, workflow.parameters[name].input, self._types)
        except InvalidWorkflow:
            return None  # the server tells of it

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict) and not is_link(value):
            return {key: self._value(item) for key, item in value.items()}
        return self._file(value) if isinstance(value, str) else value

    def _file(self, text: str) -> str:
        path = self._path(text)
        if path is None:
            return text
        if path not in self._brought:
            self._brought[path] = self._upload(path)
        return self._brought[path]

    def _path(self, text: str) -> Path | None:
        """The file of this machine that a text names, if it names one."""
        try:
            path = self._folder / Path(text).expanduser()
            return path if path.is_file() else None
        except (OSError, RuntimeError, ValueError):
            return None  # nobody's home, a zero byte, a name that is too long

    def _upload(self, path: Path) -> str:
        try:
            upload = self._client.upload(path)
        except NodegraphError as error:
            if not _is_about_file(error):
                raise
            # Nobody would know otherwise which of the files it is.
            problem = error.problem
            raise InvalidFile(
                f"{format_path(path)} can't be uploaded: {problem.message}",
                given=problem.given,
                expected=problem.expected,
                hint=problem.hint,
            ) from error
        if not self._quiet:
            echo_stderr(f"Uploaded {format_path(path)}, {format_size(upload.size)}.")
        return upload.value


def _is_about_file(error: NodegraphError) -> bool:
    from nodegraph.client import ServerError

    if isinstance(error, ServerError):
        return error.status in _FILE_STATUS_CODES
    return isinstance(error, (InvalidFile, InvalidWorkflow, InvalidValue))


def _takes_file(port: InputSpec) -> bool:
    return port.widget.startswith(_FILE) and not port.is_model_file
