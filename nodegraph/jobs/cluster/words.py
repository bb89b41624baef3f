"""What Ray tells of its faults, in words."""

from __future__ import annotations

import re

from nodegraph.jobs.cluster.head import HeadGone
from nodegraph.jobs.supervisor.starting import ProcessExit

_CAUSES = (
    # Told by Ray in prose alone; the first that fits counts.
    (r"preempt", "its node was taken away", True),
    (r"node has died|node .*is dead|NODE_DIED", "its node is gone", True),
    (r"low on memory|OUT_OF_MEMORY", "its node had no memory left, so Ray ended it", False),
    (r"killed by `ray\.kill`", "it was ended", False),
    (r"worker process has died", "the actor that had started it was killed", False),
)


def exit_of(error: BaseException, host: str) -> ProcessExit:
    """How a worker ended whose actor can't be asked any more.

    Args:
        host: Its node; empty if it had none yet.
    """
    where = f" ({host})" if host else ""
    kind = type(error).__name__
    if isinstance(error, HeadGone):
        return ProcessExit(None, reason=f"{error}{where}", is_lost=True)
    if kind == "ActorUnavailableError":
        return ProcessExit(None, reason=f"its node can't be reached any more{where}", is_lost=True)
    if getattr(error, "preempted", False):
        return ProcessExit(None, reason=f"its node was taken away{where}", is_lost=True)
    text = str(error)
    if not host:
        return ProcessExit(None, begun={}, reason=f"it can't be started: {_unstarted(text)}")
    for pattern, words, is_lost in _CAUSES:
        if re.search(pattern, text):
            return ProcessExit(None, reason=f"{words}{where}", is_lost=is_lost)
    return ProcessExit(None, reason=f"its actor ended{where}: {_last_line(text)}")


def _unstarted(text: str) -> str:
    missing = re.search(r"No module named '(nodegraph[\w.]*)'", text)
    if missing:
        return f"a node has no nodegraph with `{missing[1]}`; install the server's version there"
    return _last_line(text)


def reason_of(error: BaseException) -> str:
    """Why something failed that was asked of Ray, on one line.

    What it tells has several: below a first one that names no reason are the versions that differ,
    what gRPC knows, or where in Ray's server it happened.
    """
    text = str(error).strip() or type(error).__name__
    detail = re.search(r'^\s*details = "(.+)"$', text, re.MULTILINE)
    if detail:
        return f"{text.partition('<')[0]}{detail[1]}"
    before, _, trace = text.partition("Traceback (most recent call last):")
    reason = f"{before} {_last_line(trace)}" if trace else re.split(r"\n\s*\n", text)[0]
    return " ".join(reason.split())


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was told"
