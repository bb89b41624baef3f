"""Secrets over HTTP, and that no file, log or answer of a server holds a value."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.client import Client, JobFailed
from nodegraph.errors import InvalidWorkflow
from nodegraph.server.access.tokens import TOKENS_FILE, TokenFile
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings
from nodegraph.store.secrets import PUBLIC_HOSTS, SecretStore
from tests.nodes.services import KEY, running
from tests.server.hosting import Hosted, Process

OTHER = "r8-of-the-environment-0123456789"


def test_values_go_in_and_never_come_out(server: Hosted) -> None:
    body = {"value": KEY, "hosts": ["api.openai.com"]}
    answer = server.client.put("/secrets/openai", json=body)
    assert answer.status_code == 200, answer.text
    listed = server.client.get("/secrets")
    [secret] = listed.json()["secrets"]
    assert secret["hosts"] == ["api.openai.com"]
    assert KEY not in answer.text + listed.text
    assert SecretStore(server.services.home / "secrets.json").get("openai").value == KEY
    assert server.client.delete("/secrets/openai").status_code == 204
    assert server.client.get("/secrets").json() == {"secrets": []}


@pytest.mark.parametrize(
    "body",
    [
        {"vaule": KEY, "hosts": ["a.b"]},
        {"value": [KEY], "hosts": ["a.b"]},
        {"value": KEY, "hosts": KEY},
        {"value": f"{KEY} x", "hosts": ["a.b"]},
        {"value": KEY, "hosts": ["*"]},
        KEY,
        [KEY],
    ],
)
def test_refusals_do_not_repeat_a_value(server: Hosted, body: Any) -> None:
    answer = server.client.put("/secrets/openai", json=body)
    assert answer.status_code == 422
    assert KEY not in answer.text


def test_only_admins_change_secrets(server: Hosted) -> None:
    tokens = TokenFile(server.services.home / TOKENS_FILE)
    for scope, listed in (("read", 403), ("run", 200), ("models", 403)):
        token, _ = tokens.add(scope, [scope])
        headers = {"Authorization": f"Bearer {token}"}
        body = {"value": KEY, "hosts": ["a.b"]}
        put = httpx.put(f"{server.url}/api/v1/secrets/a", json=body, headers=headers)
        assert put.status_code == 403
        assert KEY not in put.text
        assert httpx.delete(f"{server.url}/api/v1/secrets/a", headers=headers).status_code == 403
        assert httpx.get(f"{server.url}/api/v1/secrets", headers=headers).status_code == listed


def texts(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All files below a folder, compressed rows of databases unpacked."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.startswith("secrets.json"):
            continue
        yield path, path.read_bytes()
        if path.suffix == ".sqlite":
            with sqlite3.connect(path) as connection:
                tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                for (table,) in tables.fetchall():
                    for row in connection.execute(f'SELECT * FROM "{table}"'):
                        for value in row:
                            if isinstance(value, bytes):
                                yield path, value
                                try:
                                    yield path, zlib.decompress(value)
                                except zlib.error:
                                    continue


@pytest.mark.slow
def test_no_file_log_or_answer_holds_a_value(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    variables = {
        "NODEGRAPH_SERVICE_HOSTS": "127.0.0.1",
        "NODEGRAPH_SECRET_VARIABLE": OTHER,
        "NODEGRAPH_SECRET_VARIABLE_HOSTS": "127.0.0.1",
    }
    with (
        running(requires_key=True) as service,
        Process(home, "--workers", "1", "--log-level", "debug", environment=variables) as process,
    ):
        process.ready()
        answers: list[str] = []
        with Client(process.url) as client:
            client.secrets.set("mine", KEY, ["127.0.0.1"])
            answers.append(str(client.secrets.list()))

            def run(secret: str, prompt: str) -> None:
                base = f"{service.url}/v1"
                nodes: dict[str, Any] = {
                    "load": {
                        "type": "ConnectLanguageModel",
                        "inputs": {
                            "kind": "openai",
                            "model": "m",
                            "address": base,
                            "secret": secret,
                        },
                    },
                    "ask": {
                        "type": "GenerateText",
                        "inputs": {"encoder": {"from": "load"}, "prompt": prompt},
                    },
                    "show": {"type": "ShowValue", "inputs": {"value": {"from": "ask"}}},
                    "call": {
                        "type": "CallImageAPI",
                        "inputs": {
                            "prompt": {"from": "ask"},
                            "model": "m",
                            "secret": secret,
                            "address": base,
                        },
                    },
                    "save": {"type": "SaveImage", "inputs": {"image": {"from": "call.image"}}},
                }
                job = client.submit({"format": "nodegraph/1", "nodes": nodes})
                try:
                    answers.append(repr(client.wait(job.id)))
                except JobFailed as error:
                    answers.append(f"{error} {error!r}")
                answers.append(repr(client.get(job.id)))
                answers.append(json.dumps([repr(event) for event in client.watch(job.id)]))

            # The service repeats the key in its answers: in texts, and in errors.
            service.words = ["your key is ", KEY[:9], KEY[9:]]
            run("mine", "first")
            service.refusals = [(400, {}, {"error": {"message": f"wrong key {KEY}"}})]
            run("mine", "second")
            service.requires_key = False
            service.refusals = [(400, {}, {"error": {"message": f"wrong key {OTHER}"}})]
            run("variable", "third")
            with pytest.raises(InvalidWorkflow) as caught:
                run("absent", "fourth")
            answers.append(str(caught.value))
        with Client(process.url) as client:
            answers.append(repr(client.system()))
        assert any(KEY in item.headers.get("authorization", "") for item in service.seen)
        assert any(OTHER in item.headers.get("authorization", "") for item in service.seen)
        process.stop()
        found = [str(path) for path, data in texts(tmp_path) for value in (KEY, OTHER)
                 if value.encode() in data]  # fmt: skip
        assert found == []
        assert not any(value in text for text in answers for value in (KEY, OTHER))
        assert sum("***" in text for text in answers) >= 3
        assert KEY not in process.log + process.printed
        assert OTHER not in process.log + process.printed


def test_servers_of_this_machine_are_for_its_user_alone(tmp_path: Path) -> None:
    def hosts(home: str, **server: Any) -> tuple[str, ...] | None:
        settings = Settings(home=tmp_path / home)
        services = Services(settings, ServerSettings(**server), has_workers=False)
        return services.worker_settings.service_hosts

    assert hosts("own") is None
    assert hosts("open", host="0.0.0.0") == PUBLIC_HOSTS
    TokenFile(tmp_path / "shared" / TOKENS_FILE).add("guest", ["run"])
    assert hosts("shared") == PUBLIC_HOSTS
