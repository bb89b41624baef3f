"""`nodegraph token revoke`."""

from __future__ import annotations

from typing import Annotated

import typer

from nodegraph.cli.options import Common
from nodegraph.cli.output import counted, say
from nodegraph.cli.token.kept import token_file


def revoke(
    common: Common,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the token, or its id.")],
) -> int:
    """Take a token back.

    A server that runs refuses it within a second. What was submitted with it goes on.
    """
    gone = token_file(common).revoke(name)
    say(f"Took back {counted(len(gone), 'token')} of {gone[0].name}.")
    return 0
