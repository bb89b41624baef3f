"""Check and translate a prompt that a ComfyUI client submits, with errors in ComfyUI's form.

A prompt is a workflow in the API format. ComfyUI refuses outputs, not prompts: if some outputs are
valid, these run. An error names the node and the input as the client wrote them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from nodegraph.core.analysis import analyse
from nodegraph.core.catalog import Catalog
from nodegraph.core.context import Environment
from nodegraph.errors import InvalidFile, InvalidWorkflow, Problem
from nodegraph.interop.comfyui.entries import WIDGETS, InputSignature, TableEntry
from nodegraph.interop.comfyui.importer import ImportedWorkflow, NodeTable, import_document

Prompt = Mapping[str, Mapping[str, Any]]
"""Nodes by id, each with `class_type` and `inputs`."""

_REASONS: Mapping[str, str] = {
    "missing-input": "required_input_missing",
    "link-needed": "required_input_missing",
    "wrong-type": "return_type_mismatch",
    "wrong-literal": "invalid_input_type",
    "null-not-allowed": "invalid_input_type",
    "not-a-choice": "value_not_in_list",
    "model-not-found": "value_not_in_list",
}
"""ComfyUI's types of reasons, by codes of problems."""
_OTHER_REASON = "custom_validation_failed"
_MESSAGES: Mapping[str, str] = {
    "required_input_missing": "Required input is missing",
    "return_type_mismatch": "Return type mismatch between linked nodes",
    "invalid_input_type": "Failed to convert an input value",
    "value_not_in_list": "Value not in list",
    "value_smaller_than_min": "Value is smaller than the minimum",
    "value_bigger_than_max": "Value is bigger than the maximum",
    "bad_linked_input": "Bad linked input, must be a length-2 list of [node_id, slot_index]",
    "exception_during_validation": "Exception when validating node",
    "dependency_cycle": "Nodes depend on each other in a circle",
    _OTHER_REASON: "Custom validation failed for node",
}
_MOST_INVALID = 256
"""Nodes that an answer names."""
_MOST_REASONS = 64
"""Reasons for one node."""
_MOST_OUTPUTS = 256
"""Outputs that are named as dependent on one node."""
_MOST_OF_CYCLE = 64
"""Nodes that are named of a circle."""
_NUMBERS: Mapping[str, type] = {"INT": int, "FLOAT": float}


