"""The commands of `nodegraph token`, and the file of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    echo,
    echo_stderr,
    format_path,
    format_time,
    pluralize,
    print_json,
    print_table,
)
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from nodegraph.server.access.caller import Scope
    from nodegraph.server.access.tokens import TokenFile, TokenRecord

_HOUR = 3_600.0


def rotate(
    common: CommonOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")],
    hours: Annotated[
        float,
        typer.Option(metavar="N", help="Hours for which the old token stays valid.", min=0),
    ] = 0.0,
    json: JsonOption = False,
) -> int:
    """Replace a token with a new one.

    The new one has the old one's name, scopes and expiry.
    """
    print_new(token_file(common).rotate(name, grace=hours * _HOUR), json)
    return 0


def webhook(
    common: CommonOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")],
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="Address of the receiver; none to unset it.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Set the webhook of a token's jobs.

    The server sends it events of each job of the token, unless the job names another webhook, or
    none. Without URL, it shows the webhook.
    """
    tokens = token_file(common)
    if url is None:
        records = [token for token in tokens.read() if token.name == name]
        if not records:
            raise InvalidValue("there is no token of that name", given=name)
    else:
        if url != "none":
            _check_address(url)
        records = tokens.set_webhook(name, None if url == "none" else url)
    if json:
        print_json({"tokens": [token_document(token) for token in records]})
    else:
        echo(records[-1].webhook or "No webhook.")
    return 0


def _check_address(url: str) -> None:
    """See that an address can be that of a webhook.

    Raises:
        InvalidValue: It can't.
    """
    from nodegraph.jobs.queue.webhooks import host_of

    host_of(url)


def revoke(
    common: CommonOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the token.")],
) -> int:
    """Revoke a token.

    A running server refuses it within a second. Jobs that were submitted with it continue.
    """
    gone = token_file(common).revoke(name)
    echo(f"Revoked {pluralize(len(gone), 'token')} of {gone[0].name}.")
    return 0


def list_(common: CommonOptions, json: JsonOption = False) -> int:
    """List the tokens.

    Their secrets are not stored, so they cannot be shown.
    """
    now = time()
    tokens = [token for token in token_file(common).read() if not token.is_expired(now)]
    if json:
        print_json({"tokens": [token_document(token) for token in tokens]})
        return 0
    if not tokens:
        echo("No tokens.")
        return 0
    heads = [(head, "bold") for head in ("name", "id", "scopes", "created", "ends")]
    rows = [
        (
            (token.name, "bold"),
            token.id,
            ", ".join(sorted(token.scopes)),
            format_time(token.created),
            "" if token.expires is None else format_time(token.expires),
        )
        for token in tokens
    ]
    print_table([heads, *rows])
    return 0


DAY = 86_400.0


def token_file(common: CommonOptions) -> TokenFile:
    """The tokens of the installation."""
    from nodegraph.server.access.tokens import TOKENS_FILE, TokenFile

    return TokenFile(common.settings().data_folder / TOKENS_FILE)


def token_document(token: TokenRecord) -> dict[str, Any]:
    """A token without its secret, for JSON output."""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created": token.created,
        "expires": token.expires,
        "webhook": token.webhook,
    }


def print_new(made: tuple[str, TokenRecord], json: bool) -> None:
    """Show a token, this once."""
    text, token = made
    if json:
        print_json({"token": text, **token_document(token)})
        return
    # Alone on stdout, so that a script can take it.
    echo(text)
    echo_stderr(
        f"This is the token of {token.name}. It is shown only once: the server keeps only its "
        "digest."
    )


_LARGEST = 1_000
"""Bytes of a file with a token."""


def add(
    common: CommonOptions,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Owner of the token: the client of its jobs.")
    ],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help=(
                "read, run, models or admin; may be repeated. All include read, and admin all "
                "others [default: run]"
            ),
        ),
    ] = None,
    days: Annotated[
        float | None, typer.Option(metavar="N", help="Days after which it expires.", min=0.001)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="Use the token in this file instead of creating one."
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send events of its jobs there, unless a job says else."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Make a token.

    read: see node types, models and your own jobs. run: submit and control jobs. models:
    download, change and remove models. admin: see and control the jobs of all clients.

    A token from a file, such as a container's secret, replaces another one of the same
    name. It can be added again at each start.
    """
    from nodegraph.server.access.caller import SCOPES

    for scope_name in scope or ():
        if scope_name not in SCOPES:
            raise InvalidValue(
                "there is no such scope", given=scope_name, hint=did_you_mean(scope_name, SCOPES)
            )
    scopes = [each for each in SCOPES if each in (scope or ["run"])]
    if webhook is not None:
        _check_address(webhook)
    if source is not None:
        return _add_token(common, name, scopes, source, days, webhook, json)
    lasting = None if days is None else days * DAY
    tokens = token_file(common)
    print_new(tokens.add(name, scopes, lifetime=lasting, webhook=webhook), json)
    _warn_of_no_admin(tokens)
    return 0


def _warn_of_no_admin(tokens: TokenFile) -> None:
    """Tell that the first token ends what whoever sat at the machine could do without one."""
    made = tokens.read()
    if len(made) == 1 and "admin" not in made[0].scopes:
        echo_stderr(
            "From now on the server requires a token from every client. No token has the scope "
            "admin yet, so no client can see or control the jobs of other clients or clear the "
            "queue. Add one: nodegraph token add NAME --scope admin"
        )


def _add_token(
    common: CommonOptions,
    name: str,
    scopes: Sequence[Scope],
    source: str,
    days: float | None,
    webhook: str | None,
    json: bool,
) -> int:
    if days is not None:
        raise InvalidValue("--days and --from cannot be combined", hint="Change the file instead.")
    path = Path(source).expanduser()
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8", "replace").strip()
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    tokens = token_file(common)
    token = tokens.put(name, scopes, text, webhook)
    if json:
        print_json(token_document(token))
    else:
        echo(f"The token in {format_path(path)} belongs to {token.name}.")
    _warn_of_no_admin(tokens)
    return 0
