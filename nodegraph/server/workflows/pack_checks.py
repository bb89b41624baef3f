"""What packs' own checks say of a workflow that is submitted.

They are code of packs, so the planner is asked. A job isn't kept waiting for it: where the planner
is busy or starts, the job is taken in, and its worker finds the same when it runs.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from nodegraph.core.spec import NodeSpec
from nodegraph.errors import NodegraphError, Problem
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.server.workflows.catalog import DeclaredTypes

_LOG = logging.getLogger(__name__)
_SECONDS = 0.5
_MOST_REMEMBERED = 4_096


class PackChecks:
    """Asks for them, once for the same workflow with the same values. Used on one event loop.

    Seeds don't count: any will do, and each run has another one. A check that disagrees is heard
    when the job runs.

    Args:
        supervisor: Of the planner.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._good: OrderedDict[bytes, None] = OrderedDict()

    async def problems(
        self,
        document: Mapping[str, Any],
        arguments: Mapping[str, Any],
        types: DeclaredTypes,
    ) -> Sequence[Problem]:
        """What they find; nothing if there are none, or nobody to ask.

        Args:
            document: A workflow in which nothing else is wrong.
            arguments: Of the question: the same workflow, with its values.
        """
        if not _has_checks(document, types) or not self._is_planner_ready():
            return ()
        key = _key(document, arguments, types)
        if key in self._good:
            self._good.move_to_end(key)
            return ()
        try:
            answer = await self._supervisor.ask("check", arguments, _SECONDS)
        except NodegraphError as error:
            _LOG.info("a job is taken in without its packs' checks: %s", error)
            return ()
        if answer["valid"]:
            self._good[key] = None
            if len(self._good) > _MOST_REMEMBERED:
                self._good.popitem(last=False)
        return [Problem.from_dict(each) for each in answer["problems"]]

    def _is_planner_ready(self) -> bool:
        return any(
            each.role == "planner" and each.state == "idle" for each in self._supervisor.workers
        )


def _key(document: Mapping[str, Any], arguments: Mapping[str, Any], types: DeclaredTypes) -> bytes:
    """The same for workflows that differ in their seeds at most."""
    seeds = set(_seeds(document, types))
    blocks = document.get("subgraphs") or {}
    parameters = document.get("parameters") or {}
    question = {
        **arguments,
        "workflow": {
            **document,
            "nodes": _without(document, seeds),
            "subgraphs": {
                name: {**block, "nodes": _without(block, set(_seeds(block, types)))}
                for name, block in blocks.items()
            },
        },
        "parameters": {
            name: None if _target(parameters.get(name)) in seeds and type(value) is int else value
            for name, value in arguments["parameters"].items()
        },
    }
    return blake2b(json.dumps([types.digest, question]).encode(), digest_size=16).digest()


def _seeds(part: Mapping[str, Any], types: DeclaredTypes) -> Iterator[tuple[str, str]]:
    """Nodes and their inputs that are seeds, but for links."""
    for name, entry in (part.get("nodes") or {}).items():
        spec = types.spec(entry.get("type", ""))
        inputs = entry.get("inputs") or {}
        for port in spec.inputs if spec is not None else ():
            if port.widget == "seed" and type(inputs.get(port.name, 0)) is int:
                yield name, port.name


def _without(part: Mapping[str, Any], seeds: set[tuple[str, str]]) -> dict[str, Any]:
    """The nodes of a part without their seeds."""
    nodes = dict(part.get("nodes") or {})
    for name, port in seeds:
        inputs = nodes[name].get("inputs") or {}
        nodes[name] = {**nodes[name], "inputs": {**inputs, port: None}}
    return nodes


def _target(parameter: Any) -> tuple[str, str]:
    text = parameter.get("input", "") if isinstance(parameter, Mapping) else str(parameter)
    node, _, port = str(text).partition(".")
    return node, port


def _has_checks(document: Mapping[str, Any], types: DeclaredTypes) -> bool:
    return any("validate" in spec.hooks for spec in _document_specs(document, types))


def _document_specs(document: Mapping[str, Any], types: DeclaredTypes) -> Iterator[NodeSpec]:
    for part in (document, *(document.get("subgraphs") or {}).values()):
        # A file of an older format may say otherwise.
        named = {entry.get("type", "") for entry in (part.get("nodes") or {}).values()}
        yield from filter(None, map(types.spec, named))
