"""Send webhooks: each due delivery, signed, to an address that is checked at each attempt."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nodegraph.client.webhooks import signed_headers
from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.jobs.queue import JobNotFound
from nodegraph.jobs.queue.webhooks import (
    DEFAULT_EVENTS,
    GONE,
    WEBHOOK_EVENTS,
    ClaimedDelivery,
    Delivery,
    Webhook,
    WebhookEvent,
    check_webhook,
    host_of,
    latest_due,
)
from nodegraph.server.access.caller import Caller
from nodegraph.server.root_path import using_root_path
from nodegraph.server.services import Services, cancel_and_wait
from nodegraph.server.settings import ServerSettings
from nodegraph.server.workflows.job_entries import job_detail

if TYPE_CHECKING:
    import httpx

    from nodegraph.models.remote.guarded_http import HostRules

_LOG = logging.getLogger(__name__)
_AT_ONCE, _PER_HOST, _PER_CLIENT, _RESOLVERS = 32, 2, 8, 8
_SECONDS = 20.0
"""For an attempt in all: name, connection, answer."""
_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 30.0
"""Seconds between two looks for what no event tells, such as a clock that was put forward."""
_SETTING = "webhook_hosts"
_JITTER = 0.2
TEST_EVENT = "webhook.test"


class WebhookWish(BaseModel):
    """An address that is sent events of a job."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_048)] = Field(
        description="Address of the receiver. https, unless the server allows otherwise.",
        examples=["https://example.org/hooks"],
    )
    events: Annotated[list[WebhookEvent], Field(min_length=1, max_length=16)] = Field(
        default=[*DEFAULT_EVENTS], description="Kinds of events to send."
    )
    secret: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(
        default=None,
        description="Secret that signs the deliveries of this job: `whsec_` and base64. By default "
        "the secret of the client. It is never shown.",
    )


def resolve_webhook(
    server: ServerSettings, caller: Caller, request: WebhookWish | Literal["none"] | None
) -> Webhook | None:
    """Return where the events of a job are sent; None for nowhere.

    Args:
        request: None for the webhook of the caller's token.
    Raises:
        InvalidValue: It is no address, or one that the server does not allow.
    """
    if isinstance(request, WebhookWish):
        webhook = Webhook(request.url, tuple(request.events), request.secret)
    elif request is None and caller.webhook:
        webhook = Webhook(caller.webhook)
    else:
        return None
    check_webhook(webhook)
    check_receiver(server, webhook.url)
    return webhook


def check_receiver(server: ServerSettings, url: str) -> None:
    """See that webhooks may be sent to an address, as far as its name says.

    Raises:
        InvalidValue: They may not.
    """
    from nodegraph.models.remote.download_plans import BlockedAddress

    host_of(url)
    parts = urlsplit(url)
    try:
        host_rules(server.webhook_hosts).check_name(parts.scheme, parts.hostname or "")
    except BlockedAddress as error:
        problem = error.problem
        raise InvalidValue(
            problem.message, given=problem.given, expected=problem.expected, hint=problem.hint
        ) from None


