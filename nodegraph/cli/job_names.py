"""Jobs as people name them: by the start or the end of an id, or as the last one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Client, Job

LAST = "last"
_WHOLE = re.compile(r"job_[0-9a-z]{26}")
_MOST = 5_000
"""Jobs that are looked through, the newest ones."""

JobArgument = Annotated[
    str,
    typer.Argument(metavar="JOB", help="A job's id, its start or its end, or last"),
]


def find_job(client: Client, name: str) -> Job:
    """The job that a name stands for.

    Raises:
        InvalidValue: It stands for none, or for several.
    """
    from nodegraph.client import JobNotFound

    try:
        if _WHOLE.fullmatch(name):
            return client.get(name)
        if name == LAST:
            return client.get(_newest(client))
    except JobNotFound as error:
        raise _unknown(name, _known(client)) from error
    return client.get(_meant(name, _known(client)))


def _newest(client: Client) -> str:
    newest = next(client.list(most=1, limit=1), None)
    if newest is None:
        raise InvalidValue("there are no jobs yet", hint="`nodegraph submit` makes one.")
    return newest.id


def _known(client: Client) -> list[str]:
    return [job.id for job in client.list(most=_MOST, limit=_MOST)]


def _meant(name: str, known: Sequence[str]) -> str:
    found = [each for each in known if _is_part(name, each)]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        raise InvalidValue(
            "several jobs have such an id", given=name, hint=f"Say more of it: {shown}."
        )
    raise _unknown(name, known)


def _is_part(name: str, id: str) -> bool:
    return bool(name) and (id.startswith((name, f"job_{name}")) or id.endswith(name))


def _unknown(name: str, known: Sequence[str]) -> InvalidValue:
    from nodegraph.core.suggest import nearest

    near = _near(name, known) or nearest(name, known)
    hint = f"Did you mean `{near}`?" if near else "`nodegraph jobs` lists those there are."
    return InvalidValue("there is no such job", given=name, hint=hint)


def _near(name: str, known: Sequence[str]) -> str | None:
    """The only id that begins like most of a name."""
    for length in range(len(name) - 1, len("job_") + 3, -1):
        found = [each for each in known if each.startswith(name[:length])]
        if found:
            return found[0] if len(found) == 1 else None
    return None
