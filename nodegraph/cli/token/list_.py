"""`nodegraph token list`."""

from __future__ import annotations

from time import time

from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, print_table, say
from nodegraph.cli.times import shown_time
from nodegraph.cli.token.kept import described, token_file


def list_(common: Common, json: JsonOption = False) -> int:
    """List the tokens.

    Their secrets aren't kept anywhere, so they can't be shown.
    """
    now = time()
    found = [token for token in token_file(common).read() if not token.is_expired(now)]
    if json:
        print_json({"tokens": [described(token) for token in found]})
        return 0
    if not found:
        say("No tokens.")
        return 0
    heads = [(head, "bold") for head in ("name", "id", "scopes", "created", "ends")]
    rows = [
        (
            (token.name, "bold"),
            token.id,
            ", ".join(sorted(token.scopes)),
            shown_time(token.created),
            "" if token.expires is None else shown_time(token.expires),
        )
        for token in found
    ]
    print_table([heads, *rows])
    return 0