@lru_cache(maxsize=4)
def host_rules(hosts: tuple[str, ...] | None) -> HostRules:
    """The hosts that webhooks may reach.

    Raises:
        InvalidValue: An entry of the setting is no host.
    """
    from nodegraph.models.remote.guarded_http import ANY_HOST, HostRules

    return HostRules.parse(hosts if hosts is not None else [ANY_HOST], _SETTING, "webhooks to")


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How an attempt went.

    Attributes:
        status: Of the answer; None without one.
        error: Why it failed; None if it has not.
        wait: Seconds after which the receiver wants to be asked again, if it says so.
    """

    status: int | None
    error: str | None
    wait: float | None = None


class WebhookClient:
    """Sends bodies to receivers. It follows no redirect and reads only the head of an answer.

    Args:
        rules: Where to; the address that a host leads to is checked at each attempt, and is the one
            that is connected to.
    """

    def __init__(self, rules: HostRules) -> None:
        self._rules = rules
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="nodegraph-webhook-names")
        self._client: httpx.AsyncClient | None = None

    async def send(
        self, url: str, id: str, body: bytes, secrets: Sequence[str], now: float
    ) -> AttemptOutcome:
        """Attempt a delivery.

        Args:
            now: Unix time, which is signed.
        """
        headers = {
            **signed_headers(secrets, id, int(now), body),
            "Content-Type": "application/json",
            "User-Agent": f"nodegraph/{VERSION}",
        }
        try:
            return await asyncio.wait_for(self._sent(url, headers, body), _SECONDS)
        except asyncio.TimeoutError:
            return AttemptOutcome(None, f"no answer within {_SECONDS:g} s")
        except NodegraphError as error:
            return AttemptOutcome(None, str(error.problem.message))
        except ValueError as error:  # such as a host's name that has no international form
            return AttemptOutcome(None, f"cannot send to {host_of(url)}: {error}")

    async def _sent(self, url: str, headers: Mapping[str, str], body: bytes) -> AttemptOutcome:
        import httpx

        if self._client is None:
            self._client = await asyncio.to_thread(_new_client)
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL as failure:
            return AttemptOutcome(None, f"this is not the address of a webhook: {failure}")
        # As it is written: a name in its international form may stand for another one here.
        host = parts.raw_host.decode("ascii")
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(
            self._threads, self._rules.addresses, parts.scheme, host, parts.port
        )
        error: Exception | None = None
        for address in addresses:
            # The certificate is checked for the host's name, which also stays in `Host`.
            request = self._client.build_request(
                "POST",
                parts.copy_with(host=address),
                content=body,
                headers={**headers, "Host": parts.netloc.decode("ascii")},
                extensions={"sni_hostname": host},
            )
            try:
                response = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as failure:
                error = failure
                continue
            except httpx.RemoteProtocolError:
                # Its message quotes what came, which is not the client's to read.
                return AttemptOutcome(None, f"{host} closes the connection or does not speak HTTP")
            except (httpx.HTTPError, httpx.InvalidURL) as failure:
                error = failure
                break
            await response.aclose()
            return _answer(response.status_code, response.headers.get("retry-after"))
        return AttemptOutcome(None, f"cannot reach {host}: {str(error) or type(error).__name__}")

    async def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            await self._client.aclose()


def _new_client() -> httpx.AsyncClient:
    import httpx

    # Kept connections are known by address: one of another host must not be used again. The
    # environment's proxies would resolve names themselves.
    limits = httpx.Limits(max_keepalive_connections=0)
    timeout = httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
    # Cookies are kept by address as well: one receiver's would go to others.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False, cookies=cookies)


def _answer(status: int, retry_after: str | None) -> AttemptOutcome:
    if 200 <= status < 300:
        return AttemptOutcome(status, None)
    if status == GONE:
        return AttemptOutcome(status, "the receiver is gone: 410")
    if 300 <= status < 400:
        return AttemptOutcome(status, f"the receiver redirects, which is not followed: {status}")
    return AttemptOutcome(status, f"the receiver answers with {status}", _seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """The seconds that a `Retry-After` header asks for."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
        return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # dates of no calendar
        return None


def delivery_body(kind: str, at: float, data: Mapping[str, Any]) -> bytes:
    """The JSON of a delivery."""
    moment = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
    content = {"type": kind, "timestamp": moment.replace("+00:00", "Z"), "data": data}
    return json.dumps(content, separators=(",", ":")).encode()


def _absolute(value: Any, base: str) -> Any:
    """An entry of the API with whole addresses as links."""
    if isinstance(value, list):
        return [_absolute(each, base) for each in value]
    if isinstance(value, dict):
        return {
            name: f"{base}{each}"
            if name in _LINKS and isinstance(each, str) and each.startswith("/")
            else _absolute(each, base)
            for name, each in value.items()
        }
    return value


_LINKS = frozenset({"href", "thumbnail", "self", "workflow", "events"})


def webhook_client(server: ServerSettings) -> WebhookClient:
    """A client as the server's settings have it; close it."""
    return WebhookClient(host_rules(server.webhook_hosts))


