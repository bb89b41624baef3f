"""What attackers send to servers of this kind, sent to one that runs.

Each is a real request; what a client library would refuse to send goes over a bare socket.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pickle
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.server.access.tokens import TokenFile
from tests.server.hosting import (
    PATIENCE,
    Hosted,
    Process,
    prepared_home,
    sent,
    status,
    workflow,
)
from tests.server.resources import picture

pytestmark = pytest.mark.slow

SECRET = "the-secret-of-this-machine"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Path:
    """A folder with a server's home, and beside it what nobody may get at."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "secret.txt").write_text(SECRET)
    (folder / "secret.json").write_text(json.dumps({"format": "nodegraph/1", "title": SECRET}))
    (folder / "secret.png").write_bytes(picture(3, 3))
    home = prepared_home(folder / "home", known_packs)
    for name in ("workflows", "inputs", "models"):
        (home / name).mkdir()
    (home / "workflows" / "linked.json").symlink_to(folder / "secret.json")
    (home / "inputs" / "linked.png").symlink_to(folder / "secret.png")
    (home / "inputs" / "fine.png").write_bytes(picture(3, 3))
    (home / "models" / "evil.ckpt").write_bytes(pickle.dumps(Evil(folder / "ran")))
    return folder


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def server(ground: Path) -> Iterator[Process]:
    """A server as most people run it: on their own machine, without a token."""
    with Process(ground / "home", "--workers", "0") as found:
        yield found.ready()
        assert found.process.poll() is None, found.log
        assert "Traceback" not in found.log
        assert found.stop() == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Process]:
    """A server for several people, and each one's token in its home folder."""
    home = prepared_home(tmp_path_factory.mktemp("guarded") / "home", known_packs)
    tokens = TokenFile(home / "tokens.json")
    for name, scope in (("reader", "read"), ("runner", "run"), ("boss", "admin")):
        (home / f"{name}.token").write_text(tokens.add(name, [scope])[0])  # type: ignore[list-item]
    with Process(home, "--workers", "0", "--host", "0.0.0.0") as found:
        found.ready()
        found.url = f"http://127.0.0.1:{found.port}"
        yield found
        assert "Traceback" not in found.log


def ask(server: Process, method: str, path: str, **options: Any) -> httpx.Response:
    path = path if path.startswith("/api") or "json" in path[-5:] else f"/api/v1{path}"
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        return client.request(method, f"{server.url}{path}", **options)


def raw(
    server: Process | Hosted, method: str, path: str, *headers: str, body: bytes = b""
) -> bytes:
    """The answer to a request that is sent exactly as it stands."""
    lines = [f"{method} {path} HTTP/1.1", *headers]
    if not any(line.lower().startswith("host:") for line in headers):
        lines.append(f"Host: 127.0.0.1:{server.port}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    return sent(server.port, head + body)


def jobs(server: Process) -> int:
    return len(ask(server, "GET", "/jobs").json()["items"])


WISH = json.dumps({"workflow": workflow()}).encode()
JSON_TYPE = "Content-Type: application/json"


# Pages elsewhere


@pytest.mark.parametrize(
    "headers",
    [
        ("Origin: https://evil.example",),
        ("Origin: null",),
        ("Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"),
        ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"),
        ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
        ("Origin: http://127.0.0.1:1",),
        ("Origin: http://127.0.0.1.evil.example",),
        ("Origin: https://evil.example", "Origin: http://127.0.0.1"),
    ],
)
def test_a_page_elsewhere_can_neither_submit_nor_read(
    server: Process, headers: tuple[str, ...]
) -> None:
    before = jobs(server)
    for kind in (JSON_TYPE, "Content-Type: text/plain", "Content-Type: application/octet-stream"):
        assert status(raw(server, "POST", "/api/v1/jobs", kind, *headers, body=WISH)) in (400, 403)
    for path in ("/api/v1/jobs", "/api/v1/system", "/openapi.json", "/api/v1/node-types"):
        answer = raw(server, "GET", path, *headers)
        assert status(answer) in (400, 403)
        assert b"access-control-allow" not in answer.lower()
    for method, path in (("DELETE", "/api/v1/jobs"), ("POST", "/api/v1/queue/clear")):
        assert status(raw(server, method, path, *headers)) in (400, 403)
    assert jobs(server) == before


def test_a_link_elsewhere_opens_the_editor_and_reaches_nothing_else(server: Process) -> None:
    link = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
    opened = raw(server, "GET", "/", *link)
    assert status(opened) == 200
    assert b"frame-ancestors 'none'" in opened
    assert b"cross-origin-opener-policy: same-origin" in opened.lower()
    for path in ("/api/v1/jobs", "/api/v1/apps/a", "/openapi.json", "/metrics", "//", "/."):
        assert status(raw(server, "GET", path, *link)) in (400, 403)
    for method in ("POST", "DELETE", "PUT"):
        assert status(raw(server, method, "/", *link)) == 403
    assert status(raw(server, "GET", "/", *link[:2], "Sec-Fetch-Dest: iframe")) == 403
    assert status(raw(server, "GET", "/", *link, "Origin: https://evil.example")) == 403
    assert status(raw(server, "GET", "/", *link, *link[2:])) == 400


def test_a_form_of_a_browser_without_fetch_metadata_submits_nothing(server: Process) -> None:
    before = jobs(server)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        kinds = [f"Content-Type: {kind}"] if kind else []
        assert status(raw(server, "POST", "/api/v1/jobs", *kinds, body=WISH)) == 415
    assert jobs(server) == before


def test_a_browser_that_asks_first_is_told_no(server: Process) -> None:
    answer = raw(
        server,
        "OPTIONS",
        "/api/v1/jobs",
        "Origin: https://evil.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    )
    assert status(answer) == 403
    assert b"access-control" not in answer.lower()


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8420", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("0.0.0.0", "192.168.0.1", "[::ffff:192.168.0.1]", "2130706433", "localhost\tevil", "."),
    ],
)
def test_a_name_that_an_attacker_points_here_is_not_answered_to(server: Process, host: str) -> None:
    assert status(raw(server, "GET", "/api/v1/system", f"Host: {host}")) in (400, 421)
    same = f"Origin: http://{host}"
    answer = raw(server, "POST", "/api/v1/jobs", f"Host: {host}", same, JSON_TYPE, body=WISH)
    assert status(answer) in (400, 421)


