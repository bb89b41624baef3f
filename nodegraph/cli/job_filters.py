"""Options that say which jobs are meant."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.core.quantities import parse_age
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Match

STATES = ("queued", "running", "finished", "failed", "cancelled")
ENDED = STATES[2:]

StateOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STATE",
        help="queued, running, finished, failed or cancelled; may be repeated.",
    ),
]
TagOption = Annotated[str | None, typer.Option(metavar="TAG", help="With this tag.")]
TextOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="With this as a part of the name.")
]
OlderOption = Annotated[
    str | None, typer.Option(metavar="AGE", help="Submitted so long ago, such as 30d.")
]


def matching(
    state: list[str] | None, tag: str | None, text: str | None, older_than: str | None
) -> Match:
    """Which jobs the options mean; empty if none is given.

    Raises:
        InvalidValue: One of them can't be read.
    """
    for given in state or ():
        if given not in STATES:
            raise InvalidValue(
                "there is no such state of jobs", given=given, hint=did_you_mean(given, STATES)
            )
    before = None if older_than is None else time() - parse_age(older_than, "--older-than")
    found = {"state": state or None, "tag": tag, "text": text, "created_before": before}
    chosen: Any = {name: value for name, value in found.items() if value is not None}
    match: Match = chosen
    return match
