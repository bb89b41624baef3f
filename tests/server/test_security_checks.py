"""The checks of a request's head, each by itself: names, origins, paths, rates, headers, logs."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from nodegraph.server.access.authentication import RateLimiter, network
from nodegraph.server.access.gate import DATA_POLICY, PAGE_POLICY, with_security_headers
from nodegraph.server.access.head import Head, check_path
from nodegraph.server.access.origins import Hosts, Origins
from nodegraph.server.http.errors import Refused, TooLarge
from nodegraph.server.http.limits.body import CountedBody
from nodegraph.server.operations.logs import JsonLines, TextLines, redacted
from nodegraph.server.settings import BodyLimits, ServerSettings, is_loopback
from tests.messages import raises

OPEN = ServerSettings(host="0.0.0.0", allowed_hosts=["studio.example"])


def head(path: str = "/", raw: bytes | None = None, query: bytes = b"", **headers: str) -> Head:
    """A request's head; names of headers are written with underscores."""
    return Head(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode() if raw is None else raw,
            "query_string": query,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "headers": [
                (name.replace("_", "-").encode(), value.encode("latin-1"))
                for name, value in headers.items()
            ],
        }
    )


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:99", "127.0.0.1:8420", "127.8.9.1", "[::1]:8420", "[::1]"]
)
def test_a_private_server_answers_to_names_of_its_own_machine(host: str) -> None:
    assert Hosts(ServerSettings()).check(head(host=host)) == host.lower()


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.7"),
        *("localhost@evil.example", "localhost:8420:1", "[::1", "127.0.0.1 ", "localhost:port", ""),
        *("0.0.0.0", "2130706433", "0x7f.1", "127.1", "[::ffff:192.168.1.7]", "locälhost"),
    ],
)
def test_a_private_server_answers_to_no_other_name(host: str) -> None:
    with pytest.raises(Refused):
        Hosts(ServerSettings()).check(head(host=host))


def test_a_server_for_others_answers_to_its_names_and_to_bare_addresses() -> None:
    hosts = Hosts(OPEN)
    for host in ("studio.example", "Studio.Example:443", "192.168.1.7:8420", "[fe80::1]:8420"):
        assert hosts.check(head(host=host)) == host.lower()
    for host in ("evil.example", "studio.example.evil.example", "xstudio.example"):
        with pytest.raises(Refused):
            hosts.check(head(host=host))


def test_a_request_that_names_two_hosts_or_none_is_refused() -> None:
    with pytest.raises(Refused):
        Hosts(OPEN).check(head())
    twice = head(host="studio.example")
    twice.headers[b"host"].append(b"evil.example")
    with pytest.raises(Refused):
        Hosts(OPEN).check(twice)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8420"},
        {"origin": "https://127.0.0.1:8420"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": "http://127.0.0.1:8420", "sec_fetch_site": "same-origin"},
    ],
)
def test_the_servers_own_pages_and_what_is_no_browser_may_ask(headers: dict[str, str]) -> None:
    assert Origins(ServerSettings()).check(head(**headers), "127.0.0.1:8420") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "null"},
        {"origin": "NULL"},
        {"origin": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:8421"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://localhost:8420"},
        {"origin": "http://127.0.0.1:8420.evil.example"},
        {"origin": "http://127.0.0.1:8420@evil.example"},
        {"origin": "http://127.0.0.1:8420, http://evil.example"},
        {"origin": "file://"},
        {"origin": "chrome-extension://abc"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "anything"},
        {"origin": "http://127.0.0.1:8420", "sec_fetch_site": "cross-site"},
    ],
)
def test_pages_elsewhere_may_not_ask(headers: dict[str, str]) -> None:
    with pytest.raises(Refused):
        Origins(ServerSettings()).check(head(**headers), "127.0.0.1:8420")


def test_a_page_of_the_settings_may_ask_though_it_lies_elsewhere() -> None:
    origins = Origins(ServerSettings(allowed_origins=["https://Studio.example/"]))
    found = head(origin="https://studio.example", sec_fetch_site="cross-site")
    assert origins.check(found, "127.0.0.1:8420") == "https://studio.example"
    for other in (
        "http://studio.example",
        "https://studio.example:444",
        "https://a.studio.example",
    ):
        with pytest.raises(Refused):
            origins.check(head(origin=other), "127.0.0.1:8420")


def test_ports_that_go_without_saying_are_the_same_origin() -> None:
    origins = Origins(ServerSettings())
    assert origins.check(head(origin="https://studio.example"), "studio.example") is None
    assert origins.check(head(origin="https://studio.example"), "studio.example:443") is None
    with pytest.raises(Refused):
        origins.check(head(origin="https://studio.example"), "studio.example:80")


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/a/../b", None),
        ("/..", None),
        ("/./a", None),
        ("/a/b", b"/a%2fb"),
        ("/a/b", b"/a%2Fb"),
        ("/a\\b", b"/a%5cb"),
        ("/a\\b", None),
        ("/a\0b", b"/a%00b"),
        ("/a\nb", b"/a%0ab"),
        ("/a\x7fb", b"/a%7fb"),
        ("/a/../b", b"/a/%2e%2e/b"),
        ("/" + "a" * 3000, None),
    ],
)
def test_paths_that_mean_different_things_to_different_readers_are_refused(
    path: str, raw: bytes | None
) -> None:
    with pytest.raises(Refused):
        check_path(head(path, raw))


