"""What a finished job gave, as plain values."""

from __future__ import annotations

import logging
import mimetypes
from typing import Any

from blake3 import blake3

from nodegraph.engine.result import RunResult, WrittenFile

_LOG = logging.getLogger(__name__)

_UNKNOWN = "application/octet-stream"


def outputs_of(result: RunResult) -> dict[str, Any]:
    """Its files, the digests of its targets' outputs, and how many nodes ran.

    A file that is gone already is left out.
    """
    files = [_described(file) for file in result.files]
    reports = result.nodes
    statuses = [report.status for report in reports.values()]
    return {
        "files": [file for file in files if file is not None],
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


def _described(file: WrittenFile) -> dict[str, Any] | None:
    path = file.path.absolute()
    try:
        digest = blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
        size = path.stat().st_size
    except OSError as error:
        _LOG.warning("%s was written and is gone: %s", path, error)
        return None
    return {
        "path": str(path),
        "node": file.node,
        "kind": file.kind,
        "media_type": mimetypes.guess_type(path.name)[0] or _UNKNOWN,
        "size": size,
        "digest": digest,
    }
