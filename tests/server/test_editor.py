"""The editor's files are served as they were built, to whoever may come in."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest

from nodegraph.server.access.gate import PAGE_POLICY
from nodegraph.server.access.tokens import TokenFile
from nodegraph.server.content.pages import BUILT, Editor
from tests.server.hosting import PATIENCE, Hosted, hosted

SCRIPT = b"console.log('hello');\n" * 200
PAGE = b'<!doctype html><script type="module" src="/assets/main-1a2b.js"></script>'
ICON = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder such as the editor's build leaves."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "assets" / "main-1a2b.js").write_bytes(SCRIPT)
    (folder / "assets" / "icon-3c4d.svg").write_bytes(b"<svg/>")
    (folder / "favicon.svg").write_bytes(ICON)
    (folder / "secret.txt").write_bytes(b"a secret")
    return folder


@pytest.fixture
def serving(server: Hosted, built: Path, monkeypatch: pytest.MonkeyPatch) -> Hosted:
    monkeypatch.setattr(server.services, "editor", Editor(built))
    return server


def got(server: Hosted, path: str, **headers: str) -> httpx.Response:
    headers = {
        "Accept-Encoding": "identity",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return httpx.get(f"{server.url}{path}", headers=headers, timeout=PATIENCE, trust_env=False)


def test_the_page_comes_with_a_policy_that_lets_no_foreign_script_run(serving: Hosted) -> None:
    answer = got(serving, "/")
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_the_page_has_an_address_for_those_who_want_no_graph(serving: Hosted) -> None:
    page, view = got(serving, "/"), got(serving, "/generate")
    assert (view.status_code, view.content) == (200, page.content)
    for name in ("etag", "content-security-policy", "referrer-policy", "cache-control"):
        assert view.headers[name] == page.headers[name]
    # A link elsewhere may lead there, too.
    assert got(serving, "/generate", **LINK).content == PAGE
    slash = got(serving, "/generate/")
    assert (slash.status_code, httpx.URL(slash.headers["location"]).path) == (307, "/generate")


def test_the_page_is_asked_for_each_time_and_sent_only_if_it_changed(
    serving: Hosted, built: Path
) -> None:
    first = got(serving, "/")
    assert first.headers["cache-control"] == "no-cache"
    again = got(serving, "/", If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "content-security-policy", "referrer-policy", "cache-control"):
        assert again.headers[name] == first.headers[name]
    (built / "index.html").write_bytes(PAGE + b"<!-- new -->")
    changed = got(serving, "/", If_None_Match=first.headers["etag"])
    assert changed.status_code == 200
    assert changed.content.endswith(b"<!-- new -->")


def test_what_the_page_loads_may_be_kept_for_good(serving: Hosted) -> None:
    answer = got(serving, "/assets/main-1a2b.js")
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    known = got(serving, "/assets/main-1a2b.js", If_None_Match=answer.headers["etag"])
    assert known.status_code == 304
    assert got(serving, "/assets/icon-3c4d.svg").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("accepted", "coding", "unpacked"),
    [("gzip", "gzip", gzip.decompress), ("gzip, br", "br", brotli.decompress)],
)
def test_files_are_sent_packed_to_whoever_takes_that(
    serving: Hosted, accepted: str, coding: str, unpacked: Callable[[bytes], bytes]
) -> None:
    path = "/assets/main-1a2b.js"
    url = f"{serving.url}{path}"
    with httpx.stream(
        "GET", url, headers={"Accept-Encoding": accepted}, timeout=PATIENCE, trust_env=False
    ) as sent:
        raw = b"".join(sent.iter_raw())
    assert sent.headers["content-encoding"] == coding
    assert sent.headers["vary"] == "Accept-Encoding"
    assert len(raw) == int(sent.headers["content-length"]) < len(SCRIPT) / 10
    assert unpacked(raw) == SCRIPT
    plain = got(serving, path)
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != sent.headers["etag"]
    refused = got(serving, path, Accept_Encoding="gzip;q=0, br;q=0")
    assert "content-encoding" not in refused.headers
    # What is small already isn't.
    assert (
        "content-encoding"
        not in got(serving, "/assets/icon-3c4d.svg", Accept_Encoding="gzip").headers
    )


def test_head_tells_what_get_would(serving: Hosted) -> None:
    for path in ("/", "/assets/main-1a2b.js"):
        head = httpx.head(f"{serving.url}{path}", timeout=PATIENCE, trust_env=False)
        get = httpx.get(f"{serving.url}{path}", timeout=PATIENCE, trust_env=False)
        assert head.content == b""
        for name in ("etag", "content-type", "content-length", "content-security-policy"):
            assert head.headers[name] == get.headers[name]


def test_nothing_else_is_sent(serving: Hosted) -> None:
    for name in ("none.js", "..%2findex.html", "%2e%2e/secret.txt", "secret.txt", ".", "a/b.js"):
        answer = got(serving, f"/assets/{name}")
        assert answer.status_code in (400, 404), name
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
    for path in ("/secret.txt", "/index.html", "/assets", "/assets/", "/static/index.html"):
        assert got(serving, path).status_code == 404


def test_only_reading_is_possible(serving: Hosted) -> None:
    for path in ("/", "/assets/main-1a2b.js"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = httpx.request(
                method, f"{serving.url}{path}", timeout=PATIENCE, trust_env=False
            )
            assert answer.status_code == 405


def test_a_build_while_the_server_runs_is_taken_up(serving: Hosted, built: Path) -> None:
    assert got(serving, "/assets/main-1a2b.js").status_code == 200
    (built / "assets" / "main-1a2b.js").rename(built / "assets" / "main-9f9f.js")
    (built / "index.html").write_bytes(PAGE.replace(b"1a2b", b"9f9f"))
    assert b"9f9f" in got(serving, "/").content
    assert got(serving, "/assets/main-9f9f.js").content == SCRIPT
    assert got(serving, "/assets/main-1a2b.js").status_code == 404


def test_without_a_build_a_page_says_how_to_make_it(
    server: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.services, "editor", Editor(tmp_path / "nothing"))
    answer = got(server, "/")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "npm run build" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert got(server, "/assets/main-1a2b.js").status_code == 404


def test_where_a_token_is_needed_the_page_leads_to_the_login_and_back(
    home: Any, built: Path
) -> None:
    token, _ = TokenFile(home / "tokens.json").add("guest", ["read"])
    with (
        hosted(home) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as client,
    ):
        server.services.editor = Editor(built)
        client.headers.update({**BROWSER, "Origin": server.url, "Sec-Fetch-Site": "same-origin"})
        asked = client.get("/")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2F")
        assert client.get("/assets/main-1a2b.js", headers={"Accept": "*/*"}).status_code == 401
        done = client.post("/login", data={"token": token, "next": "/"})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert client.get("/").content == PAGE
        assert client.get("/assets/main-1a2b.js", headers={"Accept": "*/*"}).content == SCRIPT


def test_every_page_has_the_icon_and_so_has_whoever_has_yet_to_log_in(
    home: Any, built: Path
) -> None:
    TokenFile(home / "tokens.json").add("guest", ["read"])
    with hosted(home) as server:
        server.services.editor = Editor(built)
        page = got(server, "/login").text
        assert '<link rel="icon" href="/favicon.svg" type="image/svg+xml">' in page
        for path in ("/favicon.svg", "/favicon.ico"):
            answer = got(server, path)
            assert (answer.status_code, answer.content) == (200, ICON)
            assert answer.headers["content-type"] == "image/svg+xml"
            assert got(server, path, If_None_Match=answer.headers["etag"]).status_code == 304
        server.services.editor = Editor(built / "nothing")
        assert got(server, "/favicon.ico").status_code == 404


def test_a_link_elsewhere_may_lead_to_the_page_and_nothing_more(serving: Hosted) -> None:
    assert got(serving, "/", **LINK).content == PAGE
    assert got(serving, "/login", **LINK).status_code == 200
    for path in ("/assets/main-1a2b.js", "/api/v1/jobs", "/openapi.json", "/metrics"):
        assert got(serving, path, **LINK).status_code == 403
    for changed in (
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "object"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        assert got(serving, "/", **{**LINK, **changed}).status_code == 403, changed
    posted = httpx.post(f"{serving.url}/", headers=LINK, timeout=PATIENCE, trust_env=False)
    assert posted.status_code == 403
    assert (
        httpx.post(
            f"{serving.url}/login", headers=LINK, timeout=PATIENCE, trust_env=False
        ).status_code
        == 403
    )
    bare = {name: value for name, value in LINK.items() if name == "Sec-Fetch-Site"}
    assert got(serving, "/", **bare).status_code == 403


def test_the_editor_that_is_there_needs_nothing_that_its_policy_forbids(server: Hosted) -> None:
    page = (BUILT / "index.html").read_text(encoding="utf-8")
    assert "<style" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert 'href="./favicon.svg"' in page
    assert b"<svg" in got(server, "/favicon.svg").content
    scripts = [part.partition("</script>")[0] for part in page.split("<script")[1:]]
    assert scripts
    assert all('src="./assets/' in script and script.endswith(">") for script in scripts)
    for part in page.split('"./assets/')[1:]:
        assert got(server, f"/assets/{part.partition(chr(34))[0]}").status_code == 200


def test_the_page_is_told_what_it_opens_with(
    server: Hosted, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(__file__).parents[2] / "editor" / "index.html"
    built.joinpath("index.html").write_bytes(source.read_bytes())
    for start in ("editor", "generate"):
        monkeypatch.setattr(server.services, "editor", Editor(built, start_page=start))
        assert f'<meta name="start-page" content="{start}"' in got(server, "/").text
