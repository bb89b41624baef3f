"""Search text of jobs and artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nodegraph.core.text_format import to_well_formed
from nodegraph.jobs.queue import Job

_MOST = 20_000
"""Characters that are kept of a job."""
_MOST_WORDS = 32
"""That are looked for at a time."""


def fold_case(parts: Iterable[str]) -> str:
    """Texts in one, as they are compared: whatever the case of their letters."""
    text = "\n".join(parts)[:_MOST].replace("\0", " ").casefold()
    well_formed: str = to_well_formed(text)
    return well_formed


def parse_search(text: str) -> list[str]:
    """The words of a search, each of which must be found."""
    return fold_case([text]).split()[:_MOST_WORDS]


def job_search_text(job: Job, workflow: str) -> str:
    """A job's name and tags, the title of its workflow, and the texts in its inputs.

    Args:
        workflow: Its text.
    """
    try:
        document = json.loads(workflow)
    except ValueError:
        document = {}
    fields = document if isinstance(document, Mapping) else {}
    texts = [
        job.name,
        *job.tags,
        str(fields.get("title", "")),
        *_texts(list(job.parameters.values())),
    ]
    return fold_case([*texts, *_of_inputs(fields, _overridden_inputs(fields, job.parameters))])


def _overridden_inputs(document: Mapping[str, Any], parameters: Mapping[str, Any]) -> set[str]:
    """Inputs whose values the parameters replace, as ``node.input``."""
    declared = document.get("parameters")
    named = declared if isinstance(declared, Mapping) else {}
    return {_target(named[name]) for name in parameters if name in named}


def _target(declared: Any) -> str:
    return str(declared.get("input", "") if isinstance(declared, Mapping) else declared)


def _of_inputs(document: Mapping[str, Any], replaced: set[str]) -> Iterator[str]:
    blocks = document.get("subgraphs")
    inner = blocks.values() if isinstance(blocks, Mapping) else ()
    for holder in (document, *inner):
        nodes = holder.get("nodes") if isinstance(holder, Mapping) else None
        for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
            inputs = node.get("inputs") if isinstance(node, Mapping) else None
            for port, value in inputs.items() if isinstance(inputs, Mapping) else ():
                if holder is not document or f"{name}.{port}" not in replaced:
                    yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, but for those that name another node's output."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping) and set(value) != {"from"}:
        for item in value.values():
            yield from _texts(item)
