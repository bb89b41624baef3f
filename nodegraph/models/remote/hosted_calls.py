"""Requests of nodes to hosted services: cancelled at once, retried, within hosts and sizes.

Redirects of calls are refused, because a header with a secret must not follow them. Downloads of
results follow redirects without the secret, and each hop is checked. The blocking reads are in a
thread, so that a cancelled run does not wait for the service.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_network
from queue import Empty, Full, Queue
from socket import SHUT_RDWR
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.parse import urljoin

import httpx

from nodegraph.core.context import Context
from nodegraph.errors import NodegraphError
from nodegraph.models.remote.download_plans import BlockedAddress
from nodegraph.models.remote.guarded_http import HostRules, UnknownHost, open_client
from nodegraph.models.remote.transfers import RetryPolicy
from nodegraph.store.secrets import (
    ServiceAddress,
    StoredSecret,
    check_address,
    check_secret,
    contains_host,
    service_hosts,
    split_port,
)

SECRET_MARK = "{secret}"  # noqa: S105 - where the value goes in a header
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 120.0
_TURN_SECONDS = 0.05
_CANCEL_SECONDS = 5.0
_MOST_HOPS = 5
_CONNECT_ATTEMPTS = 3
_LARGEST_ANSWER = 64 << 20
_PIECE = 1 << 20
_LONGEST_REASON = 300
RETRIES = RetryPolicy(attempts=5, most_seconds=30.0)


class ServiceError(NodegraphError):
    """A hosted service cannot be reached, refuses, or answers something else than expected."""

    code = "service-failed"


@dataclass(frozen=True, slots=True)
class ServiceReply:
    """The JSON of an answer, and its headers by lower-case name."""

    document: Any
    headers: Mapping[str, str]


class ServiceCalls:
    """The requests of one node call to one service.

    Args:
        ctx: Context of the node.
        address: Base address of the service.
        secret: Name of a secret; empty for none.
        seconds: Time limit of all requests together.
        retries: Pauses between attempts.

    Raises:
        InvalidValue: The address is not allowed, or the secret is not for it.
    """

    def __init__(
        self,
        ctx: Context,
        address: str,
        secret: str,
        *,
        seconds: float,
        retries: RetryPolicy = RETRIES,
    ) -> None:
        self._ctx = ctx
        self._access = ctx.environment.services
        self.address = check_address(self._access, address)
        self._name = secret
        self._secret: StoredSecret | None = check_secret(self._access, secret, self.address)
        self._end = monotonic() + seconds
        self._seconds = seconds
        self._retries = retries

    def redact(self, text: str) -> str:
        """Replace the secret in a text of the service."""
        return text if self._secret is None else self._secret.redact(text)

    def parse(self, text: str) -> Any:
        r"""Return the JSON of a text of the service, without the secret.

        JSON has many forms of one text, such as ``\/`` for a slash, so its values are searched.

        Raises:
            ValueError: It is not JSON.
        """
        try:
            return self._redacted(json.loads(text))
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        if isinstance(value, dict):
            return {self.redact(name): self._redacted(item) for name, item in value.items()}
        return value

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        files: list[tuple[str, Any]] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> ServiceReply:
        """Send a request and return the JSON of the answer.

        Args:
            headers: May contain `SECRET_MARK`.
            body: JSON of the request.
            files, data: Parts of a form instead.

        Raises:
            ServiceError: The service fails.
        """
        content: dict[str, Any] = {"files": files, "data": data} if files else {"json": body}
        with self._answer(method, url, headers, content) as answer:
            text = answer.whole(_LARGEST_ANSWER).decode("utf-8", "replace")
        try:
            document = self.parse(text)
        except ValueError:
            raise ServiceError(
                f"{self.address.host} does not answer with JSON", hint="Check the address."
            ) from None
        return ServiceReply(document, answer.headers)

    def lines(
        self, url: str, *, headers: Mapping[str, str], body: Mapping[str, Any]
    ) -> Iterator[str]:
        """Send JSON and yield the lines of the answer as they come.

        Raises:
            ServiceError: The service fails, or the connection ends early.
        """
        with self._answer("POST", url, headers, {"json": body}) as answer:
            tail, total = b"", 0
            for chunk in answer.chunks():
                total += len(chunk)
                if total > _LARGEST_ANSWER:
                    raise self._too_large(_LARGEST_ANSWER)
                *whole, tail = (tail + chunk).split(b"\n")
                for line in whole:
                    yield self.redact(line.decode("utf-8", "replace").rstrip("\r"))
            if tail:
                yield self.redact(tail.decode("utf-8", "replace"))

    def download(self, url: str, most: int) -> bytes:
        """Return the bytes behind an address of an answer. The secret is not sent.

        Args:
            most: Largest number of bytes.

        Raises:
            ServiceError: It is not available, too large, or at a host that may not be called.
        """
        for _ in range(_MOST_HOPS):
            with self._answer("GET", url, {}, {}, is_download=True) as answer:
                if 300 <= answer.status < 400:
                    url = urljoin(url, answer.headers.get("location", ""))
                    continue
                return answer.whole(most)
        raise ServiceError(f"{self.address.host} redirects in circles")

    def cancel(self, method: str, url: str, *, headers: Mapping[str, str]) -> None:
        """Ask the service to stop. Errors are ignored, because the run has ended anyway."""

        def send() -> None:
            with suppress(NodegraphError, httpx.HTTPError, httpx.InvalidURL):
                address = self._checked(url)
                sent = self._filled(headers, address)
                # The answer is not read: it may never end.
                with (
                    open_client(self._rules(address)) as client,
                    client.stream(
                        method, url, headers=sent, follow_redirects=False, timeout=_CANCEL_SECONDS
                    ),
                ):
                    pass

        thread = Thread(target=send, name="nodegraph-service-cancel", daemon=True)
        thread.start()
        thread.join(_CANCEL_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait, and raise an error as soon as the run is cancelled or the time is over."""
        end = monotonic() + seconds
        pause = Event()
        while monotonic() < end:
            self._check()
            pause.wait(min(_TURN_SECONDS, max(0.0, end - monotonic())))
        self._check()

    def _check(self) -> None:
        self._ctx.check_cancelled(waits=False)
        if monotonic() > self._end:
            raise ServiceError(
                f"{self.address.host} has not answered in time",
                given=f"{self._seconds:g} seconds",
                hint="Try again, or raise the time limit of the node.",
            )

    @contextmanager
    def _answer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Mapping[str, Any],
        *,
        is_download: bool = False,
    ) -> Iterator[_Answer]:
        """Send a request until it is answered with success, and provide the answer."""
        address = self._checked(url)
        failures = 0
        while True:
            self._check()
            with ExitStack() as opened:
                busy: httpx.Response | None = None
                try:
                    answer = self._send(opened, method, url, address, headers, content, is_download)
                    if answer.status < 300 or (is_download and answer.status < 400):
                        yield answer
                        return
                    busy = answer.response
                    error = self._refusal(answer, address)
                except (httpx.ConnectError, httpx.ConnectTimeout, UnknownHost) as lost:
                    reason = lost.problem.message if isinstance(lost, UnknownHost) else str(lost)
                    error = ServiceError(
                        f"cannot reach {address.host}: {reason or type(lost).__name__}",
                        hint="Check the network, and that the service runs.",
                    )
                except BlockedAddress as blocked:
                    raise ServiceError(
                        blocked.problem.message,
                        given=blocked.problem.given,
                        expected=blocked.problem.expected,
                        hint="Whoever runs nodegraph may allow it in the setting `service_hosts`.",
                    ) from None
                failures += 1
                is_worth_it = busy is None or busy.status_code in _RETRIED
                pause = self._retries.pause(failures, busy)
                # A service that does not run seldom starts within seconds.
                most = self._retries.attempts if busy is not None else _CONNECT_ATTEMPTS
                if not is_worth_it or failures >= most or pause > _LONGEST_PAUSE:
                    raise error
            self.wait(pause)

    def _send(
        self,
        opened: ExitStack,
        method: str,
        url: str,
        address: ServiceAddress,
        headers: Mapping[str, str],
        content: Mapping[str, Any],
        is_download: bool,
    ) -> _Answer:
        client = opened.enter_context(open_client(self._rules(address)))
        sent = headers if is_download else self._filled(headers, address)
        answer = _Answer(self, client)
        opened.callback(answer.close)
        try:
            request = client.build_request(
                method,
                url,
                headers={"Accept-Encoding": "identity", **sent},
                timeout=httpx.Timeout(self._seconds, connect=15.0),
                extensions={"trace": answer.trace},
                **content,
            )
        except (httpx.InvalidURL, TypeError, ValueError, RecursionError) as error:
            raise ServiceError(
                f"the request to {address.host} cannot be written: {error}",
                hint="Check the address, the options and the description.",
            ) from None
        answer.begin(request)
        return answer

    def _checked(self, url: str) -> ServiceAddress:
        try:
            return check_address(self._access, url)
        except NodegraphError as error:
            problem = error.problem
            raise ServiceError(
                problem.message, given=problem.given, expected=problem.expected, hint=problem.hint
            ) from None

    def _filled(self, headers: Mapping[str, str], address: ServiceAddress) -> dict[str, str]:
        """Put the secret into headers, if this address may have it."""
        if not any(SECRET_MARK in value for value in headers.values()):
            return dict(headers)
        secret = check_secret(self._access, self._name, address)
        if secret is None:
            return {name: value for name, value in headers.items() if SECRET_MARK not in value}
        return {name: value.replace(SECRET_MARK, secret.value) for name, value in headers.items()}

    def _rules(self, address: ServiceAddress) -> HostRules:
        """Rules of a connection: this host only, and private addresses only if they are listed."""
        networks = []
        for entry in service_hosts(self._access):
            host, port = split_port(entry.lower())
            if host == "localhost":
                if address.host == "localhost" and port in (None, address.port):
                    networks += [ip_network(item) for item in _LOOPBACK]
                continue
            # Entries for a port are for that address alone, not for names that lead to it.
            is_meant = contains_host(entry, address.host, address.port)
            with suppress(ValueError):
                network = ip_network(host, strict=False)
                if is_meant or (port is None and not network.is_loopback):
                    networks.append(network)
        return HostRules((address.host,), tuple(networks))

    def _refusal(self, answer: _Answer, address: ServiceAddress) -> ServiceError:
        """Return the error for a status, with the reason of the service."""
        status = answer.status
        reason = self._reason(answer.whole(1 << 20, is_cut=True))
        message = f"{address.host} refuses: {reason}" if reason else f"{address.host} refuses"
        hints = {
            400: "Check the model, the prompt and the options.",
            404: "Check the address and the name of the model.",
            413: "Send smaller or fewer images.",
            429: "Too many requests, or no credit left. Try again later.",
        }
        if status in (401, 403):
            name = self._name or "NAME"
            hint = f"Check the key: `nodegraph secret set {name} --host {address.host}`."
        elif 300 <= status < 400:
            message, hint = f"{address.host} redirects to another address", "Use that address."
        else:
            hint = hints.get(status, "Try again later." if status >= 500 else "Check the request.")
        return ServiceError(message, given=f"HTTP status {status}", hint=hint)

    def _reason(self, body: bytes) -> str:
        """Return the message in an error's JSON, or the start of its text."""
        # Cut last: a part of a secret would not be recognized.
        text = self.redact(body.decode("utf-8", "replace").strip())
        try:
            document = self.parse(text)
        except ValueError:
            return "" if text.startswith("<") else text[:_LONGEST_REASON]
        for name in ("error", "detail", "message", "title"):
            if isinstance(document, Mapping) and document.get(name):
                inner = document[name]
                if isinstance(inner, Mapping):
                    inner = inner.get("message") or inner.get("type") or json.dumps(inner)
                return (inner if isinstance(inner, str) else json.dumps(inner))[:_LONGEST_REASON]
        return text[:_LONGEST_REASON]

    def _too_large(self, most: int) -> ServiceError:
        return ServiceError(
            f"the answer of {self.address.host} is too large", expected=f"at most {most:,} bytes"
        )


