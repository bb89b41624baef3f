"""Stand-in services on this machine that speak the protocols of OpenAI, Ollama, fal and Replicate.

Each keeps the requests that it gets, so tests see what was sent, and what was not.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Event, Thread
from typing import Any

from PIL import Image

KEY = "sk-very-secret-0123456789abcdef"
WORDS = ["a ", "quiet ", "forest ", "at ", "dawn"]


def png(color: tuple[int, int, int] = (255, 0, 0), size: tuple[int, int] = (8, 6)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Seen:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """A running stand-in.

    Attributes:
        url: Its address.
        words: What its language models answer, in parts.
        refusals: Answers for the next requests instead: status, headers and JSON.
        polls: Answers of a queue before the work is done.
        failure: What the work fails with.
        held: If set, answers wait until it is.
        requires_key: Whether requests without the key are refused.
        location: Where images lie, instead of here.
        raw: Body of all answers instead, with its headers `raw_headers` and `raw_status`.
        trickles: Whether the answer to a cancellation never ends.
    """

    url: str = ""
    words: list[str] = field(default_factory=lambda: list(WORDS))
    seen: list[Seen] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    polls: int = 2
    failure: str = ""
    held: Event | None = None
    requires_key: bool = False
    location: str = ""
    raw: bytes | None = None
    raw_headers: dict[str, str] = field(default_factory=dict)
    raw_status: int = 200
    trickles: bool = False
    image: bytes = field(default_factory=png)
    finish: str = "stop"
    cancelled: Event = field(default_factory=Event)
    began: Event = field(default_factory=Event)

    @property
    def paths(self) -> list[str]:
        return [f"{item.method} {item.path}" for item in self.seen]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        service = self.service
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        service.seen.append(Seen(self.command, self.path, headers, body))
        if self.path.endswith(".png"):
            self._send(200, service.image, "image/png")
            return
        if service.raw is not None:
            self._send(service.raw_status, service.raw, "text/plain", service.raw_headers)
            return
        if service.refusals:
            status, more, document = service.refusals.pop(0)
            self._json(document, status, more)
            return
        if service.requires_key and KEY not in headers.get("authorization", ""):
            self._json({"error": {"message": "no key"}}, 401)
            return
        routes: list[tuple[str, Callable[[bytes], None]]] = [
            ("/v1/chat/completions", self._openai_chat),
            ("/api/chat", self._ollama_chat),
            ("/v1/images/", self._openai_images),
            ("/fal/", self._fal),
            ("/replicate/", self._replicate),
        ]
        for path, answer in routes:
            if self.path.startswith(path):
                answer(body)
                return
        self._json({"error": f"no such path {self.path}"}, 404)

    def _openai_chat(self, body: bytes) -> None:
        def chunk(**choice: Any) -> dict[str, Any]:
            return {"object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}

        self._begin("text/event-stream")
        self._part(b": a comment keeps the line open\n\n")
        for word in self.service.words:
            event = chunk(delta={"content": word}, finish_reason=None)
            self._part(b"data: " + json.dumps(event).encode() + b"\n\n")
            self._hold()
        if self.service.finish:
            event = chunk(delta={}, finish_reason=self.service.finish)
            self._part(b"data: " + json.dumps(event).encode() + b"\n\ndata: [DONE]\n\n")
        self._end()

    def _ollama_chat(self, body: bytes) -> None:
        self._begin("application/x-ndjson")
        for word in self.service.words:
            self._line({"message": {"role": "assistant", "content": word}, "done": False})
            self._hold()
        if self.service.finish:
            end = {"message": {"role": "assistant", "content": ""}, "done": True}
            self._line({**end, "done_reason": self.service.finish})
        self._end()

    def _openai_images(self, body: bytes) -> None:
        self._hold()
        image = b64encode(self.service.image).decode()
        count = json.loads(body).get("n", 1) if body.startswith(b"{") else 1
        usage = {"total_tokens": 1056}
        self._json({"created": 1, "data": [{"b64_json": image}] * count, "usage": usage})

    def _fal(self, body: bytes) -> None:
        base = f"{self.service.url}/fal/some/model/requests/abc"
        if self.command == "POST":
            self.service.began.set()
            self._json(
                {
                    "request_id": "abc",
                    "status": "IN_QUEUE",
                    "response_url": base,
                    "status_url": f"{base}/status",
                    "cancel_url": f"{base}/cancel",
                }
            )
        elif self.path.endswith("/status"):
            self.service.polls -= 1
            state = "COMPLETED" if self.service.polls < 0 else "IN_PROGRESS"
            self._json({"status": state})
        elif self.path.endswith("/cancel"):
            self.service.cancelled.set()
            if self.service.trickles:
                self._begin("text/plain")
                while True:
                    self._part(b"." * 1024)
            self._json({"status": "CANCELLATION_REQUESTED"}, 202)
        else:
            self._json(
                {"images": [{"url": self._image_url(), "content_type": "image/png"}], "seed": 7},
                200,
                {"x-fal-billable-units": "3"},
            )

    def _replicate(self, body: bytes) -> None:
        base = f"{self.service.url}/replicate/predictions/abc"
        urls = {"get": base, "cancel": f"{base}/cancel"}
        document: dict[str, Any] = {"id": "abc", "urls": urls, "error": None, "output": None}
        status = 200
        if self.path.endswith("/cancel"):
            self.service.cancelled.set()
            document["status"] = "canceled"
        elif self.command == "POST":
            document["status"], status = "starting", 201
        else:
            self.service.polls -= 1
            if self.service.polls >= 0:
                document["status"] = "processing"
            elif self.service.failure:
                document |= {"status": "failed", "error": self.service.failure}
            else:
                metrics = {"predict_time": 2.5}
                output = [self._image_url()]
                document |= {"status": "succeeded", "output": output, "metrics": metrics}
        self._json(document, status)

    def _image_url(self) -> str:
        return self.service.location or f"{self.service.url}/files/1.png"

    def _hold(self) -> None:
        self.service.began.set()
        if self.service.held is not None:
            self.service.held.wait()

    def _json(self, document: Any, status: int = 200, more: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), "application/json", more)

    def _send(
        self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _line(self, document: Any) -> None:
        self._part(json.dumps(document).encode() + b"\n")

    def _part(self, data: bytes) -> None:
        # In two pieces, as networks cut where they like.
        for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that went away are part of the tests."""


@contextmanager
def running(**options: Any) -> Iterator[Service]:
    """A stand-in service."""
    service = Service(**options)
    handler = type("Handler", (_Handler,), {"service": service})
    server = _Server(("127.0.0.1", 0), handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        if service.held is not None:
            service.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
