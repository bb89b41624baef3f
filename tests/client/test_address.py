"""Where servers are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.client import Client
from nodegraph.client.endpoint import read_address
from nodegraph.errors import InvalidValue, NodegraphError
from tests.client.support import ONCE, Said, answering, either_client, in_both_kinds
from tests.messages import raises

DEFAULT = "http://127.0.0.1:8420"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8420", DEFAULT),
        ("127.0.0.1:8420", DEFAULT),
        ("https://studio.example/", "https://studio.example"),
        ("https://h:443", "https://h"),
        ("http://h/sub/", "http://h/sub"),
        ("http://h/api/v1", "http://h"),
        ("http://[::1]:5", "http://[::1]:5"),
    ],
)
def test_addresses_as_people_write_them(text: str, url: str) -> None:
    with Client(text) as client:
        assert client.server == url


@pytest.mark.parametrize("path", ["", "/", "/sub/", "/sub/api/v1"])
@in_both_kinds
def test_requests_and_websockets_go_below_it(kind: str, path: str) -> None:
    below = path.removesuffix("/").removesuffix("/api/v1") + "/api/v1"
    with (
        answering(Said(404)) as server,
        either_client(kind, server.url + path, retries=ONCE) as client,
    ):
        for ask in (client.system, lambda: list(client.watch("job_x"))):
            with pytest.raises(NodegraphError):
                ask()
    asked = [path.partition("?")[0] for _, path, _ in server.seen]
    assert asked == [f"{below}/system", f"{below}/events", f"{below}/jobs/job_x/events"]
    assert "upgrade" in server.seen[1][2]


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://h?x=1",
        "http://h/#x",
        "a b",
        "h\n",
        "http://[",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with raises(InvalidValue):
        Client(text)


@pytest.mark.parametrize("text", ["http://me:ng_secret@h", "ftp://me:ng_secret@h"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Client(text)
    assert "secret" not in str(caught.value)


# Making a client takes long for so many, as it reads the machine's certificates.
@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with suppress(InvalidValue):
        found = read_address(text)
        assert read_address(found.url) == found


def test_only_this_machine_is_loopback() -> None:
    assert read_address("localhost:1").is_loopback
    assert read_address("127.0.0.2").is_loopback
    assert read_address("http://[::1]").is_loopback
    assert not read_address("http://127.0.0.1.example").is_loopback


def test_the_environment_names_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def server_of(*given: Any) -> str:
        with Client(*given) as client:
            return client.server

    assert server_of() == DEFAULT
    monkeypatch.setenv("NODEGRAPH_SERVER", "https://h")
    assert server_of() == "https://h"
    assert server_of("http://other") == "http://other"
