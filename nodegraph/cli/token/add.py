"""`nodegraph token add`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, say, shown_path, tell
from nodegraph.cli.token.kept import DAY, described, print_new, token_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from nodegraph.server.access.caller import Scope
    from nodegraph.server.access.token_file import TokenFile

_LARGEST = 1_000
"""Bytes of a file with a token."""


def add(
    common: Common,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Whose it is; the client of the jobs.")
    ],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="read, run or admin; may be repeated. Each brings those before it  [default: run]",
        ),
    ] = None,
    days: Annotated[
        float | None, typer.Option(metavar="N", help="Days after which it ends.", min=0.001)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="Take the token in this file instead of making one."
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Make a token.

    With read one sees node types, models and one's own jobs; with run one submits and steers jobs;
    with admin one sees and steers everybody's.

    A token that lies in a file, as a secret of a container does, takes the place of any other of
    its name; it can be added again at each start.
    """
    from nodegraph.server.access.caller import SCOPES

    for given in scope or ():
        if given not in SCOPES:
            raise InvalidValue(
                "there is no such scope", given=given, hint=did_you_mean(given, SCOPES)
            )
    scopes = [each for each in SCOPES if each in (scope or ["run"])]
    if source is not None:
        return _put(common, name, scopes, source, days, json)
    lasting = None if days is None else days * DAY
    tokens = token_file(common)
    print_new(tokens.add(name, scopes, lasting=lasting), json)
    _warn_of_no_admin(tokens)
    return 0


def _warn_of_no_admin(tokens: TokenFile) -> None:
    """Tell that the first token ends what whoever sat at the machine could do without one."""
    made = tokens.read()
    if len(made) == 1 and "admin" not in made[0].scopes:
        tell(
            "From now on the server asks everybody for a token, and none has the scope admin yet: "
            "nobody sees everybody's jobs, steers them or clears the queue. "
            "Add one: nodegraph token add NAME --scope admin"
        )


def _put(
    common: Common,
    name: str,
    scopes: Sequence[Scope],
    source: str,
    days: float | None,
    json: bool,
) -> int:
    if days is not None:
        raise InvalidValue("--days and --from can't be combined", hint="Change the file instead.")
    path = Path(source).expanduser()
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8", "replace").strip()
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error
    tokens = token_file(common)
    token = tokens.put(name, scopes, text)
    if json:
        print_json(described(token))
    else:
        say(f"The token in {shown_path(path)} is that of {token.name}.")
    _warn_of_no_admin(tokens)
    return 0
