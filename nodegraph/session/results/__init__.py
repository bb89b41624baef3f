"""Results of whatever kind: the texts that they carry, and small images of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodegraph.engine.result import RunResult


def show_result(result: RunResult) -> str:
    """What notebooks show of a result, of which the engine knows nothing."""
    from nodegraph.session.results.html import result_html  # brings what draws

    return result_html(result)
