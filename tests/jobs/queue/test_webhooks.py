"""Deliveries to webhooks: none is lost, each is claimed by one, and pauses grow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import Death, JobFilter, JobQueue
from nodegraph.jobs.queue.webhooks import (
    LEASE_SECONDS,
    LONGEST_PAUSE,
    PAUSES,
    WEBHOOK_EVENTS,
    ClaimedDelivery,
    DeliveryNotFound,
    Webhook,
    new_secret,
)
from tests.jobs.queue.support import claim, event, open_queue, submit, wanted
from tests.jobs.queue.test_timed import START, Clock
from tests.messages import raises

URL = "https://example.org/hooks"
ALL = Webhook(URL, WEBHOOK_EVENTS)
pytestmark = pytest.mark.usefixtures("either_place")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> Iterator[JobQueue]:
    with open_queue(tmp_path, clock=clock) as queue:
        yield queue


def due(queue: JobQueue, most: int = 100, per_host: int = 100) -> list[ClaimedDelivery]:
    return queue.claim_deliveries(most, per_host, {}, 100, {}).result()


def kinds(queue: JobQueue) -> list[str]:
    return [each.event for each in reversed(queue.deliveries())]


def run(queue: JobQueue) -> None:
    job = claim(queue)
    queue.finish(job.id, job.attempt, {}, [event(1, "job.started")]).result()


def test_each_event_that_is_wanted_is_to_be_delivered(queue: JobQueue) -> None:
    submit(queue, webhook=ALL)
    run(queue)
    assert kinds(queue) == ["job.queued", "job.started", "job.finished"]
    first = queue.deliveries()[-1]
    assert (first.state, first.attempts, first.due, first.url) == ("pending", 0, START, URL)
    submit(queue, webhook=Webhook(URL))
    run(queue)
    assert kinds(queue)[3:] == ["job.finished"]
    submit(queue)
    run(queue)
    assert len(queue.deliveries()) == 4


def test_whatever_ends_a_job_is_told(queue: JobQueue) -> None:
    failed = submit(queue, webhook=Webhook(URL))
    job = claim(queue)
    for _ in range(2):
        queue.died(job.id, job.attempt, Death("gone")).result()
        job = claim(queue)
    queue.died(job.id, job.attempt, Death("gone")).result()
    cancelled = submit(queue, webhook=Webhook(URL))
    queue.cancel(cancelled.id).result()
    cleared = submit(queue, webhook=Webhook(URL))
    queue.clear(JobFilter())
    told = [(each.job, each.event) for each in reversed(queue.deliveries())]
    assert told == [
        (failed.id, "job.failed"),
        (cancelled.id, "job.cancelled"),
        (cleared.id, "job.cancelled"),
    ]


def test_deliveries_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    with open_queue(tmp_path, clock=clock) as queue:
        submit(queue, webhook=ALL)
        (before,) = due(queue)
    with open_queue(tmp_path, clock=clock) as queue:
        assert due(queue) == []
        clock.now += LEASE_SECONDS
        (after,) = due(queue)
        assert after.delivery.id == before.delivery.id
        assert after.delivery.attempts == 2


def test_pauses_grow_until_it_is_given_up(queue: JobQueue, clock: Clock) -> None:
    submit(queue, webhook=ALL)
    waited, ids = [], set()
    while claimed := due(queue):
        (each,) = claimed
        ids.add(each.delivery.id)
        settled = queue.settle_delivery(each.delivery, status=500, error="it fails").result()
        assert settled is not None
        if settled.due is None:
            break
        waited.append(settled.due - clock.now)
        assert due(queue) == []
        clock.now = settled.due
    assert waited == [*PAUSES]
    assert sum(waited) == pytest.approx(86_400, rel=0.05)
    (delivery,) = queue.deliveries()
    assert (delivery.state, delivery.attempts, delivery.error) == ("failed", 11, "it fails")
    assert len(ids) == 1
    assert queue.next_delivery() is None


def test_a_receiver_may_say_when_it_wants_to_be_asked_again(queue: JobQueue, clock: Clock) -> None:
    submit(queue, webhook=ALL)
    (each,) = due(queue)
    options = {"status": 503, "error": "busy"}
    settled = queue.settle_delivery(each.delivery, wait=90.0, **options).result()  # type: ignore[arg-type]
    assert settled is not None
    assert settled.due == clock.now + 90
    clock.now += 90
    (each,) = due(queue)
    settled = queue.settle_delivery(each.delivery, wait=1e9, **options).result()  # type: ignore[arg-type]
    assert settled is not None
    assert settled.due == clock.now + LONGEST_PAUSE


def test_jitter_spreads_pauses(queue: JobQueue, clock: Clock) -> None:
    submit(queue, webhook=ALL)
    (each,) = due(queue)
    settled = queue.settle_delivery(
        each.delivery, status=None, error="unreachable", jitter=lambda: 1.2
    ).result()
    assert settled is not None
    assert settled.due == pytest.approx(clock.now + 1.2 * PAUSES[0])


def test_one_that_is_gone_gets_nothing_more(queue: JobQueue, clock: Clock) -> None:
    for _ in range(3):
        submit(queue, webhook=ALL)
    submit(queue, webhook=Webhook("https://other.example/", WEBHOOK_EVENTS))
    (each,) = due(queue, most=1)
    queue.settle_delivery(each.delivery, status=410, error="gone").result()
    states = [(delivery.url, delivery.state) for delivery in reversed(queue.deliveries())]
    assert states == [*[(URL, "failed")] * 3, ("https://other.example/", "pending")]


def test_each_is_claimed_by_one_server(queue: JobQueue, clock: Clock) -> None:
    for _ in range(4):
        submit(queue, webhook=ALL)
    first, second = due(queue, most=2), due(queue)
    assert len(first) == len(second) == 2
    numbers = [each.delivery.number for each in (*first, *second)]
    assert len(set(numbers)) == 4
    # A claim that has lapsed says nothing any more.
    clock.now += LEASE_SECONDS
    again = due(queue, most=1)[0]
    late = queue.settle_delivery(first[0].delivery, status=200, error=None).result()
    assert late is None
    settled = queue.settle_delivery(again.delivery, status=200, error=None).result()
    assert settled is not None
    assert settled.state == "delivered"


def test_a_slow_receiver_keeps_no_other_waiting(queue: JobQueue) -> None:
    for _ in range(5):
        submit(queue, webhook=ALL)
    submit(queue, webhook=Webhook("https://other.example/", WEBHOOK_EVENTS))
    hosts = [each.host for each in due(queue, per_host=2)]
    assert hosts == ["example.org:443", "example.org:443", "other.example:443"]
    assert queue.claim_deliveries(9, 2, {"example.org:443": 2}, 9, {}).result() == []


def test_slow_receivers_of_one_client_keep_no_other_client_waiting(queue: JobQueue) -> None:
    for at in range(300):
        submit(queue, "eve", webhook=Webhook(f"https://{at}.example.org/", ("job.queued",)))
    submit(queue, "ann", webhook=Webhook(URL, ("job.queued",)))
    first = queue.claim_deliveries(32, 2, {}, 8, {}).result()
    assert [each.delivery.client for each in first] == ["eve"] * 8
    then = queue.claim_deliveries(24, 2, {}, 8, {"eve": 8}).result()
    assert [each.delivery.client for each in then] == ["ann"]


def test_a_clock_that_is_put_back_stops_no_delivery(queue: JobQueue, clock: Clock) -> None:
    submit(queue, webhook=ALL)
    clock.now -= 30 * 86_400
    assert len(due(queue)) == 1


def test_one_that_was_delivered_can_be_replayed(queue: JobQueue, clock: Clock) -> None:
    submit(queue, webhook=ALL)
    (each,) = due(queue)
    queue.settle_delivery(each.delivery, status=200, error=None).result()
    assert queue.delivery(each.delivery.id).state == "delivered"
    clock.now += 5
    replayed = queue.replay_delivery(each.delivery.id).result()
    assert (replayed.state, replayed.attempts, replayed.due) == ("pending", 0, clock.now)
    assert due(queue)[0].delivery.id == each.delivery.id
    with raises(DeliveryNotFound):
        queue.replay_delivery("job_x-1").result()
    with raises(DeliveryNotFound):
        queue.delivery(f"job_x-{each.delivery.number}")


def test_deliveries_go_with_their_job(queue: JobQueue) -> None:
    job = submit(queue, webhook=ALL)
    run(queue)
    queue.delete(job.id).result()
    assert queue.deliveries() == []
    assert queue.next_delivery() is None


def test_they_are_listed_by_client_state_and_job(queue: JobQueue) -> None:
    mine = submit(queue, "ann", webhook=ALL)
    submit(queue, "bob", webhook=ALL)
    assert [each.job for each in queue.deliveries("ann")] == [mine.id]
    assert len(queue.deliveries(job=mine.id)) == 1
    assert queue.deliveries(state="failed") == []
    newest = queue.deliveries(limit=1)[0]
    assert [each.job for each in queue.deliveries(before=newest.number)] == [mine.id]


def test_no_job_has_an_id_that_is_none(queue: JobQueue) -> None:
    submit(queue, webhook=ALL)
    assert queue.deliveries(job="job_\0") == []


def test_secrets_are_of_a_client_and_overlap(queue: JobQueue, clock: Clock) -> None:
    submit(queue, "ann", webhook=ALL)
    submit(queue, "bob", webhook=ALL)
    ann, bob = (each.secrets for each in due(queue))
    assert len(ann) == len(bob) == 1
    assert ann != bob
    fresh = queue.rotate_webhook_secret("ann", 3_600).result()
    assert queue.webhook_secrets("ann", clock.now) == (fresh, *ann)
    assert queue.webhook_secrets("ann", clock.now + 3_600) == (fresh,)
    own = new_secret()
    submit(queue, "ann", webhook=Webhook(URL, WEBHOOK_EVENTS, own))
    assert due(queue)[0].secrets == (own,)


@pytest.mark.parametrize(
    "webhook",
    [
        Webhook("ftp://example.org/"),
        Webhook("https://"),
        Webhook("https://example.org:port/"),
        Webhook("https://user:password@example.org/"),
        Webhook("https://example.org/#part"),
        Webhook("https://example.org/a b"),
        Webhook("https://[::1]x/"),
        Webhook("https://[v1.a]/"),
        Webhook("https://[::1%25lo]/"),
        Webhook("https://999.999.999.999/"),
        Webhook("https://0177.0.0.1/"),
        Webhook("https://2130706433/"),
        Webhook("https://%31.0.0.1/"),
        Webhook("https://ex{}.org/"),
        Webhook(f"https://example.org/{'a' * 3_000}"),
        Webhook(URL, ()),
        Webhook(URL, ("job.ended",)),
        Webhook(URL, secret="whsec_short"),
        Webhook(URL, secret="MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ],
)
def test_what_is_no_webhook_is_refused(queue: JobQueue, webhook: Webhook) -> None:
    with raises(InvalidValue) as caught:
        queue.submit(wanted(webhook=webhook))
    assert "password" not in str(caught.value)
