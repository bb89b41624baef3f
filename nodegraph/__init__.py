"""nodegraph: diffusion pipelines as node graphs.

Importing it brings in nothing yet: what a node pack needs, `run`, `Workflow` and the rest come when
first used, so that a command that needs none of it starts at once.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nodegraph.core.version import VERSION as __version__  # noqa: F401 - `__getattr__` lists it

if TYPE_CHECKING:
    from nodegraph.api import *  # noqa: F403
    from nodegraph.core.events import Event as Event
    from nodegraph.core.workflow import Workflow as Workflow
    from nodegraph.engine.result import RunResult as RunResult
    from nodegraph.python.builder.graph import Graph as Graph
    from nodegraph.python.builder.node_calls import nodes as nodes
    from nodegraph.python.builder.outputs import Out as Out
    from nodegraph.session.mapped_runs import MappedRuns as MappedRuns
    from nodegraph.session.mapped_runs import map as map
    from nodegraph.session.scripts import Stream as Stream
    from nodegraph.session.scripts import run as run
    from nodegraph.session.scripts import run_async as run_async
    from nodegraph.session.scripts import stream as stream
    from nodegraph.session.scripts import warm as warm
    from nodegraph.session.session import Session as Session
    from nodegraph.session.settings import Settings as Settings
    from nodegraph.session.shared_sessions import close as close

_API = "nodegraph.api"
_HOOKS = {
    **dict.fromkeys(("Estimate", "Facts", "Finding", "HookInputs"), "nodegraph.core.hooks"),
    **dict.fromkeys(("InvalidFile", "InvalidValue", "NodegraphError"), "nodegraph.errors"),
}
"""What modules of hooks import: part of the API, but got without the rest of it, as validating a
workflow asks hooks and should be instant."""
_ELSEWHERE = {
    "Graph": "nodegraph.python.builder.graph",
    "Out": "nodegraph.python.builder.outputs",
    "nodes": "nodegraph.python.builder.node_calls",
    "Event": "nodegraph.core.events",
    "MappedRuns": "nodegraph.session.mapped_runs",
    "RunResult": "nodegraph.engine.result",
    "Session": "nodegraph.session.session",
    "Settings": "nodegraph.session.settings",
    "Stream": "nodegraph.session.scripts",
    "Workflow": "nodegraph.core.workflow",
    "close": "nodegraph.session.shared_sessions",
    "map": "nodegraph.session.mapped_runs",
    "run": "nodegraph.session.scripts",
    "run_async": "nodegraph.session.scripts",
    "stream": "nodegraph.session.scripts",
    "warm": "nodegraph.session.scripts",
}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return [*import_module(_API).__all__, *_ELSEWHERE, "__version__"]
    home = _ELSEWHERE.get(name) or _HOOKS.get(name)
    if home is None and (name.startswith("_") or name not in import_module(_API).__all__):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    member = getattr(import_module(home or _API), name)
    globals()[name] = member
    return member


def __dir__() -> list[str]:
    return sorted(__getattr__("__all__"))


_OLD = frozenset(
    [
        "audio",
        "builder",
        "compat",
        "datasets",
        "diffusion",
        "images",
        "languages",
        "molecules",
        "pipelines",
        "plots",
        "results",
        "shapes",
        "testing",
        "videos",
        "vision",
    ]
)
"""What modules began with that have moved."""


class _Moved:
    """Finds modules by the names they had, see `nodegraph.moved`."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        package, _, inner = name.partition(".")
        if package != "nodegraph" or inner.partition(".")[0] not in _OLD:
            return None
        return import_module("nodegraph.moved").spec_of(name)


# before all others: they would find what lies in a moved package once more, by its old name
if _Moved not in sys.meta_path:
    sys.meta_path.insert(0, _Moved)
