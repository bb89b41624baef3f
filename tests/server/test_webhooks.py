"""Webhooks of a server: what receivers get, whom they are sent to, and who sees what."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nodegraph.client import InvalidSignature, verify_webhook
from nodegraph.client.webhooks import sign, signed_headers
from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import JobSummary
from nodegraph.jobs.queue.webhooks import PAUSES, new_secret
from nodegraph.server.access.caller import LOCAL, Caller, implied
from nodegraph.server.operations.webhooks import WebhookSender, host_rules
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.server.workflows.job_requests import JobWish, submit
from nodegraph.session.settings import Settings
from tests.messages import raises
from tests.server.hosting import workflow
from tests.server.test_schedules import START, Clock

HERE = ("127.0.0.1",)


@dataclass
class Receiver:
    """A server that takes webhooks.

    Attributes:
        answers: Status and headers of the next answers; 204 after these.
    """

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, dict(self.headers.items()), body))
            receiver.gate.wait()
            status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def opened(
    home: Path, clock: Clock, **settings: Any
) -> AsyncIterator[tuple[Services, WebhookSender]]:
    server = ServerSettings(**{"webhook_hosts": HERE, **settings})
    services = Services(Settings(home=home), server, has_workers=False)
    await services.open()
    services.queue._clock = clock
    sender = WebhookSender(services, jitter=lambda: 1.0)
    try:
        yield services, sender
    finally:
        await sender._client.close()
        await services.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def submitted(
    services: Services, webhook: Any = None, caller: Caller = LOCAL, **wish: Any
) -> JobSummary:
    fields = {"workflow": workflow(), "webhook": webhook, **wish}
    return (await submit(services, caller, JobWish.model_validate(fields))).job


async def sent(sender: WebhookSender) -> None:
    """All that is due is attempted."""
    await sender.round()
    await sender.finish()


def finish(services: Services, outputs: dict[str, Any] | None = None) -> None:
    job = services.queue.claim("worker").result()
    assert job is not None
    services.queue.finish(job.id, job.attempt, outputs or {}).result()


FILE = {"path": "x/a.png", "node": "save", "kind": "image", "media_type": "image/png"}
DIGEST = "ab" * 32


def test_a_receiver_gets_the_job_as_the_api_shows_it(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        settings = {"public_url": "https://studio.example", "root_path": "/ng"}
        async with opened(home, Clock(), **settings) as (services, sender):
            job = await submitted(services, {"url": receiver.url}, name="apple")
            files = [{**FILE, "size": 3, "digest": DIGEST}]
            finish(services, {"files": files})
            await sent(sender)
            ((path, headers, body),) = receiver.requests
            assert path == "/hook"
            assert headers["Content-Type"] == "application/json"
            assert headers["Host"] == f"127.0.0.1:{receiver.port}"
            secrets = services.queue.webhook_secrets("local", START)
            content = verify_webhook(secrets, headers, body, now=START)
            assert content["type"] == "job.finished"
            assert content["timestamp"] == "2025-11-24T16:00:00.000Z"
            data = content["data"]
            assert (data["id"], data["name"], data["state"]) == (job.id, "apple", "finished")
            base = "https://studio.example/ng/api/v1"
            assert data["links"]["self"] == f"{base}/jobs/{job.id}"
            assert data["outputs"]["files"][0]["href"] == f"{base}/artifacts/{DIGEST}"
            assert "x/a.png" not in body.decode()
            (delivery,) = services.queue.deliveries()
            assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)
            assert delivery.id == headers["webhook-id"]

    run(test())


def test_a_delivery_is_attempted_again_under_its_id(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, sender):
            receiver.answers += [(500, {}), (503, {"Retry-After": "900"}), (302, {})]
            await submitted(services, {"url": receiver.url, "events": ["job.queued"]})
            waits, errors = [], []
            for _ in range(4):
                await sent(sender)
                (delivery,) = services.queue.deliveries()
                errors.append(delivery.error)
                waits.append(None if delivery.due is None else delivery.due - clock.now)
                clock.now = delivery.due or clock.now
            assert waits == [5.0, 900.0, 120.0, None]
            assert errors[0] == "the receiver answers with 500"
            assert errors[2] == "the receiver redirects, which is not followed: 302"
            assert errors[3] is None
            ids = {headers["webhook-id"] for _, headers, _ in receiver.requests}
            times = [headers["webhook-timestamp"] for _, headers, _ in receiver.requests]
            assert len(ids) == 1
            assert times == sorted(set(times))

    run(test())


def test_what_was_not_delivered_is_after_a_restart(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, _):
            await submitted(services, {"url": receiver.url, "events": ["job.queued"]})
            services.queue.claim_deliveries(9, 9, {}, 9, {}).result()  # and then it was killed
        clock.now += 60
        async with opened(home, clock) as (services, sender):
            await sent(sender)
            assert services.queue.deliveries()[0].state == "delivered"
            assert len(receiver.requests) == 1

    run(test())


def test_nobody_waits_for_a_slow_receiver(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        with receiving() as other:
            async with opened(home, Clock()) as (services, sender):
                receiver.gate.clear()
                for _ in range(5):
                    await submitted(services, {"url": receiver.url, "events": ["job.queued"]})
                await submitted(services, {"url": other.url, "events": ["job.queued"]})
                await sender.round()
                while services.queue.deliveries(state="delivered") == []:
                    await asyncio.sleep(0.01)
                assert len(other.requests) == 1
                # No more than two at a time, of the one that is slow.
                await sender.round()
                assert sum(each.attempts for each in services.queue.deliveries()) == 3
                receiver.gate.set()
                for _ in range(3):
                    await sent(sender)
                assert len(services.queue.deliveries(state="delivered")) == 6

    run(test())


def test_the_name_of_a_host_stays_while_the_checked_address_is_reached(
    home: Path, receiver: Receiver
) -> None:
    async def test() -> None:
        async with opened(home, Clock(), webhook_hosts=("localhost", *HERE)) as (services, sender):
            url = receiver.url.replace("127.0.0.1", "localhost")
            await submitted(services, {"url": url, "events": ["job.queued"]})
            await sent(sender)
            assert services.queue.deliveries()[0].state == "delivered"
            assert receiver.requests[0][1]["Host"] == f"localhost:{receiver.port}"

    run(test())


def test_what_is_no_http_is_not_shown(home: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6 hidden\r\n\r\n")
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with opened(home, Clock()) as (services, sender):
                url = f"http://127.0.0.1:{port}/"
                await submitted(services, {"url": url, "events": ["job.queued"]})
                await sent(sender)
                (delivery,) = services.queue.deliveries()
                assert delivery.state == "pending"
                assert "does not speak HTTP" in str(delivery.error)
                assert "hidden" not in str(delivery.error)

    run(test())


def test_one_that_is_gone_is_told_so(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        async with opened(home, Clock()) as (services, sender):
            receiver.answers += [(410, {})]
            await submitted(services, {"url": receiver.url, "events": ["job.queued"]})
            await sent(sender)
            (delivery,) = services.queue.deliveries()
            assert (delivery.state, delivery.status) == ("failed", 410)
            assert delivery.error == "the receiver is gone: 410"

    run(test())


@pytest.mark.parametrize(
    "moment",
    ["Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 2027 9999999999999999:00:00 GMT"],
)
def test_a_receiver_may_ask_for_a_date_of_no_calendar(
    home: Path, receiver: Receiver, moment: str
) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, sender):
            receiver.answers += [(503, {"Retry-After": moment})]
            await submitted(services, {"url": receiver.url, "events": ["job.queued"]})
            await sent(sender)
            (delivery,) = services.queue.deliveries()
            assert (delivery.status, delivery.due) == (503, clock.now + PAUSES[0])

    run(test())


@pytest.mark.parametrize("host", ["xn--", "xn--a", "xn--zzzzzzzzzzzz--"])
def test_a_host_whose_name_has_no_international_form_fails(home: Path, host: str) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock, webhook_hosts=None) as (services, sender):
            await submitted(services, {"url": f"https://{host}/", "events": ["job.queued"]})
            await sent(sender)
            (delivery,) = services.queue.deliveries()
            assert (delivery.state, delivery.due) == ("pending", clock.now + PAUSES[0])
            assert host in str(delivery.error)

    run(test())


def test_no_receiver_gets_cookies_of_another(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        async with opened(home, Clock()) as (services, sender):
            receiver.answers += [(204, {"Set-Cookie": "name=value"})]
            for _ in range(2):
                await submitted(services, {"url": receiver.url, "events": ["job.queued"]})
                await sent(sender)
            assert [headers.get("Cookie") for _, headers, _ in receiver.requests] == [None, None]

    run(test())


def test_the_loop_sends_what_comes(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        async with opened(home, Clock()) as (services, sender):
            running = asyncio.create_task(sender.run())
            await submitted(services, {"url": receiver.url, "events": ["job.queued"]})
            while services.queue.deliveries(state="delivered") == []:
                await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.wait([running])
            assert len(receiver.requests) == 1

    run(test())


PRIVATE = (
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://10.1.2.3/",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1]/",
    "http://10.1.2.3/",
)


@pytest.mark.parametrize("url", PRIVATE)
def test_private_addresses_are_refused_with_the_job(home: Path, url: str) -> None:
    async def test() -> None:
        async with opened(home, Clock(), webhook_hosts=None) as (services, _):
            with raises(InvalidValue):
                await submitted(services, {"url": url, "events": ["job.queued"]})

    run(test())


def test_names_of_private_addresses_are_reached_by_no_delivery(home: Path) -> None:
    async def test() -> None:
        async with opened(home, Clock(), webhook_hosts=None) as (services, sender):
            url = "https://localhost/"
            await submitted(services, {"url": url, "events": ["job.queued"]})
            await sent(sender)
            (delivery,) = services.queue.deliveries()
            assert delivery.state == "pending"
            assert str(delivery.error).endswith("leads into a private network")

    run(test())


def test_only_what_the_setting_lists_is_reached(home: Path) -> None:
    async def test() -> None:
        async with opened(home, Clock(), webhook_hosts=("*.example.org",)) as (services, _):
            await submitted(services, {"url": "https://a.example.org/"})
            for url in ("https://example.com/", "http://a.example.org/", "https://8.8.8.8/"):
                with raises(InvalidValue):
                    await submitted(services, {"url": url})
        async with opened(home, Clock(), webhook_hosts=None) as (services, _):
            with raises(InvalidValue):
                await submitted(services, {"url": "http://example.com/"})

    run(test())


def test_an_entry_that_is_no_host_is_told(home: Path) -> None:
    with raises(InvalidValue):
        host_rules(("https://example.org",))


def test_a_token_has_a_webhook_for_jobs_that_name_none(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        caller = Caller("studio", implied(frozenset({"run"})), webhook=receiver.url)
        async with opened(home, Clock()) as (services, _):
            for webhook in (None, "none", {"url": f"{receiver.url}/own"}):
                job = await submitted(services, webhook, caller)
                services.queue.cancel(job.id).result()
            urls = [each.url for each in reversed(services.queue.deliveries())]
            assert urls == [receiver.url, f"{receiver.url}/own"]

    run(test())


def test_no_secret_gets_out(home: Path, receiver: Receiver) -> None:
    async def test() -> None:
        secret = "whsec_" + "c2VjcmV0" * 6
        async with opened(home, Clock()) as (services, sender):
            webhook = {"url": receiver.url, "events": ["job.queued"], "secret": secret}
            job = await submitted(services, webhook)
            await sent(sender)
            ((_, headers, body),) = receiver.requests
            assert verify_webhook(secret, headers, body, now=START)["type"] == "job.queued"
            whole = services.queue.get(job.id)
            assert secret not in repr(whole) + services.queue.workflow(whole.workflow)
            assert secret not in body.decode() + repr(services.queue.deliveries())

    run(test())


def test_a_signature_is_of_one_secret_body_and_time() -> None:
    # The example of the specification's libraries.
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    name, moment = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330
    assert sign(secret, name, moment, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    other = "whsec_" + "bm90IGl0" * 6
    headers = signed_headers([other, secret], name, moment, body)
    assert verify_webhook(secret, headers, body, now=moment) == json.loads(body)
    assert verify_webhook([secret, other], headers, body, now=moment + 299)
    for changed, content, now in (
        (headers, body + b" ", moment),
        (headers, body, moment + 301),
        (headers, body, moment - 301),
        ({**headers, "webhook-id": "msg_x"}, body, moment),
        ({**headers, "webhook-timestamp": str(moment + 1)}, body, moment),
        ({**headers, "webhook-timestamp": "now"}, body, moment),
        ({**headers, "webhook-signature": "v1,é"}, body, moment),
        ({"webhook-id": name}, body, moment),
        (signed_headers([secret], name, moment, b"[]"), b"[]", moment),
    ):
        with raises(InvalidSignature):
            verify_webhook(secret, changed, content, now=now)
    with raises(InvalidValue):
        verify_webhook("whsec_?", headers, body, now=moment)


@pytest.mark.parametrize(
    "wild",
    [
        {"webhook-timestamp": "9" * 5_000},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": "v1,\udcff"},
        {"webhook-id": "\ud800"},
    ],
)
def test_wild_headers_are_no_signature(wild: dict[str, str]) -> None:
    headers = {**signed_headers([new_secret()], "id", 1_000, b"{}"), **wild}
    with pytest.raises(InvalidSignature):
        verify_webhook(new_secret(), headers, b"{}", now=1_000.0)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ="])
def test_no_delivery_is_verified_with_an_empty_secret(secret: str) -> None:
    headers = signed_headers([new_secret()], "id", 1_000, b"{}")
    with raises(InvalidValue):
        verify_webhook(secret, headers, b"{}", now=1_000.0)