def error_document(
    kind: str, message: str, details: str = "", extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return an error in ComfyUI's form."""
    info = dict(extra or {})
    return {"type": kind, "message": message, "details": details, "extra_info": info}


def reason_document(kind: str, details: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return one reason why a node is invalid, in ComfyUI's form."""
    return error_document(kind, _MESSAGES[kind], details, extra)


class InvalidPrompt(Exception):
    """A prompt that cannot run at all.

    Attributes:
        error: What is wrong, as `error_document`.
        node_errors: Reasons by node, as `PromptCheck.node_errors`.
    """

    def __init__(
        self, error: Mapping[str, Any], node_errors: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(error["message"])
        self.error = error
        self.node_errors = node_errors or {}


def is_link(value: object) -> bool:
    """Whether an input's value names an output of another node."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


@dataclass
class PromptCheck:
    """A prompt, with what is wrong with each node.

    Args:
        prompt: Nodes by id.
        table: Known node types.
        catalog: Native node types, which tell the outputs among a pack's node types.

    Attributes:
        reasons: By node, in ComfyUI's form.
    """

    prompt: Prompt
    table: NodeTable
    catalog: Catalog | None = None
    reasons: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def check_types(self) -> None:
        """Check that all node types are known.

        Raises:
            InvalidPrompt: One is not.
        """
        for node_id, node in self.prompt.items():
            node_type = node.get("class_type")
            if isinstance(node_type, str) and node_type in self.table.entries:
                continue
            title = str(_fields(node.get("_meta")).get("title") or node_type or "")
            what = f"the node type `{node_type}` is not known" if node_type else "it has no type"
            extra = {"node_id": node_id, "class_type": node_type, "node_title": title}
            details = (
                f"Node ID '#{node_id}': {what}. Remove the node, or install a pack that has it."
            )
            raise InvalidPrompt(error_document("missing_node_type", what, details, extra))

    def outputs(self, targets: Collection[str] | None = None) -> list[str]:
        """Return the nodes that run for their own sake.

        Args:
            targets: The only nodes to consider; None for all.
        Raises:
            InvalidPrompt: There are none.
        """
        ends = [
            node_id
            for node_id, node in self.prompt.items()
            if self._is_output(self.table.entries[node["class_type"]])
            and (targets is None or node_id in targets)
        ]
        if not ends:
            details = "Add a node that saves or shows something, such as SaveImage."
            raise InvalidPrompt(
                error_document("prompt_no_outputs", "Prompt has no outputs", details)
            )
        return ends

    def _is_output(self, entry: TableEntry) -> bool:
        if entry.is_built_in or self.catalog is None or entry.is_output is not None:
            return entry.is_end
        spec = self.catalog.spec(entry.native) if entry.native else None
        return not entry.signature.outputs or (spec is not None and spec.output)

    def needed(self, ends: Iterable[str]) -> dict[str, None]:
        """Return nodes with all that they depend on."""
        needed: dict[str, None] = {}
        waiting = list(ends)
        while waiting:
            node_id = waiting.pop()
            if node_id not in needed and node_id in self.prompt:
                needed[node_id] = None
                values = _fields(self.prompt[node_id].get("inputs")).values()
                waiting += [value[0] for value in values if is_link(value)]
        return needed

    def check_nodes(self, ids: Iterable[str]) -> None:
        """Check nodes against the signatures of their types."""
        for node_id in ids:
            node = self.prompt[node_id]
            signature = self.table.entries[node["class_type"]].signature
            values = _fields(node.get("inputs"))
            for each in signature.inputs:
                if each.name in values:
                    self._check_value(node_id, each, values[each.name])
                elif _is_required(each):
                    self.add(
                        node_id, "required_input_missing", each.name, {"input_name": each.name}
                    )
            for name, value in values.items():
                if signature.find_input(name) is None and is_link(value):
                    self._check_source(node_id, name, value)
        for first, cycle in self._cycles(ids).items():
            cut = cycle[:_MOST_OF_CYCLE]
            shown = [f"{node_id} ({self.prompt[node_id]['class_type']})" for node_id in cut]
            shown += ["..."] if len(cut) < len(cycle) else []
            extra = {"node_id": first, "cycle_nodes": cut}
            self.add(first, "dependency_cycle", " -> ".join([*shown, shown[0]]), extra)

    def _check_value(self, node_id: str, port: InputSignature, value: Any) -> None:
        config = [port.type, {} if port.default is None else {"default": port.default}]
        extra = {"input_name": port.name, "input_config": config}
        if isinstance(value, list):
            if not is_link(value):
                self.add(node_id, "bad_linked_input", port.name, extra | {"received_value": value})
            elif (output_type := self._check_source(node_id, port.name, value)) and not _fits(
                output_type, port
            ):
                details = (
                    f"{port.name}, received_type({output_type}) mismatch "
                    f"input_type({port.type}): link an output of type {port.type}"
                )
                linked = {"received_type": output_type, "linked_node": value}
                self.add(node_id, "return_type_mismatch", details, extra | linked)
        elif port.type in _NUMBERS:
            try:
                _NUMBERS[port.type](value)
            except (TypeError, ValueError, OverflowError) as error:
                details = f"{port.name}, {value!r:.200}, {error}: a number is expected"
                about = {"received_value": value, "exception_message": str(error)}
                self.add(node_id, "invalid_input_type", details, extra | about)

    def _check_source(self, node_id: str, name: str, value: Sequence[Any]) -> str:
        """Return the type of an output that an input is linked to; empty if it is not known."""
        source, slot = value
        if source not in self.prompt:
            details = f"'{source}': input `{name}` is linked to a node that is not in the prompt"
            self.add(node_id, "exception_during_validation", details, _exception("KeyError"))
            return ""
        outputs = self.table.entries[self.prompt[source]["class_type"]].signature.outputs
        is_number = isinstance(slot, (int, float)) and slot == int(slot)
        if not is_number or not 0 <= slot < len(outputs):
            details = (
                f"input `{name}`: node {source} has no output {slot!r}; it has "
                f"{len(outputs)} outputs, counted from 0"
            )
            self.add(node_id, "exception_during_validation", details, _exception("IndexError"))
            return ""
        return outputs[int(slot)][1]

    def add(self, node_id: str, kind: str, details: str, extra: Mapping[str, Any]) -> None:
        """Add a reason why a node is invalid, once."""
        reason = reason_document(kind, details, extra)
        listed = self.reasons.setdefault(node_id, [])
        is_known = any(
            each["type"] == kind
            and each["extra_info"].get("input_name", details) == extra.get("input_name", details)
            for each in listed
        )
        if not is_known and len(listed) < _MOST_REASONS:
            listed.append(reason)

    def _cycles(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """Return a circle of links for each node that one is found to begin at, by that node.

        A node that is part of many circles is invalid for one of them.
        """
        cycles: dict[str, list[str]] = {}
        done: set[str] = set()
        for first in ids:
            path = {} if first in done else {first: self._sources(first)}
            while path:
                node_id = next(reversed(path))
                source = next(path[node_id], None)
                if source is None:
                    del path[node_id]
                    done.add(node_id)
                elif source in cycles:
                    continue
                elif source in path:
                    members = list(path)
                    at = members.index(source)
                    cycles[source] = members[at : at + _MOST_OF_CYCLE + 1]
                elif source not in done:
                    path[source] = self._sources(source)
        return cycles

    def _sources(self, node_id: str) -> Any:
        values = _fields(self.prompt[node_id].get("inputs")).values()
        return iter([value[0] for value in values if is_link(value) and value[0] in self.prompt])

    def valid(self, ends: Iterable[str]) -> list[str]:
        """Return the outputs of which nothing that they depend on is invalid."""
        invalid = self._dependents(self.reasons) if self.reasons else set()
        return [end for end in ends if end not in invalid]

    def _dependents(self, ids: Iterable[str]) -> set[str]:
        """Return nodes with all that depend on them."""
        dependents: set[str] = set()
        waiting = list(ids)
        while waiting:
            node_id = waiting.pop()
            if node_id not in dependents:
                dependents.add(node_id)
                waiting += self._users.get(node_id, ())
        return dependents

    @cached_property
    def _users(self) -> Mapping[str, Sequence[str]]:
        """Nodes with a link to a node, by that node."""
        users: dict[str, list[str]] = {}
        for node_id in self.prompt:
            for source in self._sources(node_id):
                users.setdefault(source, []).append(node_id)
        return users

    def node_errors(self, ends: Sequence[str]) -> dict[str, Any]:
        """Return the reasons by node, with the outputs that depend on it; the first ones.

        All of a prompt of thousands of nodes would be the square of it.
        """
        errors: dict[str, Any] = {}
        for node_id, reasons in islice(self.reasons.items(), _MOST_INVALID):
            dependents = self._dependents([node_id])
            outputs = (end for end in ends if end in dependents)
            errors[node_id] = {
                "errors": reasons,
                "dependent_outputs": list(islice(outputs, _MOST_OUTPUTS)),
                "class_type": self.prompt[node_id]["class_type"],
            }
        return errors

    def add_problem(self, problem: Problem, node_id: str, written: Mapping[str, Any]) -> None:
        """Add a problem of a native node as a reason for the node that it was made of.

        Args:
            written: The native node's inputs.
        """
        kind = _REASONS.get(problem.code, _OTHER_REASON)
        values = _fields(self.prompt[node_id].get("inputs"))
        name = _input_name(problem.port or "", values, written)
        value = values.get(name)
        if problem.code == "out-of-range":
            is_small = "too small" in problem.message
            kind = "value_smaller_than_min" if is_small else "value_bigger_than_max"
        extra = {"input_name": name, "received_value": value, "input_config": None}
        self.add(node_id, kind, f"{name}: {_text(problem)}" if name else _text(problem), extra)


def _text(problem: Problem) -> str:
    details = [
        f"{label}: {text}"
        for label, text in (("given", problem.given), ("expected", problem.expected))
        if text
    ]
    text = f"{problem.message} ({'; '.join(details)})" if details else problem.message
    return f"{text}. {problem.hint}" if problem.hint else text


def _fields(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_required(port: InputSignature) -> bool:
    # A widget's default stands for a value that is left out.
    is_open = port.is_optional or port.is_autogrow or bool(port.when)
    return not is_open and (not port.is_widget or port.default is None)


def _fits(output_type: str, port: InputSignature) -> bool:
    """Whether an output may be linked to an input; widgets are checked after the translation."""
    texts = (output_type, port.type)
    offered, accepted = (set(text.replace(",", "|").split("|")) for text in texts)
    is_any = "*" in offered or "*" in accepted
    return is_any or bool(offered & accepted) or bool((offered | accepted) & WIDGETS)


def _exception(kind: str) -> dict[str, Any]:
    return {"exception_type": kind, "traceback": []}


def _input_name(port: str, values: Mapping[str, Any], written: Mapping[str, Any]) -> str:
    """Return ComfyUI's name of a native input."""
    if port in values or port not in written:
        return port
    # Names of files are written otherwise here, all other values alike.
    same = [name for name, value in values.items() if value == written[port]]
    others = [
        name
        for name, value in values.items()
        if name not in written and not is_link(value) and value not in written.values()
    ]
    return same[0] if same else others[0] if len(others) == 1 else port


@dataclass(frozen=True)
class CheckedPrompt:
    """A prompt that can run.

    Attributes:
        workflow: Native workflow of the valid outputs.
        origins: Id of the prompt's node that each native node was made of.
        targets: Native nodes to run; None for all sinks.
        outputs: Valid output nodes of the prompt.
        node_errors: Reasons for the others, see `PromptCheck.node_errors`.
    """

    workflow: Mapping[str, Any]
    origins: Mapping[str, str]
    targets: Sequence[str] | None
    outputs: Sequence[str]
    node_errors: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {
            "workflow": self.workflow,
            "origins": self.origins,
            "targets": self.targets,
            "outputs": self.outputs,
            "node_errors": self.node_errors,
        }


def check_prompt(
    prompt: Prompt,
    table: NodeTable,
    catalog: Catalog,
    environment: Environment,
    targets: Collection[str] | None = None,
) -> CheckedPrompt:
    """Translate the valid outputs of a prompt.

    Args:
        environment: Handed to the packs' own checks.
        targets: The only output nodes to run; None for all.
    Raises:
        InvalidPrompt: There are no valid outputs.
    """
    check = PromptCheck(prompt, table, catalog)
    check.check_types()
    ends = check.outputs(targets)
    check.check_nodes(check.needed(ends))
    valid = check.valid(ends)
    while valid:
        nodes = check.needed(valid)
        document = {node_id: node for node_id, node in prompt.items() if node_id in nodes}
        try:
            imported = import_document(document, table)
        except (InvalidFile, InvalidWorkflow) as error:
            raise InvalidPrompt(
                error_document("invalid_prompt", "Cannot read the prompt", str(error)),
            ) from error
        _add_problems(check, imported, catalog, environment)
        remaining = check.valid(valid)
        if remaining == valid:
            return CheckedPrompt(
                imported.workflow.to_dict(),
                {
                    n: node_id
                    for n, node_id in imported.origins.items()
                    if n in imported.workflow.nodes
                },
                _native_targets(imported, catalog, valid),
                valid,
                check.node_errors(ends),
            )
        valid = remaining
    errors = check.node_errors(ends)
    lines = [
        f"{reason['message']}: {reason['details']}"
        for each in errors.values()
        for reason in each["errors"]
    ]
    kind, message = "prompt_outputs_failed_validation", "Prompt outputs failed validation"
    raise InvalidPrompt(error_document(kind, message, "\n".join(lines)), errors)


def _add_problems(
    check: PromptCheck, imported: ImportedWorkflow, catalog: Catalog, environment: Environment
) -> None:
    placeholders = {each.name for each in imported.placeholders}
    for outcome in imported.placeholders:
        reason = outcome.untranslated_reason
        check.add(outcome.id, _OTHER_REASON, f"it cannot be run here: {reason}", {})
    if placeholders:
        return  # the rest is checked without what depends on them
    workflow = imported.workflow
    for problem in analyse(workflow, catalog, environment).problems:
        node_id = imported.origins.get(problem.node or "")
        if node_id is None:
            details = str(problem)
            raise InvalidPrompt(error_document("invalid_prompt", "Cannot run the prompt", details))
        check.add_problem(problem, node_id, workflow.nodes[str(problem.node)].inputs)


def _native_targets(
    imported: ImportedWorkflow, catalog: Catalog, outputs: Sequence[str]
) -> list[str] | None:
    """Return the nodes that stand for outputs; None if running all sinks runs just these."""
    targets: list[str] = []
    has_others = False
    made: dict[str, list[str]] = {}
    for name, node_id in imported.origins.items():
        if name in imported.workflow.nodes:
            made.setdefault(node_id, []).append(name)
    for node_id in outputs:
        sinks = [
            name
            for name in made.get(node_id, ())
            if (spec := catalog.spec(imported.workflow.nodes[name].type)) is not None
            and spec.output
        ]
        has_others |= not sinks
        targets += sinks or made.get(node_id, [])[-1:]
    return targets if has_others else None


def _is_sink(imported: ImportedWorkflow, catalog: Catalog, name: str) -> bool:
    spec = catalog.spec(imported.workflow.nodes[name].type)
    return spec is not None and spec.output