@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/a/.hidden", "/a/b..c", "/a/...", "/ä b"])
def test_ordinary_paths_pass(path: str) -> None:
    check_path(head(path))


@pytest.mark.parametrize(("path", "is_told"), [("/api/v1/jobs", True), ("/api/v1/uploads", False)])
def test_a_body_that_is_too_large_is_told_where_large_things_belong(
    path: str, is_told: bool
) -> None:
    async def nothing() -> Message:
        raise AssertionError("nothing of it is read")

    asked = head(path, content_length=str(10**12))
    asked.method = "POST"
    with raises(TooLarge, given="1.0 TB") as caught:
        CountedBody(asked, nothing, BodyLimits())
    assert ("Upload" in str(caught.value.problem.hint)) is is_told


def test_a_query_without_end_is_refused() -> None:
    with pytest.raises(Refused):
        check_path(head(query=b"a" * 10_000))


@given(st.floats(0.5, 100), st.integers(1, 50), st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_nobody_gets_more_than_the_burst_and_what_flows_in(
    rate: float, burst: int, pauses: list[float]
) -> None:
    now = 0.0
    buckets = RateLimiter(rate, burst, clock=lambda: now)
    let_through = 0
    for pause in pauses:
        now += pause
        let_through += buckets.acquire("somebody") == 0.0
    assert let_through <= burst + now * rate + 1e-6
    wait = buckets.acquire("somebody")
    now += wait + 1e-9
    assert wait == 0.0 or buckets.acquire("somebody") < 1e-6


def test_each_has_a_bucket_and_many_that_came_once_take_no_room() -> None:
    buckets = RateLimiter(1, 2, clock=lambda: 0.0)
    assert [buckets.acquire("ann") > 0 for _ in range(3)] == [False, False, True]
    assert buckets.acquire("bob") == 0.0
    for at in range(30_000):
        buckets.acquire(str(at))
    assert len(buckets._filled) <= 10_000


def test_a_household_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:2")
    assert network("2001:db8::1") != network("2001:db8:0:1::1")
    assert network("::ffff:10.0.0.1") == network("10.0.0.1")
    assert network("unknown") == "unknown"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("127.0.0.1", True), ("::1", True), ("localhost", True), ("::ffff:127.0.0.1", True)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("evil.example", False)),
    ],
)
def test_loopback_is_known_by_its_names(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_answers_get_the_headers_that_they_lack_and_keep_their_own() -> None:
    plain = dict(with_security_headers([(b"content-type", b"application/json")]))
    assert plain[b"x-content-type-options"] == b"nosniff"
    assert plain[b"content-security-policy"] == DATA_POLICY.encode()
    assert plain[b"cross-origin-resource-policy"] == b"same-origin"
    assert b"access-control-allow-origin" not in plain
    page = dict(with_security_headers([(b"content-type", b"text/html; charset=utf-8")]))
    assert page[b"content-security-policy"] == PAGE_POLICY.encode()
    own = with_security_headers(
        [(b"Content-Security-Policy", b"sandbox"), (b"cache-control", b"private")]
    )
    assert dict(own)[b"Content-Security-Policy"] == b"sandbox"
    assert [value for name, value in own if name == b"cache-control"] == [b"private"]


def test_no_page_may_hold_a_script_or_be_framed() -> None:
    for policy in (PAGE_POLICY, DATA_POLICY):
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy


def test_a_header_that_would_end_the_head_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    found = with_security_headers(
        [(b"x-name", b"a\r\nset-cookie: b"), (b"content-type", b"text/plain")]
    )
    assert b"x-name" not in dict(found)
    assert dict(found)[b"content-type"] == b"text/plain"
    assert "line break" in caplog.text


TOKEN = f"ng_{'0a' * 6}_{'b1' * 24}"


@pytest.mark.parametrize(
    "text",
    [
        f"got {TOKEN} from 1.2.3.4",
        f"Authorization: Bearer {TOKEN}",
        f"headers=[(b'authorization', b'Bearer {TOKEN}')]",
        "authorization: Basic dXNlcjpzZWNyZXQ=",
        "token=dXNlcjpzZWNyZXQ&x=1",
        '{"password": "dXNlcjpzZWNyZXQ"}',
        "HF token hf_dXNlcjpzZWNyZXQdXNlcjpzZWNyZXQ",
        "api_key=dXNlcjpzZWNyZXQ",
    ],
)
def test_logs_tell_no_secret(text: str) -> None:
    for formatter in (TextLines(), JsonLines()):
        record = logging.LogRecord("a", logging.INFO, "", 0, "%s", (text,), None)
        record.fields = {"path": text}
        line = formatter.format(record)
        assert "b1b1" not in line
        assert "dXNlcjpzZWNyZXQ" not in line


def test_logs_without_secrets_are_as_they_were() -> None:
    text = "job job_01hzy3m7q8r9s0t1v2w3x4y5z6 of ann: 3 tokens were read, password forgotten"
    assert redacted(text) == text


def test_a_json_line_is_one_object_with_its_fields_and_trace() -> None:
    try:
        raise ValueError(TOKEN)
    except ValueError as error:
        trace: Any = (type(error), error, error.__traceback__)
    record = logging.LogRecord("a.b", logging.WARNING, "", 0, "two\nlines", (), trace)
    record.fields = {"event": "refused", "status": "403"}
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["logger"], found["status"]) == ("warning", "a.b", "403")
    assert "ValueError" in found["trace"]
    assert TOKEN not in line
