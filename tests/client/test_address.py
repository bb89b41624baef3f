"""Where servers are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.client.address import DEFAULT, find_address, read_address
from nodegraph.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "url", "socket"),
    [
        ("http://127.0.0.1:8420", DEFAULT, "ws://127.0.0.1:8420/api/v1/events"),
        ("127.0.0.1:8420", DEFAULT, "ws://127.0.0.1:8420/api/v1/events"),
        ("https://studio.example/", "https://studio.example", "wss://studio.example/api/v1/events"),
        ("https://h:443", "https://h", "wss://h/api/v1/events"),
        ("http://h/sub/", "http://h/sub", "ws://h/sub/api/v1/events"),
        ("http://h/api/v1", "http://h", "ws://h/api/v1/events"),
        ("http://[::1]:5", "http://[::1]:5", "ws://[::1]:5/api/v1/events"),
    ],
)
def test_addresses_as_people_write_them(text: str, url: str, socket: str) -> None:
    found = read_address(text)
    assert (found.url, found.socket, found.api) == (url, socket, f"{url}/api/v1")


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
    with pytest.raises(InvalidValue, match="address"):
        read_address(text)


def test_a_secret_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidValue) as caught:
        read_address("http://me:ng_secret@h")
    assert "secret" not in str(caught.value)
    with pytest.raises(InvalidValue) as caught:
        read_address("ftp://me:ng_secret@h")
    assert "secret" not in str(caught.value)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = read_address(text)
    except InvalidValue:
        return
    assert read_address(found.url) == found


def test_only_this_machine_is_loopback() -> None:
    assert read_address("localhost:1").is_loopback
    assert read_address("127.0.0.2").is_loopback
    assert read_address("http://[::1]").is_loopback
    assert not read_address("http://127.0.0.1.example").is_loopback


def test_the_environment_names_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_address(None).url == DEFAULT
    monkeypatch.setenv("NODEGRAPH_SERVER", "https://h")
    assert find_address(None).url == "https://h"
    assert find_address("http://other").url == "http://other"
