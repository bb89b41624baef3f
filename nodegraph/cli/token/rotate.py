"""`nodegraph token rotate`."""

from __future__ import annotations

from typing import Annotated

import typer

from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.token.kept import print_new, token_file

_HOUR = 3_600.0


def rotate(
    common: Common,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the token.")],
    hours: Annotated[
        float,
        typer.Option(metavar="N", help="Hours for which the old one is still good.", min=0),
    ] = 0.0,
    json: JsonOption = False,
) -> int:
    """Make a new token in place of one.

    It has the old one's name, scopes and end.
    """
    print_new(token_file(common).rotate(name, grace=hours * _HOUR), json)
    return 0
