"""What tests of the client share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nodegraph.client import Client
from tests.client.support import Proxy, client_of, either_client, proxy_to
from tests.server.conftest import home, hosting, known_packs, own_server, server, shared_server
from tests.server.hosting import Hosted
from tests.server.talking import worker

__all__ = ["home", "hosting", "known_packs", "own_server", "server", "shared_server", "worker"]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a server nor a token of whoever runs the tests."""
    for name in ("NODEGRAPH_SERVER", "NODEGRAPH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client(server: Hosted) -> Iterator[Client]:
    """A client of the server."""
    with client_of(server) as found:
        yield found


@pytest.fixture
def kind() -> str:
    """Of clients: the asynchronous one, from which the blocking one is made.

    `in_both_kinds` runs a test with both, where it is about what each has of its own.
    """
    return "async"


@pytest.fixture
def either(kind: str, server: Hosted) -> Iterator[Any]:
    """A client of a kind, used like a `Client`."""
    with either_client(kind, server.url) as found:
        yield found


@pytest.fixture
def proxy(server: Hosted) -> Iterator[Proxy]:
    """A proxy before the server."""
    with proxy_to(server.port) as found:
        yield found