class _Answer:
    """One request, sent and read by a thread."""

    def __init__(self, calls: ServiceCalls, client: httpx.Client) -> None:
        self._calls, self._client = calls, client
        self._queue: Queue[Any] = Queue(maxsize=64)
        self._stopped = Event()
        self._streams: list[Any] = []
        self.status = 0
        self.headers: Mapping[str, str] = {}

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Keep the connection, so that `close` can end a read that waits."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._streams.append(info.get("return_value"))

    def begin(self, request: httpx.Request) -> None:
        """Send the request and wait for the head of the answer."""
        Thread(target=self._run, args=(request,), name="nodegraph-service", daemon=True).start()
        response = self._next()
        assert isinstance(response, httpx.Response)
        self.response = response
        self.status = response.status_code
        redact = self._calls.redact
        self.headers = {name.lower(): redact(value) for name, value in response.headers.items()}

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes."""
        while (chunk := self._next()) is not None:
            yield chunk

    def whole(self, most: int, *, is_cut: bool = False) -> bytes:
        """Return the body.

        Args:
            most: Largest number of bytes.
            is_cut: Whether to cut a larger one instead of an error.
        """
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > most:
                if is_cut:
                    break
                raise self._calls._too_large(most)
        return bytes(body[:most])

    def close(self) -> None:
        """End the thread, also if it waits for the service."""
        self._stopped.set()
        for stream in self._streams:
            with suppress(OSError, AttributeError):
                stream.get_extra_info("socket").shutdown(SHUT_RDWR)

    def _next(self) -> Any:
        while True:
            self._calls._check()
            try:
                item = self._queue.get(timeout=_TURN_SECONDS)
            except Empty:
                continue
            if isinstance(item, (httpx.ConnectError, httpx.ConnectTimeout, NodegraphError)):
                raise item
            if isinstance(item, Exception):
                raise ServiceError(
                    f"the connection to {self._calls.address.host} was lost: "
                    f"{self._calls.redact(str(item)) or type(item).__name__}",
                    hint="Try again.",
                ) from None
            return item

    def _run(self, request: httpx.Request) -> None:
        try:
            response = self._client.send(request, stream=True, follow_redirects=False)
            self._put(response)
            for chunk in self._pieces(response):
                if self._stopped.is_set():
                    break
                self._put(chunk)
            self._put(None)
        except Exception as error:  # noqa: BLE001 - raised by the node's thread
            self._put(error)

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the body in small pieces.

        httpx would decompress all that a chunk holds, which can be a thousand times its size for
        each layer of compression.
        """
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            yield from response.iter_raw()
            return
        if encoding != "gzip":
            raise ServiceError(
                f"the answer of {self._calls.address.host} is compressed, although no compression "
                "was asked for",
                given=encoding[:40],
                expected="identity or gzip",
            )
        unzip = zlib.decompressobj(wbits=31)
        for data in response.iter_raw():
            yield unzip.decompress(data, _PIECE)
            while unzip.unconsumed_tail:
                yield unzip.decompress(unzip.unconsumed_tail, _PIECE)

    def _put(self, item: Any) -> None:
        while not self._stopped.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=_TURN_SECONDS)
                return
