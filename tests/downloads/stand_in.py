"""A stand-in of the Hugging Face hub and of Civitai on loopback, with faults on request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from blake3 import blake3

LOOPBACK = ("127.0.0.0/8", "::1/128", "localhost")
TOKEN = "hf_of_a_test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_STEP = 64 << 10


def weights(size: int = 300_000, **metadata: str) -> bytes:
    """A safetensors file whose bytes differ from place to place."""
    numbers = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    entries: dict[str, Any] = {
        "w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
    }
    if metadata:
        entries["__metadata__"] = metadata
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + numbers.tobytes()


@dataclass
class Fault:
    """What goes wrong with the next request of a path.

    Attributes:
        status: Answer this status instead of the file.
        headers: Headers of that answer, or others of the file.
        body: Bytes instead of the file's.
        cut: Close the connection after so many bytes of the body.
        gate: Wait for it after so many bytes of the body, before the rest is sent.
        times: Requests that it concerns; -1 for all.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    gate: tuple[int, Event] | None = None
    times: int = 1


@dataclass
class Request:
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, list[str]]


class Site:
    """The sites' content, and the requests that came: the hub, Civitai and another one."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.tags: dict[str, list[str]] = {}
        self.cards: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.stated: dict[str, str] = {}
        self.has_ranges = True
        self.has_if_range = True
        self.longest_range: int | None = None
        self.url = self.civitai = self.plain = ""

    @property
    def cdn(self) -> str:
        """The same server by another name, which is another origin."""
        return self.url.replace("127.0.0.1", "localhost")

    def add_version(self, number: int, name: str, data: bytes, **more: Any) -> None:
        """A version at Civitai with one file."""
        path = f"/api/download/models/{number}"
        self.files[path] = data
        version: dict[str, Any] = {
            "id": number,
            "modelId": number * 10,
            "name": "v1",
            "baseModel": "SDXL 1.0",
            "trainedWords": ["ink drawing"],
            "model": {"name": "Ink", "type": "LORA"},
            "files": [
                {
                    "name": name,
                    "sizeKB": len(data) / 1024,
                    "type": "Model",
                    "primary": True,
                    "metadata": {"fp": "fp16", "size": "pruned", "format": "SafeTensor"},
                    "hashes": {
                        "SHA256": hashlib.sha256(data).hexdigest().upper(),
                        "BLAKE3": blake3(data).hexdigest().upper(),
                    },
                    "downloadUrl": f"{self.civitai}{path}",
                }
            ],
        }
        self.versions[str(number)] = version | more
        self.models[str(number * 10)] = {
            "id": number * 10,
            "name": "Ink",
            "type": "LORA",
            "allowNoCredit": False,
            "allowCommercialUse": ["Image"],
            "stats": {"downloadCount": 7, "thumbsUpCount": 3},
            "modelVersions": [self.versions[str(number)]],
        }

    def of(self, path: str) -> list[Request]:
        """The requests of a path."""
        return [request for request in self.requests if request.path == path]


def _git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        query = parse_qs(address.query)
        self.site.requests.append(Request(path, dict(self.headers), query))
        try:
            self._route(path, query)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, path: str, query: Mapping[str, list[str]]) -> None:
        site = self.site
        fault = site.faults.get(path)
        if fault is not None and fault.times:
            fault.times -= 1
            if fault.status is not None:
                return self._send(fault.status, fault.body or b"", fault.headers)
        else:
            fault = None
        if path in site.redirects:
            return self._send(302, b"", {"Location": site.redirects[path]})
        if path == "/api/models":
            return self._json([self._listed(name) for name in site.repositories])
        if path == "/api/v1/models":
            return self._json({"items": list(site.models.values())})
        if path.startswith("/api/v1/"):
            return self._civitai(path.removeprefix("/api/v1/"))
        if path.startswith("/api/models/"):
            name, _, _ = path.removeprefix("/api/models/").partition("/revision/")
            return self._repository(name)
        if "/resolve/" in path:
            return self._resolve(path)
        if path.startswith("/cdn/"):
            name, _, file = path.removeprefix("/cdn/").partition("//")
            return self._file(site.repositories[name][file], fault)
        if path in site.files:
            return self._file(site.files[path], fault)
        return self._send(404, b"nothing here", {})

    def _listed(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "tags": self.site.tags.get(name, []),
            "downloads": 5,
            "likes": 2,
            "gated": "manual" if name in self.site.gated else False,
            "cardData": self.site.cards.get(name, {}),
        }

    def _repository(self, name: str) -> None:
        files = self.site.repositories.get(name)
        if files is None:
            # As the hub answers, so that nobody learns which private ones there are.
            return self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        siblings = []
        for path, data in files.items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(data)}
            if len(data) > 10_000 or path.endswith((".safetensors", ".bin", ".gguf")):
                digest = self.site.stated.get(path, hashlib.sha256(data).hexdigest())
                entry["lfs"] = {"size": len(data), "sha256": digest, "pointerSize": 134}
                entry["blobId"] = "0" * 40
            else:
                entry["blobId"] = self.site.stated.get(path, _git_sha1(data))
            siblings.append(entry)
        return self._json(self._listed(name) | {"sha": COMMIT, "siblings": siblings})

    def _resolve(self, path: str) -> None:
        name, _, more = path.removeprefix("/").partition("/resolve/")
        revision, _, file = more.partition("/")
        is_gated = name in self.site.gated
        if is_gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if revision != COMMIT or file not in self.site.repositories.get(name, {}):
            return self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        return self._send(302, b"", {"Location": f"{self.site.cdn}/cdn/{name}//{file}"})

    def _civitai(self, way: str) -> None:
        site = self.site
        if way.startswith("model-versions/by-hash/"):
            digest = way.rpartition("/")[2].lower()
            for version in site.versions.values():
                hashes = version["files"][0]["hashes"].values()
                if any(each.lower().startswith(digest) for each in hashes):
                    return self._json(version)
        for start, documents in (("model-versions/", site.versions), ("models/", site.models)):
            if (document := documents.get(way.removeprefix(start))) is not None:
                return self._json(document)
        return self._send(404, b"{}", {})

    def _json(self, document: Any) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _file(self, data: bytes, fault: Fault | None) -> None:
        fault = fault or Fault(times=0)
        if fault.body is not None:
            data = fault.body
        etag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
        start = 0
        text = self.headers.get("Range", "")
        is_same = self.headers.get("If-Range", etag) == etag or not self.site.has_if_range
        if text and self.site.has_ranges and is_same:
            first, _, last = text.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last or len(data) - 1) + 1
            if start >= len(data):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            body = data[start:end][: self.site.longest_range]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(data)}")
        else:
            body = data
            self.send_response(200)
        headers = {"Content-Type": "application/octet-stream", "ETag": etag, **fault.headers}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = 0
        while sent < len(body):
            step = _STEP
            if fault.cut is not None:
                step = min(step, fault.cut - sent)
            if fault.gate is not None:
                at, gate = fault.gate
                if sent >= at:
                    gate.wait(60)
                else:
                    step = min(step, at - sent)
            if step <= 0:
                self.close_connection = True
                self.connection.shutdown(2)
                return None
            self.wfile.write(body[sent : sent + step])
            self.wfile.flush()
            sent += step
        return None


@contextmanager
def standing_in() -> Iterator[Site]:
    """The sites, until the end of the `with`."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(3)]
    urls = [f"http://127.0.0.1:{server.server_address[1]}" for server in servers]
    site.url, site.civitai, site.plain = urls
    threads = []
    for server in servers:
        server.daemon_threads = True
        threads.append(Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}))
        threads[-1].start()
    try:
        yield site
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()