def test_requests_with_two_hosts_or_none_are_refused(server: Process) -> None:
    own = f"Host: 127.0.0.1:{server.port}"
    assert status(raw(server, "GET", "/api/v1/system", own, "Host: evil.example")) == 400
    assert status(sent(server.port, b"GET /api/v1/system HTTP/1.1\r\n\r\n")) == 400
    assert status(sent(server.port, b"GET /api/v1/system HTTP/1.0\r\n\r\n")) == 400


@pytest.mark.parametrize(
    "headers",
    [
        ("Origin: https://evil.example",),
        ("Origin: null",),
        ("Origin: http://127.0.0.1:1",),
        ("Host: evil.example", "Origin: http://evil.example"),
        ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: websocket"),
    ],
)
def test_a_page_elsewhere_opens_no_websocket(server: Process, headers: tuple[str, ...]) -> None:
    assert status(raw(server, "GET", "/api/v1/events", *UPGRADE, *headers)) in (403, 421)


def test_a_program_opens_a_websocket_and_so_does_the_servers_own_page(server: Process) -> None:
    own = f"Origin: http://127.0.0.1:{server.port}"
    for headers in ((), (own, "Sec-Fetch-Site: same-origin")):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
            lines = ["GET /api/v1/events HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *UPGRADE]
            connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode())
            assert connection.recv(12) == b"HTTP/1.1 101"


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {base64.b64encode(b'0123456789abcdef').decode()}",
    "Sec-WebSocket-Protocol: nodegraph.v1.json",
)


PROXIES = (
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port"),
    *("X-Forwarded-Server", "X-Forwarded", "x_forwarded_for", "Forwarded", "Via", "X-Real-IP"),
    *("CF-Connecting-IP", "CF-Ray", "CF-IPCountry", "CF-Visitor", "X-Client-IP", "Client-IP"),
    *("True-Client-IP", "X-Cluster-Client-IP", "X-Original-URL", "X-Original-Forwarded-For"),
    *("X-Envoy-External-Address", "Fastly-Client-IP", "Fly-Client-IP", "X-Azure-ClientIP"),
    *("X-Remote-User", "X-ARR-SSL", "CDN-Loop", "X-ProxyUser-Ip"),
)


@pytest.mark.parametrize("header", PROXIES)
def test_nobody_whom_a_proxy_brought_along_is_at_home_here(server: Process, header: str) -> None:
    assert status(raw(server, "GET", "/api/v1/system", f"{header}: 1.2.3.4")) == 401
    answer = raw(server, "POST", "/api/v1/jobs", f"{header}: 1.2.3.4", JSON_TYPE, body=WISH)
    assert status(answer) == 401
    assert status(raw(server, "GET", "/api/v1/events", *UPGRADE, f"{header}: 1.2.3.4")) == 401


