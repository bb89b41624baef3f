"""What a finished job gave, as plain values."""

from __future__ import annotations

from typing import Any

from nodegraph.engine.result import RunResult, WrittenFile
from nodegraph.jobs.worker.files import JobFiles


def outputs_of(result: RunResult, files: JobFiles) -> dict[str, Any]:
    """Its files, the digests of its targets' outputs, and how many nodes ran.

    A file that is gone already is left out.
    """
    found = [_entry(file, files) for file in result.files]
    reports = result.nodes
    statuses = [report.status for report in reports.values()]
    return {
        "files": [file for file in found if file is not None],
        "outputs": {
            output: reports[node].outputs[port]
            for output in result.outputs
            for node, _, port in [output.rpartition(".")]
            if node in reports and port in reports[node].outputs
        },
        "nodes": {"ran": statuses.count("ran"), "cached": statuses.count("cached")},
        "seconds": round(result.seconds, 6),
        "run": result.run,
    }


def _entry(file: WrittenFile, files: JobFiles) -> dict[str, Any] | None:
    found = files.described(file.path)
    return None if found is None else {"node": file.node, "kind": file.kind, **found}
