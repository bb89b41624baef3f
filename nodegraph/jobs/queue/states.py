"""What may become of a job: every change of state that there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["queued", "running", "finished", "failed", "cancelled"]
Interruption = Literal["cancel", "pause"]
"""What a running job's worker is asked to do."""
Action = Literal[
    "claim",
    "append",
    "finish",
    "fail",
    "stop",
    "requeue",
    "cancel",
    "interrupt",
    "hold",
    "unhold",
    "move",
    "prioritize",
    "retry",
    "delete",
]

STATES: tuple[State, ...] = get_args(State)
ENDED: tuple[State, ...] = ("finished", "failed", "cancelled")
_PARTICIPLES: Mapping[Interruption, str] = {"cancel": "cancelled", "pause": "paused"}
_WAITING: tuple[State, ...] = ("queued",)
_RUNNING: tuple[State, ...] = ("running",)
_ENDED = "It has ended already."


@dataclass(frozen=True, slots=True)
class Transition:
    """A change.

    Attributes:
        sources: States in which it may happen.
        target: State that it leads to; None if the job is gone then.
        words: What can't be done in any other state.
        hint: What to do where it can't be done any more, or not yet.
        asks: Whether a running job's worker is asked to see to it, by `interrupt`.
    """

    sources: tuple[State, ...]
    target: State | None
    words: str
    hint: str | None = None
    asks: bool = False


TRANSITIONS: Mapping[Action, Transition] = {
    "claim": Transition(_WAITING, "running", "claimed"),
    "append": Transition(_RUNNING, "running", "given events"),
    "finish": Transition(_RUNNING, "finished", "finished"),
    "fail": Transition(_RUNNING, "failed", "failed"),
    "stop": Transition(_RUNNING, "cancelled", "stopped"),
    "requeue": Transition(_RUNNING, "queued", "put back"),
    "cancel": Transition(_WAITING, "cancelled", "cancelled", _ENDED, asks=True),
    "hold": Transition(_WAITING, "queued", "paused", _ENDED, asks=True),
    "unhold": Transition(_WAITING, "queued", "let go", _ENDED, asks=True),
    "interrupt": Transition(_RUNNING, "running", "interrupted"),
    "move": Transition(_WAITING, "queued", "moved"),
    "prioritize": Transition(_WAITING, "queued", "given another priority"),
    "retry": Transition(("failed", "cancelled"), "queued", "retried", "Submit it again instead."),
    "delete": Transition(ENDED, None, "deleted", "Cancel it first."),
}


def describe_state(state: State, *, held: bool, wanted: Interruption | None) -> str:
    """A state in words, such as "running, to be cancelled"."""
    if held:
        return f"{state}, paused"
    return state if wanted is None else f"{state}, to be {_PARTICIPLES[wanted]}"
