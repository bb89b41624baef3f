"""Secrets are private, bound to hosts, and never shown."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.core.context import ServiceAccess
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.store.secrets import (
    SecretStore,
    check_address,
    check_host_entries,
    check_secret,
    contains_host,
    matches_host,
)

VALUE = "sk-0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return SecretStore(tmp_path / "home" / "secrets.json", {})


def test_a_secret_is_kept_for_its_owner_alone(store: SecretStore) -> None:
    store.set("openai", VALUE, ["API.openai.com"])
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    secret = store.get("openai")
    assert (secret.value, secret.hosts) == (VALUE, ("api.openai.com",))
    assert VALUE not in repr(secret)
    store.set("openai", VALUE[::-1], ["a.b"])
    assert store.get("openai").value == VALUE[::-1]
    store.remove("openai")
    assert store.list() == []


def test_variables_replace_the_file(store: SecretStore) -> None:
    store.set("openai", "of-the-file", ["api.openai.com"])
    variables = {
        "NODEGRAPH_SECRET_OPENAI": VALUE,
        "NODEGRAPH_SECRET_OPENAI_HOSTS": "api.openai.com, *.example.org",
        "NODEGRAPH_SECRET_BARE": VALUE,
    }
    both = SecretStore(store.path, variables)
    assert [secret.name for secret in both.list()] == ["bare", "openai"]
    secret = both.get("openai")
    assert (secret.value, secret.source) == (VALUE, "environment")
    assert secret.allows("a.example.org", 443)
    assert not both.get("bare").allows("api.openai.com", 443)
    with pytest.raises(InvalidValue, match="comes from a variable"):
        both.remove("openai")


@pytest.mark.parametrize("value", ["abc", "two words", "kéy-0123456789", "a\r\nHost: b.c"])
def test_variables_hold_what_the_file_may_hold(store: SecretStore, value: str) -> None:
    """A short value would be replaced in ordinary texts, and no header holds the others."""
    both = SecretStore(store.path, {"NODEGRAPH_SECRET_A": value, "NODEGRAPH_SECRET_A_HOSTS": "a.b"})
    with pytest.raises(InvalidValue, match="the secret a has an invalid value") as caught:
        both.get("a")
    assert value not in str(caught.value)
    lines = {"NODEGRAPH_SECRET_A": f"{VALUE}\n", "NODEGRAPH_SECRET_A_HOSTS": "*"}
    with pytest.raises(InvalidValue, match="bound to"):
        SecretStore(store.path, lines).get("a")
    lines["NODEGRAPH_SECRET_A_HOSTS"] = "a.b"
    assert SecretStore(store.path, lines).get("a").value == VALUE


@pytest.mark.parametrize(
    "attempt",
    [
        lambda store: store.set("Open AI", VALUE, ["a.b"]),
        lambda store: store.set("x_hosts", VALUE, ["a.b"]),
        lambda store: store.set("a", "with spaces", ["a.b"]),
        lambda store: store.set("a", f"{VALUE}\r\nX: y", ["a.b"]),
        lambda store: store.set("a", VALUE, []),
        lambda store: store.set("a", VALUE, ["*"]),
        lambda store: store.set("a", VALUE, ["*.*"]),
        lambda store: store.set("a", VALUE, ["https://a.b/c"]),
        lambda store: store.get(VALUE),
        lambda store: store.get("absent"),
        lambda store: store.remove("absent"),
    ],
)
def test_errors_never_show_a_value(
    store: SecretStore, attempt: Callable[[SecretStore], object]
) -> None:
    with pytest.raises(InvalidValue) as caught:
        attempt(store)
    assert VALUE not in str(caught.value)
    assert store.list() == []


def test_a_damaged_file_is_told_without_its_content(store: SecretStore) -> None:
    store.path.parent.mkdir()
    store.path.write_text(f'{{"secrets": {{"a": "{VALUE}"')
    with pytest.raises(InvalidFile) as caught:
        store.list()
    assert VALUE not in str(caught.value)


def test_patterns_of_hosts() -> None:
    assert matches_host("*.fal.run", "queue.fal.run", 443)
    assert not matches_host("*.fal.run", "fal.run.example.org", 443)
    assert matches_host("127.0.0.1:80", "127.0.0.1", 80)
    assert not matches_host("127.0.0.1:80", "127.0.0.1", 81)
    assert matches_host("[::1]:80", "::1", 80)
    assert contains_host("10.0.0.0/8", "10.1.2.3", 80)
    assert not contains_host("10.0.0.0/8", "ten.example.org", 80)
    assert contains_host("[::1]:80", "::1", 80)
    check_host_entries(["*.example.org:8443", "10.0.0.0/8", "::1"])
    with pytest.raises(InvalidValue, match="service_hosts"):
        check_host_entries(["https://example.org"])


def test_a_secret_is_for_its_hosts(store: SecretStore) -> None:
    store.set("mine", VALUE, ["api.openai.com"])
    access = ServiceAccess(None, store.path)
    address = check_address(access, "https://api.openai.com/v1/")
    assert address.url == "https://api.openai.com/v1"
    secret = check_secret(access, "mine", address)
    assert secret is not None
    assert secret.redact(f"wrong key {VALUE}") == "wrong key ***"
    other = check_address(access, "https://openrouter.ai/api/v1")
    with pytest.raises(InvalidValue, match=r"may not be sent to openrouter\.ai"):
        check_secret(access, "mine", other)
    local = check_address(access, "http://localhost:11434")
    assert check_secret(access, "", local) is None
    with pytest.raises(InvalidValue, match="not allowed"):
        check_address(access, "http://localhost:8420")
    with pytest.raises(InvalidValue, match="are off"):
        check_address(ServiceAccess(), "http://localhost:11434")
