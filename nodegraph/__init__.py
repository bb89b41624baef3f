"""nodegraph: diffusion pipelines as node graphs.

Importing it brings in what a node pack needs and no more; `run`, `Workflow` and the rest come when
first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nodegraph.api import *  # noqa: F403
from nodegraph.api import __all__ as _api
from nodegraph.version import VERSION as __version__

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.result import RunResult
    from nodegraph.session import Session, run, run_async
    from nodegraph.settings import Settings

_LATER = {
    "RunResult": "nodegraph.engine.result",
    "Session": "nodegraph.session",
    "Settings": "nodegraph.settings",
    "Workflow": "nodegraph.core.workflow",
    "run": "nodegraph.session",
    "run_async": "nodegraph.session",
}

__all__ = [*_api, "RunResult", "Session", "Settings", "Workflow", "__version__", "run", "run_async"]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