def test_what_a_bare_proxy_pass_of_nginx_sends_needs_a_token(server: Process) -> None:
    host = f"Host: 127.0.0.1:{server.port}\r\n"
    for version in ("1.0", "0.9"):
        for line in ("GET /api/v1/system", "DELETE /api/v1/jobs", "GET /api/v1/settings"):
            head = f"{line} HTTP/{version}\r\n{host}Connection: close\r\n\r\n"
            assert status(sent(server.port, head.encode())) in (400, 401), head
    # A probe may well ask so, and learns nothing.
    head = f"GET /healthz HTTP/1.0\r\n{host}\r\n"
    assert status(sent(server.port, head.encode())) == 200


def test_other_users_of_the_machine_read_nothing_that_the_server_keeps(server: Process) -> None:
    ask(server, "POST", "/jobs", json={"workflow": workflow()})
    assert server.home.stat().st_mode & 0o777 == 0o700
    found = [*server.home.glob("*.sqlite*"), *server.home.glob("uploads/*.sqlite*")]
    databases = [path for path in found if path.stat().st_size]  # but for locks
    assert len(databases) > 3
    for path in databases:
        assert path.stat().st_mode & 0o077 == 0, path


def upgraded(server: Process) -> socket.socket:
    """A connection that is a websocket."""
    connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    lines = ["GET /api/v1/events HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *UPGRADE]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(1)
    assert found.startswith(b"HTTP/1.1 101")
    return connection


def closing_code(connection: socket.socket) -> int:
    """The code with which a websocket is closed; what else it says is passed over."""
    stream = connection.makefile("rb")
    while True:
        first, size = stream.read(2)
        if size == 126:
            size = int.from_bytes(stream.read(2), "big")
        content = stream.read(size)
        if first & 0x0F == 8:
            return int.from_bytes(content[:2], "big")


EMPTY_CONTINUED, EMPTY_PING = b"\x00\x80abcd", b"\x89\x80abcd"


@pytest.mark.parametrize("frames", [b"\x01\x80abcd" + EMPTY_CONTINUED * 2_000, EMPTY_PING * 2_000])
def test_a_websocket_of_frames_that_hold_nothing_is_closed(server: Process, frames: bytes) -> None:
    with upgraded(server) as connection:
        connection.sendall(frames)
        # A client that is answered to all of it says goodbye, and is told so with its own code.
        connection.sendall(b"\x80\x80abcd" * (frames[0] == 1) + b"\x88\x82\0\0\0\0\x03\xe8")
        assert closing_code(connection) == 1002
    assert ask(server, "GET", "/system").status_code == 200


# Paths

CLIMBING = (
    *("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt"),
    *("..%5csecret.txt", "..\\secret.txt", "....//secret.txt", "..%252fsecret.txt"),
    *("%c0%ae%c0%ae/secret.txt", "..;/secret.txt", "secret%00.json", "/etc/passwd"),
    *("%2fetc%2fpasswd", "//etc/passwd", "C:%5cWindows%5cwin.ini", "file:%2f%2f%2fetc%2fpasswd"),
    *("CON", "NUL.json", "linked", "linked.json", "~", "..", ".", "%2e%2e", "%0d%0aX-Evil: 1"),
)


def addresses(server: Process) -> list[tuple[str, str]]:
    """Every operation with something in its path that a client chooses."""
    document = ask(server, "GET", "/openapi.json").json()
    found = [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if "{" in path
    ]
    assert len(found) > 15
    return found


def test_no_path_whatever_leads_out_of_the_servers_folders(server: Process, ground: Path) -> None:
    for method, template in addresses(server):
        for climbing in CLIMBING:
            path = climbing.join(re.split(r"\{[^}]+\}", template))
            kinds = [JSON_TYPE] if method in ("PUT", "PATCH", "POST") else []
            body = b"{}" if kinds else b""
            answer = raw(server, method, path, *kinds, body=body)
            assert 400 <= status(answer) < 500, (method, path, answer[:200])
            assert SECRET.encode() not in answer
            assert b"root:" not in answer
            assert b"\r\nx-evil:" not in answer.lower()
    assert (ground / "secret.txt").read_text() == SECRET
    assert {path.name for path in ground.iterdir()} <= {
        *("home", "secret.txt", "secret.json", "secret.png")
    }


def test_names_in_bodies_do_not_lead_out_either(server: Process) -> None:
    for name in ("../secret", "linked", "/etc/passwd", "..\\secret", "a/b", "a\0", "CON", "."):
        answer = ask(server, "POST", "/jobs", json={"workflow": {"saved": name}})
        assert answer.status_code in (404, 422), answer.text
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../../secret.png",
            "linked.png",
            "/etc/passwd",
            "/dev/zero",
            "/proc/self/environ",
            "~/x",
        ),
        *("\\\\host\\share\\x.png", "fine.png/../../../secret.png", "a\0b", "file:///etc/passwd"),
    ],
)
def test_workflows_name_no_files_but_uploads_and_inputs(server: Process, name: str) -> None:
    nodes = {
        "load": {"type": "LoadImage", "inputs": {"path": name}},
        "show": {"type": "PreviewImage", "inputs": {"image": {"from": "load.image"}}},
    }
    wish = {"workflow": {"format": "nodegraph/1", "nodes": nodes}}
    found = ask(server, "POST", "/validate", json=wish).json()
    codes = {each["code"] for each in found["problems"] if each["node"] == "load"}
    if name.startswith(("file:", "\\")):
        # Here that is a name below the inputs folder, where there is no such file.
        assert codes == {"invalid-file"}
        return
    assert codes == {"path-outside"}
    assert ask(server, "POST", "/jobs", json=wish).status_code == 422


