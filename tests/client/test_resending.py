"""What is sent once more, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.client import Client, ConnectionLost, NotReachable, Retries, TooManyRequests
from tests.client.support import (
    ONCE,
    SOON,
    Background,
    Proxy,
    Said,
    answering,
    client_of,
    either_client,
    in_both_kinds,
    problem,
    until,
)
from tests.messages import raises
from tests.server.hosting import Hosted, workflow


@in_both_kinds
def test_a_job_whose_answer_is_lost_is_submitted_once(
    kind: str, proxy: Proxy, client: Client
) -> None:
    proxy.lost_answers = 2
    with either_client(kind, proxy.url) as unlucky:
        job = unlucky.submit(workflow())
    assert proxy.lost_answers == 0
    assert [each.id for each in client.list()] == [job.id]
    sent = [each for each in proxy.seen if each.startswith(b"POST /api/v1/jobs")]
    assert len(sent) == 3


def test_what_may_have_been_done_is_not_done_again(kind: str, proxy: Proxy, client: Client) -> None:
    job = client.submit(workflow())
    proxy.lost_answers = 1
    with (
        either_client(kind, proxy.url) as unlucky,
        raises(ConnectionLost),
    ):
        unlucky.cancel(job)
    assert client.get(job).state == "cancelled"


def test_what_was_deleted_by_the_lost_request_is_deleted(proxy: Proxy, client: Client) -> None:
    job = client.submit(workflow())
    client.cancel(job)
    proxy.lost_answers = 1
    with client_of(proxy) as unlucky:
        unlucky.delete(job)
    assert list(client.list()) == []


@in_both_kinds
def test_a_server_that_starts_late_is_waited_for(kind: str, proxy: Proxy, server: Hosted) -> None:
    proxy.target = None

    def ask() -> Any:
        with either_client(kind, proxy.url) as client:
            return client.system()

    asked = Background(ask)
    until(lambda: proxy.port and len(proxy._threads) > 3)
    proxy.target = server.port
    assert asked.result().node_types > 0


def test_nobody_is_waited_for_without_end(proxy: Proxy) -> None:
    proxy.target = None
    with client_of(proxy, retries=Retries(seconds=0.2)) as client, pytest.raises(ConnectionLost):
        client.system()
    proxy.close()
    unreachable = Retries(connecting=0.2)
    with client_of(proxy, retries=unreachable) as client, pytest.raises(NotReachable):
        client.cancel("job_x")


def test_a_busy_server_is_asked_again_when_it_says(kind: str) -> None:
    busy = problem(429, "too-many-requests", headers={"Retry-After": "0"})
    fine = Said(200, {"Content-Type": "application/json"}, b'{"items": [], "next": null}')
    with answering(busy, busy, fine) as server, either_client(kind, server.url) as client:
        assert client.models() == ()
    assert len(server.seen) == 3


def test_a_server_that_wants_to_be_left_alone_for_too_long_is() -> None:
    busy = problem(503, "unavailable", headers={"Retry-After": "3600"})
    with answering(busy) as server, client_of(server, retries=SOON) as client:
        with raises(Exception) as caught:
            client.models()
        assert caught.value.retry_after == 3600.0  # type: ignore[attr-defined]
    assert len(server.seen) == 1


@pytest.mark.parametrize("action", ["cancel", "retry", "hold", "unhold"])
def test_a_refused_change_is_not_sent_again(action: str) -> None:
    busy = problem(429, "too-many-requests", headers={"Retry-After": "0"})
    with answering(busy) as server, client_of(server) as client, pytest.raises(TooManyRequests):
        getattr(client, action)("job_x")
    assert len(server.seen) == 1


def test_a_full_queue_is_told_of(hosting: Any) -> None:
    with hosting(most_waiting=1) as server, client_of(server, retries=ONCE) as client:
        client.submit(workflow())
        with raises(TooManyRequests, given="1 waiting"):
            client.submit(workflow())


def test_keys_are_new_for_each_submission() -> None:
    with answering(problem(422, "invalid-request")) as server, client_of(server) as client:
        for _ in range(3):
            with raises(Exception):
                client.submit(workflow())
    keys = {headers["idempotency-key"] for _, _, headers in server.seen}
    assert len(keys) == 3
    assert all(len(key) >= 32 for key in keys)
