"""The token goes to the server, and nowhere else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodegraph.client import Client, OutputFile, Unauthenticated, UnexpectedAnswer
from nodegraph.errors import InvalidValue, NodegraphError
from tests.client.support import (
    ONCE,
    Said,
    answering,
    client_of,
    either_client,
    in_both_kinds,
    problem,
)
from tests.messages import raises
from tests.server.hosting import Hosted, workflow
from tests.server.resources import digest_of

SECRET = "ng_0123456789ab_" + "5ec2e7" * 8

Ask = Callable[[Any, Path], Any]
ASKED: dict[str, Ask] = {
    "get": lambda client, folder: client.get("job_x"),
    "submit": lambda client, folder: client.submit(workflow()),
    "upload": lambda client, folder: client.upload(b"data", "x.png"),
    "delete": lambda client, folder: client.delete("job_x"),
    "list": lambda client, folder: list(client.list()),
    "watch": lambda client, folder: list(client.watch("job_x")),
    "wait": lambda client, folder: client.wait("job_x"),
    "download": lambda client, folder: client.download(
        OutputFile("a", "n", "image", "x/y", 1, digest_of(b"x")), folder / "a"
    ),
}
STATUSES = (301, 302, 303, 307, 308)
"""Of redirects."""


@pytest.mark.parametrize(
    ("kind", "asked", "status"),
    [
        *(
            (kind, asked, STATUSES[(at + shift) % len(STATUSES)])
            for at, asked in enumerate(ASKED)
            for shift, kind in enumerate(("sync", "async"))
        ),
        *(("async", asked, status) for asked in ("submit", "watch") for status in STATUSES),
    ],
)
def test_the_token_does_not_follow_redirects(
    kind: str, status: int, asked: str, tmp_path: Path
) -> None:
    with answering(Said(200, {}, b"{}")) as elsewhere:
        there = Said(status, {"Location": f"{elsewhere.url}/?{SECRET}"})
        with (
            answering(there) as server,
            either_client(kind, server.url, token=SECRET, retries=ONCE) as client,
            raises(UnexpectedAnswer) as caught,
        ):
            ASKED[asked](client, tmp_path)
        assert elsewhere.seen == []
    assert server.seen
    assert all(headers["authorization"] == f"Bearer {SECRET}" for _, _, headers in server.seen)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@in_both_kinds
def test_the_token_is_in_no_log_and_no_error(
    kind: str, own_server: Hosted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "httpx", "httpcore", "nodegraph", "hpack"):
        caplog.set_level(logging.DEBUG, name)
    token = own_server.token("ann", "run")["Authorization"].removeprefix("Bearer ")
    wrong = f"{token[:-6]}abcdef"
    with either_client(kind, own_server.url, token=token) as client:
        job = client.submit(workflow())
        client.cancel(job)
        assert len(list(client.watch(job))) == 2
    with Client(own_server.url, token) as client:
        texts = [repr(client), repr(vars(client)), repr(vars(client.queue))]
    for ask in ("get", "watch", "submit"):
        with (
            either_client(kind, own_server.url, token=wrong) as client,
            raises(Unauthenticated) as caught,
        ):
            ASKED[ask](client, Path())
        texts += [*traceback.format_exception(caught.value), repr(caught.value)]
    # The server is in this process, too, and web servers that debug log all headers.
    logged = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("uvicorn", "nodegraph.server"))
    ]
    assert any("HTTP Request" in line for line in logged)  # so that something was logged at all
    for secret in (token, wrong):
        assert secret.rpartition("_")[2] not in "".join([*logged, *texts])


def test_an_answer_that_repeats_the_token_is_not_repeated(kind: str) -> None:
    parrots = [
        problem(500, "server-error", detail=f"you sent {SECRET}", headers={"X-Request-Id": SECRET}),
        problem(422, "invalid-value", problems=[{"code": "invalid-value", "message": SECRET}]),
        Said(404, {"Content-Type": SECRET}, SECRET.encode()),
        Said(200, {"Content-Type": SECRET}, SECRET.encode()),
    ]
    for parrot in parrots:
        with (
            answering(parrot) as server,
            either_client(kind, server.url, token=SECRET, retries=ONCE) as client,
            pytest.raises(NodegraphError) as caught,
        ):
            client.get("job_x")
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", ["ng_a b", "ng_a\r\nX-Evil: 1", "ng_ä", "ng_\0", "ng_x\n"])
def test_what_could_be_no_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Client("h", text)
    assert text not in str(caught.value)
    assert "ng_" not in str(caught.value)


def test_where_the_token_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_TOKEN", SECRET)
    with answering(Said(500)) as server:
        for token in (None, "other", ""):
            with (
                client_of(server, token=token, retries=ONCE) as client,
                pytest.raises(NodegraphError),
            ):
                client.system()
    sent = [headers.get("authorization") for _, _, headers in server.seen]
    assert sent == [f"Bearer {SECRET}", "Bearer other", None]


@in_both_kinds
def test_no_proxy_is_asked_for_a_server_of_this_machine(
    kind: str, server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(Said(500)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with either_client(kind, server.url, token=SECRET) as client:
            with pytest.raises(Unauthenticated):
                client.system()
            with pytest.raises(Unauthenticated):
                list(client.watch("job_x"))
        assert proxy.seen == []