def test_a_file_of_the_inputs_folder_may_be_named(server: Process) -> None:
    nodes = {"load": {"type": "LoadImage", "inputs": {"path": "fine.png"}}}
    nodes["show"] = {"type": "PreviewImage", "inputs": {"image": {"from": "load.image"}}}  # type: ignore[dict-item]
    wish = {"workflow": {"format": "nodegraph/1", "nodes": nodes}}
    assert ask(server, "POST", "/validate", json=wish).json() == {"valid": True, "problems": []}


# Files


def test_a_pickle_is_neither_taken_in_nor_opened(server: Process, ground: Path) -> None:
    evil = pickle.dumps(Evil(ground / "ran"))
    for name in ("evil.ckpt", "evil.pt", "evil.safetensors", "evil.png", "evil.json"):
        answer = ask(server, "POST", "/uploads", params={"name": name}, content=evil)
        assert answer.status_code == 415, answer.text
    nodes = {"load": {"type": "LoadModel", "inputs": {"model": "evil.ckpt"}}}
    wish = {"workflow": {"format": "nodegraph/1", "nodes": nodes}, "targets": ["load"]}
    found = ask(server, "POST", "/validate", json=wish).json()
    assert "unsafe-file" in {each["code"] for each in found["problems"]}
    ask(server, "POST", "/plan", json=wish)
    ask(server, "GET", "/models")
    assert not (ground / "ran").exists()


def test_a_name_of_an_upload_stays_a_name(server: Process, ground: Path) -> None:
    names = ("../../x.png", "/etc/x.png", "a\r\nX-Evil: 1.png", 'a"; x=".png', "CON.png", ".", "")
    for at, name in enumerate(names):
        content = picture(4 + at, 4)
        files = {"file": (name or "x", content, "image/png")}
        answer = ask(server, "POST", "/uploads", files=files)
        assert answer.status_code in (200, 201, 400, 422), answer.text
        if answer.is_success:
            entry = answer.json()
            assert not set("/\\\r\n\0") & set(entry["name"])
            back = raw(server, "GET", entry["href"])
            assert status(back) == 200
            assert b"\r\nx-evil" not in back.lower()
    assert not (ground / "x.png").exists()


def chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def test_a_picture_of_too_many_pixels_is_never_unpacked(server: Process) -> None:
    side = 60_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9) * 4
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    start = time.monotonic()
    answer = ask(server, "POST", "/uploads", params={"name": "bomb.png"}, content=bomb)
    assert answer.status_code == 413, answer.text
    assert time.monotonic() - start < 20


def test_a_picture_with_packed_texts_is_no_bomb(server: Process) -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(512 << 20), 9)
    plain = picture(5, 5)
    bomb = plain[:-12] + chunk(b"zTXt", text) + plain[-12:]
    before = memory(server.pid)
    answer = ask(server, "POST", "/uploads", params={"name": "bomb.png"}, content=bomb)
    assert answer.status_code < 500, answer.text
    assert memory(server.pid) - before < 200 << 20


