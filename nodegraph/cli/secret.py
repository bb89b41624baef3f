"""The commands of `nodegraph secret`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import echo, format_time, print_json, print_table
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from nodegraph.store.secrets import SecretStore, StoredSecret

_LARGEST = 8_192
"""Bytes of a file with a secret."""


def set_(
    common: CommonOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name that nodes use.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Host that the secret may be sent to, such as api.openai.com; may be repeated.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="Read the value from this file."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Store a secret, such as the key of a service.

    The value comes from the terminal, where it is not shown, from a pipe, or from a file. It is
    never an argument, because other users of the machine could see it. Nodes name the secret; it
    is sent to the hosts that you list and to no others.
    """
    secret = secret_store(common).set(name, _read_value(name, source), host or [])
    if json:
        print_json(secret_document(secret))
    else:
        echo(f"Stored the secret {name} for {', '.join(secret.hosts)}.")
    return 0


def list_(common: CommonOptions, json: JsonOption = False) -> int:
    """List the names and hosts of the secrets. Values are never shown."""
    secrets = secret_store(common).list()
    if json:
        print_json({"secrets": [secret_document(secret) for secret in secrets]})
        return 0
    if not secrets:
        echo("No secrets.")
        return 0
    heads = [(head, "bold") for head in ("name", "hosts", "from", "changed")]
    rows = [
        (
            (secret.name, "bold"),
            ", ".join(secret.hosts),
            secret.source,
            "" if secret.changed is None else format_time(secret.changed),
        )
        for secret in secrets
    ]
    print_table([heads, *rows])
    return 0


def remove(
    common: CommonOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the secret.")],
) -> int:
    """Remove a secret."""
    secret_store(common).remove(name)
    echo(f"Removed the secret {name}.")
    return 0


def secret_store(common: CommonOptions) -> SecretStore:
    """The secrets of the installation."""
    from nodegraph.store.secrets import SECRETS_FILE, SecretStore

    return SecretStore(common.settings().data_folder / SECRETS_FILE)


def secret_document(secret: StoredSecret) -> dict[str, Any]:
    """A secret without its value, for JSON output."""
    return {
        "name": secret.name,
        "hosts": list(secret.hosts),
        "source": secret.source,
        "changed": secret.changed,
    }


def _read_value(name: str, source: str | None) -> str:
    if source is not None:
        path = Path(source).expanduser()
        try:
            with path.open("rb") as file:
                return file.read(_LARGEST).decode("utf-8", "replace").strip()
        except OSError as error:
            raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    if sys.stdin is None:
        raise InvalidValue("no value is given", hint="Use --from FILE, or a pipe.")
    if sys.stdin.isatty():
        return str(typer.prompt(f"Value of {name}", hide_input=True)).strip()
    return sys.stdin.read(_LARGEST).strip()