class WebhookSender:
    """Attempts the deliveries that are due, a few at a time of each receiver and client.

    Args:
        services: Of the server.
        jitter: Gives a factor of pauses, about 1, so that deliveries that failed together do not
            come back together.
    """

    def __init__(
        self,
        services: Services,
        jitter: Callable[[], float] = lambda: random.uniform(1 - _JITTER, 1 + _JITTER),  # noqa: S311
    ) -> None:
        self._services = services
        self._jitter = jitter
        self._client = webhook_client(services.server)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hosts: Counter[str] = Counter()
        self._clients: Counter[str] = Counter()

    async def run(self) -> None:
        """Do so until it is cancelled; an attempt that goes on then is made again later."""
        try:
            await self._services.tail.run_rounds(
                self.round,
                lambda event: event.kind in WEBHOOK_EVENTS,
                self._wake,
                "webhooks cannot be sent now",
            )
        finally:
            for task in list(self._tasks):
                await cancel_and_wait(task)
            await self._client.close()

    async def round(self) -> float:
        """Begin the attempts that are due; seconds until it is worth to look again."""
        queue = self._services.queue
        due = await self._services.read_queue(queue.next_delivery)
        if due is None:
            return _LOOK_SECONDS
        free = _AT_ONCE - len(self._tasks)
        now = queue.now
        # No attempt is due so late, unless the clock was put back.
        if (due <= now or due > latest_due(now)) and free > 0:
            claimed = await self._services.queue_reads.changed(
                queue.claim_deliveries(
                    free, _PER_HOST, dict(self._hosts), _PER_CLIENT, dict(self._clients)
                )
            )
            for each in claimed:
                self._begin(each)
        # Where all are busy, the end of an attempt wakes it.
        wait = due - queue.now
        return min(max(wait, 1.0 if self._tasks else 0.05), _LOOK_SECONDS)

    async def finish(self) -> None:
        """Wait for the attempts that go on."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _begin(self, claimed: ClaimedDelivery) -> None:
        client = claimed.delivery.client
        self._hosts[claimed.host] += 1
        self._clients[client] += 1
        task = asyncio.create_task(self._attempt(claimed), name="nodegraph-webhook")
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._hosts -= Counter([claimed.host])
            self._clients -= Counter([client])
            self._wake.set()

        task.add_done_callback(over)

    async def _attempt(self, claimed: ClaimedDelivery) -> None:
        services, delivery = self._services, claimed.delivery
        try:
            body = await services.read_queue(self._body, delivery)
        except JobNotFound:
            return  # deleted meanwhile, with its deliveries
        except NodegraphError as error:
            _LOG.warning("the webhook of %s cannot be sent now: %s", delivery.job, error)
            return  # it is due again once its claim has lapsed
        now = services.queue.now
        answer = await self._client.send(delivery.url, delivery.id, body, claimed.secrets, now)
        try:
            settled = await services.queue_reads.changed(
                services.queue.settle_delivery(
                    delivery,
                    status=answer.status,
                    error=answer.error,
                    wait=answer.wait,
                    jitter=self._jitter,
                )
            )
        except NodegraphError as error:
            _LOG.warning("the end of a webhook cannot be written: %s", error)
            return
        if settled is not None and settled.state == "failed":
            _LOG.warning(
                "the webhook of %s to %s is given up after %d attempts: %s",
                *(delivery.job, claimed.host, delivery.attempts, answer.error),
            )

    def _body(self, delivery: Delivery) -> bytes:
        services = self._services
        job = services.queue.get(delivery.job)
        with using_root_path(services.server.root_path):
            entry = job_detail(job, services.uploads.mask_paths)
        base = services.server.public_url
        links = entry if base is None else _absolute_links(entry, base)
        return delivery_body(delivery.event, delivery.created, links)


def _absolute_links(entry: dict[str, Any], base: str) -> dict[str, Any]:
    """A job's entry whose links, and those of its files, are whole addresses."""
    changed = {**entry, "links": _absolute(entry["links"], base)}
    if entry["outputs"] is not None:
        files = _absolute(entry["outputs"]["files"], base)
        changed["outputs"] = {**entry["outputs"], "files": files}
    return changed
