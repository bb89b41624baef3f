"""The server that commands ask, and the client that asks it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nodegraph.client import Client

_CONNECT_TIMEOUT = 2.0
"""Seconds of looking for a server: somebody sits and waits."""

ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The server to ask; NODEGRAPH_TOKEN holds the token  "
        "[default: NODEGRAPH_SERVER, or http://127.0.0.1:8420]",
    ),
]


@contextmanager
def open_client(server: str | None) -> Iterator[Client]:
    """A client of a server, until the end of the `with`.

    Raises:
        InvalidValue: The address or the token can't be one.
    """
    from nodegraph.client import Client, Retries

    gc.enable()  # the command line's start turns it off; what follows may take hours
    with Client(server, retries=Retries(connecting=_CONNECT_TIMEOUT)) as client:
        yield client
