"""Programs that run the application write no secrets either, at whatever level they log."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from nodegraph.server.access.tokens import TokenFile
from nodegraph.server.operations.logs import redact_foreign_loggers, redacted
from tests.server.hosting import PATIENCE, Process
from tests.server.talking import UNHURRIED

LOGGER = logging.getLogger("uvicorn.error")
PATIENT: Any = {"timeout": PATIENCE, "trust_env": False}


@pytest.mark.slow
@pytest.mark.parametrize("level", ["debug", "trace"])
def test_uvicorn_logs_no_token(home: Path, level: str) -> None:
    token, _ = TokenFile(home / "tokens.json").add("studio", ["run"])
    command = ("-m", "uvicorn", "server:app", "--port", "0", "--log-level", level)
    with Process(home, command=command) as process:
        process.logged("Uvicorn running")
        found = re.search(r"http://(127.0.0.1:\d+)", process.log)
        assert found is not None
        url = f"ws://{found[1]}/api/v1/events"
        login = httpx.post(f"http://{found[1]}/login", data={"token": token}, **PATIENT)
        cookie = login.headers["set-cookie"].partition(";")[0]
        bearer = {"Authorization": f"Bearer {token}"}
        for headers, offered in (
            (bearer, []),
            ({"Cookie": cookie}, []),
            ({}, ["nodegraph.v1.json", f"nodegraph.token.{token}"]),
        ):
            with connect(
                url,
                additional_headers=headers,
                subprotocols=offered or None,  # type: ignore[arg-type]
                **UNHURRIED,
            ) as client:
                client.recv(timeout=PATIENCE)
        httpx.get(f"http://{found[1]}/api/v1/jobs", headers=bearer, **PATIENT)
        end = time.monotonic() + PATIENCE
        while process.log.count("authorization: Bearer ***") < 1:
            assert time.monotonic() < end
        assert "nodegraph_session" in process.log
        for secret in (token.rpartition("_")[2], cookie.partition("=")[2]):
            assert secret not in process.log


def test_what_holds_no_secret_stays_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    redact_foreign_loggers()
    redact_foreign_loggers()
    with caplog.at_level(logging.DEBUG, "uvicorn.error"):
        LOGGER.info("Started %s", 5, extra={"color_message": "Started %d"})
        LOGGER.info("%s", "authorization: Bearer ng_00", extra={"color_message": "%s"})
    plain, secret = caplog.records
    assert (plain.msg, plain.args) == ("Started %s", (5,))
    assert plain.__dict__["color_message"] == "Started %d"
    assert (secret.getMessage(), "color_message" in secret.__dict__) == (
        "authorization: Bearer ***",
        False,
    )


def test_cookies_of_sessions_are_secrets() -> None:
    text = "cookie: a=b; nodegraph_session_8420=AbC-_9; c=d; __Host-nodegraph_session=xyz"
    stars = "cookie: a=b; nodegraph_session_8420=***; c=d; __Host-nodegraph_session=***"
    assert redacted(text) == stars