def memory(pid: int) -> int:
    """Bytes that a process had in memory at most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def test_a_packed_body_is_not_unpacked(server: Process) -> None:
    packed = zlib.compress(bytes(64 << 20), 9, wbits=31)
    answer = raw(server, "POST", "/api/v1/jobs", JSON_TYPE, "Content-Encoding: gzip", body=packed)
    assert status(answer) in (400, 415)


def test_what_could_run_in_a_browser_is_not_taken_in(server: Process) -> None:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>'.encode()
    html = f"<!doctype html><html>{SCRIPT}</html>".encode()
    for name, content in (("a.svg", svg), ("a.png", svg), ("a.html", html), ("a.png", html)):
        answer = ask(server, "POST", "/uploads", params={"name": name}, content=content)
        assert answer.status_code == 415
        answer = ask(server, "POST", "/uploads", files={"file": (name, content, "image/png")})
        assert answer.status_code == 415


def test_a_picture_with_a_page_in_it_is_still_a_picture(server: Process) -> None:
    plain = picture(6, 6)
    both = plain[:-12] + chunk(b"tEXt", b"Comment\0" + SCRIPT.encode()) + plain[-12:]
    entry = ask(server, "POST", "/uploads", params={"name": "a.html"}, content=both).json()
    back = ask(server, "GET", entry["href"])
    assert back.headers["content-type"] == "image/png"
    assert back.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in back.headers["content-security-policy"]


def test_a_script_in_a_workflows_texts_never_gets_into_a_page(server: Process) -> None:
    document = workflow() | {
        "title": SCRIPT,
        "description": f'"><img src=x onerror=alert(1)>{SCRIPT}',
    }
    document["parameters"] = {SCRIPT: {"input": "sum.b", "label": SCRIPT, "help": SCRIPT}}
    assert ask(server, "PUT", "/workflows/page", json=document).status_code in (200, 201)
    page = ask(server, "GET", "/apps/page", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert SCRIPT not in page.text
    assert "<img src=x" not in page.text
    policy = page.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    data = ask(server, "GET", "/workflows/page")
    assert data.headers["content-type"].startswith("application/json")
    assert data.headers["x-content-type-options"] == "nosniff"


# Sizes


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"workflow":{"nodes":{"a":{"inputs":{"x":['])
def test_json_of_a_million_levels_is_refused(server: Process, opening: bytes) -> None:
    body = opening * 200_000
    for path in ("jobs", "validate", "plan", "jobs/job_x/move"):
        answer = raw(server, "POST", f"/api/v1/{path}", JSON_TYPE, body=body)
        assert status(answer) == 413, answer[:300]
    for kind in ("application/x+json", "APPLICATION/JSON", "application/json; charset=utf-8"):
        answer = raw(server, "POST", "/api/v1/jobs", f"Content-Type: {kind}", body=body)
        assert status(answer) in (413, 415)


def test_json_of_millions_of_values_is_refused(server: Process) -> None:
    before = memory(server.pid)
    body = b'{"workflow":[' + b"[]," * 5_000_000 + b"[]]}"
    assert status(raw(server, "POST", "/api/v1/jobs", JSON_TYPE, body=body)) == 413
    assert memory(server.pid) - before < 150 << 20


def test_a_body_larger_than_it_may_be_is_refused_by_its_length_or_on_the_way(
    server: Process,
) -> None:
    answer = raw(server, "POST", "/api/v1/jobs", JSON_TYPE, "Content-Length: 99999999999")
    assert status(answer) == 413
    head = (
        f"POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{JSON_TYPE}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert status(sent(server.port, head, more=[piece] * 40)) == 413


def test_numbers_and_texts_that_break_parsers_are_refused(server: Process) -> None:
    fine = json.dumps(workflow())
    for odd in (
        *('{"workflow":NaN}', '{"workflow":Infinity}', '{"workflow":1e999}', "nul", "{", '"', ""),
        '{"workflow":' + "9" * 10_000 + "}",
        f'{{"workflow":{fine},"name":"\\ud800"}}',
        f'{{"workflow":{fine},"parameters":{{"b":"\\udfff"}}}}',
        f'{{"workflow":{fine},"workflow":{fine}}}',
        f'{{"workflow":{fine},"name":"a\\u0000b"}}',
        "\ufeff" + f'{{"workflow":{fine}}}',
    ):
        answer = raw(server, "POST", "/api/v1/jobs", JSON_TYPE, body=odd.encode())
        assert status(answer) in (400, 422), (odd[:80], answer[:200])
    for odd_bytes in (b"\xff\xfe{", b'{"workflow":"\xc3"}', b"\0" * 100):
        assert status(raw(server, "POST", "/api/v1/jobs", JSON_TYPE, body=odd_bytes)) == 400


def test_blocks_within_blocks_do_not_multiply(server: Process) -> None:
    bomb = workflow(big={"type": "b0"})
    bomb["subgraphs"] = {
        f"b{at}": {"nodes": {name: {"type": f"b{at + 1}"} for name in "abcdefghij"}}
        for at in range(50)
    }
    start = time.monotonic()
    for path in ("/jobs", "/validate", "/plan"):
        answer = ask(server, "POST", path, json={"workflow": bomb})
        assert answer.status_code in (200, 422)
        assert "too-many-nodes" in answer.text
    assert ask(server, "PUT", "/workflows/bomb", json=bomb).status_code in (413, 422)
    assert time.monotonic() - start < 20


# Requests that aren't


def test_two_requests_are_not_smuggled_into_one(server: Process) -> None:
    before = jobs(server)
    inner = f"DELETE /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    host = f"Host: 127.0.0.1:{server.port}"
    for lines in (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length: +5",),
        ("Content-Length: 5 ",) * 2,
        ("Transfer-Encoding : chunked",),
    ):
        head = "\r\n".join(["POST /api/v1/jobs HTTP/1.1", host, *lines, "", ""]).encode()
        answer = sent(server.port, head + b"0\r\n\r\n" + inner)
        assert status(answer) in (400, 413, 415, 501), (lines, answer[:200])
        assert answer.count(b"HTTP/1.1 2") == 0
    assert jobs(server) == before


@pytest.mark.parametrize(
    "lines",
    [
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
    ],
)
def test_a_body_in_another_transfer_coding_is_not_taken_for_one_that_is_not(
    server: Process, lines: tuple[str, ...]
) -> None:
    before = jobs(server)
    body = json.dumps({"workflow": workflow()}).encode()
    host = f"Host: 127.0.0.1:{server.port}"
    head = "\r\n".join(["POST /api/v1/jobs HTTP/1.1", host, JSON_TYPE, *lines, "", ""]).encode()
    answer = sent(server.port, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    assert status(answer) == 501
    assert b"unknown-transfer-coding" in answer
    assert jobs(server) == before


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://evil.example/api/v1/system HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n X-Folded: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\0" * 500,
    ],
)
def test_what_is_no_request_is_refused_and_harms_nobody(server: Process, data: bytes) -> None:
    assert status(sent(server.port, data)) in (400, 403, 404, 405, 421)


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "DEBUG", "PROPFIND", "MKCOL", "get"])
def test_odd_methods_are_refused(server: Process, method: str) -> None:
    assert status(raw(server, method, "/api/v1/system")) in (400, 405)


def test_line_breaks_in_headers_and_queries_end_up_in_no_answer(server: Process) -> None:
    evil = "%0d%0aX-Evil:%201%0d%0a%0d%0a<script>"
    for path in (
        f"/api/v1/jobs?cursor={evil}",
        f"/api/v1/jobs/{evil}",
        f"/api/v1/artifacts/{'a' * 64}?download={evil}",
        f"/api/v1/workflows?text={evil}",
        f"/{evil}",
    ):
        answer = raw(server, "GET", path)
        assert b"\r\nx-evil" not in answer.lower()
        assert b"<script>" not in answer.partition(b"\r\n\r\n")[0]
        assert answer.partition(b"\r\n\r\n")[0].lower().count(b"nosniff") == 1
    answer = raw(server, "POST", "/api/v1/jobs", JSON_TYPE, "Idempotency-Key: a\tb", body=WISH)
    assert status(answer) in (200, 202, 400, 422)


def test_each_refused_request_leaves_one_line_that_it_cannot_forge(server: Process) -> None:
    mark = f"mark{time.time_ns()}"
    path = f"/api/v1/{mark}%22%20status=200%20path=%22x"
    raw(server, "GET", path, "Origin: null")
    server.logged(mark)
    lines = [line for line in server.log.splitlines() if mark in line]
    assert len(lines) == 1
    assert "status='403'" in lines[0]


# Tokens


def test_without_a_token_nothing_is_told_and_nothing_done(guarded: Process) -> None:
    document = ask(guarded, "GET", "/openapi.json", headers=bearer(guarded, "reader")).json()
    public = {"/healthz", "/readyz"}
    for path, item in document["paths"].items():
        for method in item:
            answer = raw(guarded, method.upper(), re.sub(r"\{[^}]+\}", "x", path))
            assert status(answer) == (200 if path in public else 401), (method, path)
            if path not in public:
                assert b"www-authenticate: bearer" in answer.lower()
    assert status(raw(guarded, "GET", "/openapi.json")) == 401
    assert status(raw(guarded, "GET", "/api/v1/events", *UPGRADE)) == 401


def bearer(server: Process, name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {(server.home / f'{name}.token').read_text()}"}


def test_scopes_hold(guarded: Process) -> None:
    reader, runner, boss = (bearer(guarded, name) for name in ("reader", "runner", "boss"))
    wish = {"workflow": workflow()}
    assert ask(guarded, "POST", "/jobs", json=wish, headers=reader).status_code == 403
    assert ask(guarded, "POST", "/uploads", content=b"x", headers=reader).status_code == 403
    assert ask(guarded, "PUT", "/workflows/a", json={}, headers=reader).status_code == 403
    assert ask(guarded, "POST", "/jobs", json=wish, headers=runner).status_code == 202
    assert ask(guarded, "GET", "/jobs", headers=reader).json()["items"] == []
    for method, path in (("POST", "/queue/pause"), ("GET", "/settings"), ("PATCH", "/settings")):
        assert ask(guarded, method, path, headers=runner).status_code == 403
        assert ask(guarded, method, path, headers=boss).status_code in (200, 422)


def test_guessing_tokens_gets_slower_and_slower(guarded: Process) -> None:
    good = (guarded.home / "reader.token").read_text()
    found, begin = [], time.monotonic()
    for at in range(40):
        wrong = good[:-4] + f"{at:04x}"
        found.append(
            status(raw(guarded, "GET", "/api/v1/system", f"Authorization: Bearer {wrong}"))
        )
    assert set(found) == {401, 429}
    # Ten at once, and one more every six seconds, however long all of them took.
    assert found.count(401) <= 11 + (time.monotonic() - begin) / 6
    # Who has a good one isn't kept out by somebody else at the same address.
    assert ask(guarded, "GET", "/system", headers=bearer(guarded, "reader")).status_code == 200
    assert good not in guarded.log
    assert good.rpartition("_")[2][:20] not in guarded.log


@pytest.mark.parametrize(
    "header",
    [
        *("Bearer", "Bearer ", "bearer x", "Basic cm9vdDpyb290", "Bearer ng_", "Token x"),
        *("Bearer ng_000000000000_" + "0" * 48, "Bearer null", "Bearer ' OR 1=1 --", "Digest x"),
    ],
)
def test_what_is_no_token_lets_nobody_in(guarded: Process, header: str) -> None:
    answer = raw(guarded, "GET", "/api/v1/system", f"Authorization: {header}")
    assert status(answer) in (401, 429)


def test_a_token_elsewhere_than_in_its_header_is_none(guarded: Process) -> None:
    token = (guarded.home / "boss.token").read_text()
    for path, headers in (
        (f"/api/v1/system?token={token}", ()),
        (f"/api/v1/system?access_token={token}", ()),
        ("/api/v1/system", (f"Cookie: token={token}",)),
        ("/api/v1/system", (f"X-Api-Key: {token}",)),
    ):
        assert status(raw(guarded, "GET", path, *headers)) == 401
    two = (f"Authorization: Bearer {token}", "Authorization: Bearer x")
    assert status(raw(guarded, "GET", "/api/v1/system", *two)) == 400
    assert token not in guarded.log


def test_a_wrong_token_takes_as_long_whatever_of_it_is_right(hosting: Callable[..., Any]) -> None:
    """No statistics: only that the answer to each is the same, byte by byte."""
    # A server of its own: whether one that had wrong ones before forgives one more is a matter of
    # the moment.
    with hosting() as server:
        good = server.token("boss", "admin")["Authorization"].removeprefix("Bearer ")
        answers = set()
        for wrong in (good[:-1] + "g", f"ng_{'f' * 12}_{'0' * 48}", "nonsense"):
            answer = raw(server, "GET", "/api/v1/queue", f"Authorization: Bearer {wrong}")
            assert status(answer) == 401
            answers.add(re.sub(rb"date:[^\r]+\r\n|x-request-id:[^\r]+\r\n", b"", answer.lower()))
    assert len({hashlib.sha256(answer).digest() for answer in answers}) == 1


def test_a_websocket_needs_a_token_too(guarded: Process) -> None:
    token = (guarded.home / "reader.token").read_text()
    offered = (
        *UPGRADE[:-1],
        f"Sec-WebSocket-Protocol: nodegraph.v1.json, nodegraph.token.{token}",
    )
    bad = (*UPGRADE[:-1], "Sec-WebSocket-Protocol: nodegraph.v1.json, nodegraph.token.x")
    assert status(raw(guarded, "GET", "/api/v1/events", *bad)) in (401, 429)
    with socket.create_connection(("127.0.0.1", guarded.port), PATIENCE) as connection:
        lines = ["GET /api/v1/events HTTP/1.1", f"Host: 127.0.0.1:{guarded.port}", *offered]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        head = connection.recv(4096).decode("latin-1")
        assert head.startswith("HTTP/1.1 101")
        assert token not in head


def test_a_token_that_was_taken_back_is_good_no_more(guarded: Process) -> None:
    file = TokenFile(guarded.home / "tokens.json")
    text, _ = file.add("guest", ["read"])
    guest = {"Authorization": f"Bearer {text}"}
    _until_status(guarded, guest, 200)
    file.revoke("guest")
    _until_status(guarded, guest, 401)


def _until_status(server: Process, headers: dict[str, str], wanted: int) -> None:
    end = time.monotonic() + PATIENCE
    # What the guesses before have used up flows back in while this waits.
    while (found := ask(server, "GET", "/queue", headers=headers).status_code) != wanted:
        assert found in (200, 401, 429)
        if found == 429 and wanted == 401:
            return
        assert time.monotonic() < end
        time.sleep(0.2)


# Many at a time


def test_many_that_do_nothing_do_not_keep_others_out(server: Process) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(300)]
    try:
        for connection in idle:
            connection.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: local")
        assert ask(server, "GET", "/system").status_code == 200
    finally:
        for connection in idle:
            connection.close()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Process]:
    """A server of few places, which a proxy may offer below a path."""
    limits = {"CONNECTIONS": "30", "ADDRESS_CONNECTIONS": "20", "HEAD_SECONDS": "100"}
    home = prepared_home(tmp_path_factory.mktemp("narrow") / "home", known_packs)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in limits.items():
            patched.setenv(f"NODEGRAPH_SERVER_LIMITS_{name}", value)
        patched.setenv("NODEGRAPH_SERVER_ROOT_PATH", "/studio")
        with Process(home, "--workers", "0") as found:
            yield found.ready()


HALF = (
    b"",
    b"GET /healthz HTTP/1.1\r\nHost: local",
    b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
    b"Content-Type: application/json\r\n\r\n{",
)


@pytest.mark.parametrize("half", HALF)
def test_half_sent_requests_shut_nobody_out(narrow: Process, half: bytes) -> None:
    held = []
    try:
        for _ in range(60):
            held.append(socket.create_connection(("127.0.0.1", narrow.port), PATIENCE))
            held[-1].sendall(half)
            held[-1].setblocking(False)
        for path in ("/api/v1/system", "/healthz", "/readyz"):
            answer = raw(narrow, "GET", path)
            assert status(answer) == 200, (path, answer)
        assert ask(narrow, "GET", "/system").status_code == 200
    finally:
        for connection in held:
            connection.close()


def test_whether_the_server_lives_is_told_though_its_places_are_all_at_work(
    narrow: Process,
) -> None:
    stream = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{narrow.port}\r\n"
    with contextlib.ExitStack() as open_:
        for _ in range(20):
            following = open_.enter_context(
                socket.create_connection(("127.0.0.1", narrow.port), PATIENCE)
            )
            following.sendall(f"{stream}Accept: text/event-stream\r\n\r\n".encode())
            assert following.recv(12) == b"HTTP/1.1 200"
        # This address has no more places; whoever comes is told so, and not left to wait.
        answer = raw(narrow, "GET", "/api/v1/system")
        assert status(answer) == 503
        assert b"too many connections" in answer
        for _ in range(50):
            assert status(raw(narrow, "GET", "/healthz")) == 200
        for path in ("/readyz", "/studio/healthz", "/studio/readyz"):
            assert status(raw(narrow, "GET", path)) == 200


def test_a_head_in_one_piece_is_no_longer_than_one_in_many(server: Process) -> None:
    lengths = {60_000: 200, 70_000: 431, 130_000: 431}
    for length, wanted in lengths.items():
        assert status(raw(server, "GET", "/healthz", f"X-Long: {'a' * length}")) == wanted
        many = [f"X-{number}: {'a' * 990}" for number in range(length // 1_000)]
        assert status(raw(server, "GET", "/healthz", *many)) == wanted


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
def test_a_method_that_nobody_needs_is_refused_with_those_that_there_are(
    server: Process, method: str
) -> None:
    path = "/api/v1/system" if method != "CONNECT" else "localhost:80"
    answer = raw(server, method, path)
    assert status(answer) in (400, 405)
    assert status(answer) == 400 or b"\r\nallow: DELETE, GET, HEAD" in answer


@pytest.mark.parametrize(
    "options",
    [
        {"options": {"deadline": True}},
        {"options": {"stall_seconds": True}},
        {"options": {"stall_seconds": {"two": True}}},
        {"priority": True},
    ],
)
def test_true_is_no_number(server: Process, options: dict[str, Any]) -> None:
    answer = ask(server, "POST", "/jobs", json={"workflow": workflow(), **options})
    assert answer.status_code == 422
    assert "a number is expected here, not true" in answer.text


def test_a_workflow_of_many_bytes_is_refused_before_it_is_read(server: Process) -> None:
    large = workflow(note={"type": "sums:Number", "inputs": {"value": "x" * (5 << 20)}})
    for path in ("/jobs", "/validate", "/plan"):
        answer = ask(server, "POST", path, json={"workflow": large})
        assert answer.status_code == 413, path


def test_too_many_requests_are_told_to_wait(
    tmp_path: Path, known_packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_RATES_BURST", "20")
    # None flows in while these are sent, however long that takes.
    monkeypatch.setenv("NODEGRAPH_SERVER_RATES_REQUESTS_PER_SECOND", "0.001")
    home = prepared_home(tmp_path / "home", known_packs)
    with Process(home, "--workers", "0") as process:
        process.ready()
        answers: list[httpx.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(ask(process, "GET", "/queue")))
            for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 20
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
