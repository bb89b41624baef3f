"""The file of tokens, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.cli.options import Common
from nodegraph.cli.output import print_json, say, tell

if TYPE_CHECKING:
    from nodegraph.server.access.token import TokenRecord
    from nodegraph.server.access.token_file import TokenFile

DAY = 86_400.0


def token_file(common: Common) -> TokenFile:
    """The tokens of the installation."""
    from nodegraph.server.access.token_file import TokenFile
    from nodegraph.server.access.tokens import NAME

    return TokenFile(common.settings().data_folder / NAME)


def described(token: TokenRecord) -> dict[str, Any]:
    """A token without its secret, for JSON output."""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created": token.created,
        "expires": token.expires,
    }


def print_new(made: tuple[str, TokenRecord], json: bool) -> None:
    """Show a token, this once."""
    text, token = made
    if json:
        print_json({"token": text, **described(token)})
        return
    # Alone on stdout, so that a script can take it.
    say(text)
    tell(f"This is the token of {token.name}. It is shown this once: only its digest is kept.")
