"""Browsers log in with a token once; a cookie stands for it from then on, as long as it is good."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from nodegraph.server.access.authentication import Sessions, safe_redirect_target
from nodegraph.server.access.tokens import TokenFile, Tokens
from tests.server.hosting import PATIENCE, Hosted, hosted, workflow
from tests.server.talking import talk

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def guarded(home: Any) -> Iterator[tuple[Hosted, str]]:
    """A server with a token, and the token."""
    token, _ = TokenFile(home / "tokens.json").add("studio", ["run"])
    with hosted(home) as server:
        yield server, token


@contextmanager
def browser(server: Hosted) -> Iterator[httpx.Client]:
    """Says where its requests come from, and keeps cookies."""
    headers = {**PAGE, "Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(
        base_url=server.url, headers=headers, timeout=PATIENCE, trust_env=False
    ) as found:
        yield found


def log_in(client: httpx.Client, token: str, place: str = "/login") -> httpx.Response:
    return client.post("/login", data={"token": token, "next": place})


def cookie_header(client: httpx.Client) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


def test_a_page_leads_to_the_form_and_back_and_an_app_runs_in_a_browser(
    guarded: tuple[Hosted, str],
) -> None:
    server, token = guarded
    own = {"Authorization": f"Bearer {token}"}
    server.client.put("/workflows/sum", json=workflow(), headers=own).raise_for_status()
    with browser(server) as client:
        asked = client.get("/api/v1/apps/sum")
        assert asked.status_code == 303
        form = client.get(asked.headers["location"])
        assert form.status_code == 200
        assert 'type="password"' in form.text
        hidden = re.search(r'name="next" value="([^"]+)"', form.text)
        assert hidden is not None
        done = log_in(client, token, hidden[1])
        assert (done.status_code, done.headers["location"]) == (303, "/api/v1/apps/sum")
        assert '<form method="post"' in client.get(done.headers["location"]).text
        ran = client.post(
            "/api/v1/apps/sum", files={"b": (None, "5")}, headers={"Prefer": "wait=0"}
        )
        assert ran.status_code == 303
        assert "It waits for its turn." in client.get(ran.headers["location"]).text
        assert "logged in as studio" in client.get("/login").text


def test_the_cookie_is_for_this_server_alone(guarded: tuple[Hosted, str]) -> None:
    server, token = guarded
    with browser(server) as client:
        found = log_in(client, token).headers["set-cookie"]
    name, *attributes = found.split("; ")
    assert re.fullmatch(rf"nodegraph_session_{server.port}=[\w-]{{43}}", name)
    assert set(attributes) == {"Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Strict"}
    assert token not in found


def test_behind_tls_the_cookie_never_goes_without(home: Any) -> None:
    token, _ = TokenFile(home / "tokens.json").add("studio", ["run"])
    with hosted(home, allowed_hosts=["studio.example"]) as server:
        headers = {"Host": "studio.example", "Origin": "https://studio.example"}
        answer = httpx.post(
            f"{server.url}/login",
            data={"token": token},
            headers=headers,
            timeout=PATIENCE,
            trust_env=False,
        )
        found = answer.headers["set-cookie"]
        assert found.startswith("__Host-nodegraph_session=")
        assert "; Secure" in found
        known = {"Host": "studio.example", "Cookie": found.partition(";")[0]}
        seen = httpx.get(
            f"{server.url}/api/v1/jobs", headers=known, timeout=PATIENCE, trust_env=False
        )
        assert seen.status_code == 200


def test_the_cookie_opens_a_websocket(guarded: tuple[Hosted, str]) -> None:
    server, token = guarded
    with browser(server) as client:
        log_in(client, token)
        headers = {**cookie_header(client), "Origin": server.url}
        with talk(server, headers=headers) as found:
            assert found.welcome["caller"] == {"name": "studio", "scopes": ["read", "run"]}
        for origin in ("http://evil.example", "null"):
            with (
                pytest.raises(InvalidStatus),
                talk(server, headers={**headers, "Origin": origin}),
            ):
                pass


def test_logging_out_ends_the_session_and_what_is_open_in_it(guarded: tuple[Hosted, str]) -> None:
    server, token = guarded
    with browser(server) as client:
        log_in(client, token)
        known = cookie_header(client)
        assert client.get("/api/v1/jobs").status_code == 200
        out = client.post("/logout")
        assert (out.status_code, out.headers["location"]) == (303, "/login")
        assert "Max-Age=0" in out.headers["set-cookie"]
        # The cookie itself is of no use either, whoever has kept it.
        again = server.client.get("/jobs", headers=known)
        assert again.status_code == 401


def test_a_stream_ends_with_its_session(guarded: tuple[Hosted, str]) -> None:
    server, token = guarded
    own = {"Authorization": f"Bearer {token}"}
    with browser(server) as client:
        log_in(client, token)
        headers = {"Accept": "text/event-stream"}
        with client.stream("GET", "/api/v1/events", headers=headers) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            client.post("/logout")
            wish = {"workflow": workflow(), "held": True}
            server.client.post("/jobs", json=wish, headers=own).raise_for_status()
            assert [line for line in lines if line] == []


def test_taking_the_token_back_ends_its_sessions(guarded: tuple[Hosted, str]) -> None:
    server, token = guarded
    with browser(server) as client:
        log_in(client, token)
        assert client.get("/api/v1/jobs").status_code == 200
        TokenFile(server.services.home / "tokens.json").revoke("studio")
        assert client.get("/api/v1/jobs").status_code == 303
        headers = {**cookie_header(client), "Accept": "application/json"}
        assert server.client.get("/jobs", headers=headers).status_code == 401


def test_a_session_ends_by_itself(tmp_path: Any) -> None:
    now = [1000.0]
    token, _ = TokenFile(tmp_path / "tokens.json").add("studio", ["read"])
    tokens = Tokens(tmp_path / "tokens.json")
    sessions = Sessions(tokens, 60.0, lambda: now[0])
    owner = tokens.caller(token)
    assert owner is not None
    secret = sessions.begin(owner)
    found = sessions.caller(secret)
    assert found is not None
    assert (found.name, found.scopes, found.token) == (owner.name, owner.scopes, owner.token)
    assert sessions.is_open(found.session)
    assert found.session != secret
    now[0] += 60.0
    assert sessions.caller(secret) is None
    assert not sessions.is_open(found.session)


def test_wrong_tokens_are_refused_and_counted_with_those_of_headers(
    hosting: Callable[..., Any], home: Any
) -> None:
    token, _ = TokenFile(home / "tokens.json").add("studio", ["run"])
    rates = {"failures_per_minute": 0.001, "failure_burst": 4}
    with hosting(rates=rates) as server, browser(server) as client:
        for _ in range(2):
            wrong = log_in(client, "ng_" + "0" * 12 + "_" + "0" * 48)
            assert wrong.status_code == 401
            assert 'role="alert"' in wrong.text
            assert "set-cookie" not in wrong.headers
            bearer = {"Authorization": "Bearer ng_guess"}
            assert server.client.get("/jobs", headers=bearer).status_code == 401
        refused = log_in(client, "ng_x")
        assert refused.status_code == 429
        assert "retry-after" in refused.headers
        assert log_in(client, token).status_code == 303


def test_pages_elsewhere_can_neither_log_in_nor_use_a_session(
    guarded: tuple[Hosted, str],
) -> None:
    server, token = guarded
    with browser(server) as client:
        log_in(client, token)
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
            for path in ("/login", "/logout"):
                answer = client.post(path, data={"token": token}, headers={"Origin": origin})
                assert answer.status_code == 403
        assert client.get("/api/v1/jobs").status_code == 200


def test_a_page_that_may_ask_brings_its_own_token(home: Any) -> None:
    token, _ = TokenFile(home / "tokens.json").add("studio", ["run"])
    with hosted(home, allowed_origins=["http://127.0.0.1:3000"]) as server:
        with browser(server) as client:
            log_in(client, token)
            known = cookie_header(client)
        foreign = {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}
        assert server.client.get("/jobs", headers={**known, **foreign}).status_code == 401
        own = {**foreign, "Authorization": f"Bearer {token}"}
        assert server.client.get("/jobs", headers=own).status_code == 200


def test_programs_are_told_of_tokens_not_sent_to_a_page(guarded: tuple[Hosted, str]) -> None:
    server, _ = guarded
    answer = server.client.get("/jobs")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_that_is_too_large_or_none_is_refused(guarded: tuple[Hosted, str]) -> None:
    server, _ = guarded
    with browser(server) as client:
        large = client.post("/login", content=b"token=" + b"x" * 10_000, headers=FORM)
        assert large.status_code == 413
        many = client.post("/login", content=b"a=1&" * 100, headers=FORM)
        assert many.status_code == 400
        assert client.post("/login", json={"token": "x"}).status_code == 415
        assert client.post("/login", content=b"\xff", headers=FORM).status_code == 400


@pytest.mark.parametrize(
    "place",
    [
        *("//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a\nb", "/ "),
        *("javascript:alert(1)", "\\\\evil", "/" + "x" * 3_000, "/a\tb", "///evil.example"),
    ],
)
def test_nobody_is_sent_elsewhere(place: str) -> None:
    assert safe_redirect_target(place) == "/login"


def test_the_pages_hold_no_script_and_are_not_kept(guarded: tuple[Hosted, str]) -> None:
    server, _ = guarded
    with browser(server) as client:
        answer = client.get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_without_tokens_nobody_has_to_log_in(server: Hosted) -> None:
    with browser(server) as client:
        assert "have access without" in client.get("/login").text
        assert client.get("/api/v1/apps").status_code == 200
