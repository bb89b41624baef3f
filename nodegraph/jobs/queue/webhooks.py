"""Webhooks: which address is told of a job's events, and what became of each delivery.

A delivery is made by a trigger, in the commit that makes its event, so none is lost. To attempt
one, a server claims it: the next attempt is due once the claim has lapsed. A server that dies in
between leaves it to the next one, so a receiver may get a delivery twice, under the same id.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.jobs.queue.backend import Connection
from nodegraph.jobs.queue.job import is_id, storable

WebhookEvent = Literal["job.queued", "job.started", "job.finished", "job.failed", "job.cancelled"]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
DEFAULT_EVENTS: tuple[WebhookEvent, ...] = ("job.finished", "job.failed", "job.cancelled")
DeliveryState = Literal["pending", "delivered", "failed"]

PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 28_800.0)
"""Seconds between an attempt that failed and the next, on average; 24 hours in all."""
LONGEST_PAUSE = 43_200.0
"""Seconds that a receiver may ask for by `Retry-After`."""
LEASE_SECONDS = 60.0
"""Seconds after which a claimed delivery may be claimed again; attempts end long before."""
SECRET_PREFIX = "whsec_"  # noqa: S105
_LONGEST_URL = 2_048
_HOST_AND_PORT = re.compile(r"(?:\[(?P<ipv6>[^\]%]+)\]|(?P<name>[\w.-]+))(?::\d*)?")
_NUMBERS = re.compile(r"[\d.]+")
_LONGEST_ERROR = 300
_SECRET_BYTES = 24, 64
GONE = 410


class DeliveryNotFound(NodegraphError):
    """No delivery of that id."""

    code = "delivery-not-found"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a job's events are sent.

    Attributes:
        url: Address, `https://…`.
        events: Kinds of events.
        secret: Signs the deliveries of this job; None for the secret of its client.
    """

    url: str
    events: Sequence[str] = DEFAULT_EVENTS
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the delivery of an event.

    Attributes:
        id: Constant over all attempts.
        job: Id of the job.
        event: Kind of the event.
        created: Unix time of the event.
        attempts: How many were begun.
        due: Unix time of the next attempt; None if there is none.
        status: Status of the last answer; None without one.
        error: Why the last attempt failed; None if it has not.
        ended: Unix time at which it was delivered or given up.
    """

    number: int
    id: str
    job: str
    client: str
    event: str
    url: str
    state: DeliveryState
    created: float
    attempts: int
    due: float | None
    status: int | None
    error: str | None
    ended: float | None


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery to attempt now.

    Attributes:
        secrets: What it is signed with, one signature for each.
    """

    delivery: Delivery
    host: str
    secrets: tuple[str, ...]


def check_webhook(webhook: Webhook) -> Webhook:
    """The webhook.

    Raises:
        InvalidValue: Its address, one of its events or its secret is none.
    """
    host_of(webhook.url)
    if not webhook.events:
        raise InvalidValue("a webhook needs an event", expected=", ".join(WEBHOOK_EVENTS))
    for event in webhook.events:
        if event not in WEBHOOK_EVENTS:
            raise InvalidValue(
                "webhooks do not know this event",
                given=event,
                expected=", ".join(WEBHOOK_EVENTS),
                hint=did_you_mean(event, WEBHOOK_EVENTS) or None,
            )
    if webhook.secret is not None:
        _check_secret(webhook.secret)
    return webhook


def host_of(url: str) -> str:
    """The host and port that an address leads to.

    Raises:
        InvalidValue: It is no address of a receiver.
    """
    expected = "an address such as https://example.org/hooks, without a user name and a fragment"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidValue("this is not the address of a webhook", expected=expected) from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    is_whole = parts.scheme in ("https", "http") and _is_host(parts.netloc)
    # What is before an @ is a secret, and would be listed.
    if not (is_plain and is_whole) or "@" in parts.netloc or parts.fragment:
        shown = url[:200] if "@" not in url else None
        raise InvalidValue("this is not the address of a webhook", given=shown, expected=expected)
    if len(url) > _LONGEST_URL:
        raise InvalidValue(
            "the address of the webhook is too long",
            given=f"{len(url)} characters",
            expected=f"at most {_LONGEST_URL}",
        )
    return f"{parts.hostname}:{port or (443 if parts.scheme == 'https' else 80)}"


def _is_host(netloc: str) -> bool:
    """Whether an address leads to a host, with or without a port."""
    host = _HOST_AND_PORT.fullmatch(netloc)
    if host is None:
        return False
    if host["name"] and not _NUMBERS.fullmatch(host["name"]):
        return True
    # What looks like an address and is none would be read as one in several ways.
    try:
        ip_address(host["name"] or host["ipv6"])
    except ValueError:
        return False
    return True


def _check_secret(secret: str) -> None:
    least, most = _SECRET_BYTES
    try:
        size = len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith(SECRET_PREFIX) or not least <= size <= most:
        # The value itself stays out of messages.
        raise InvalidValue(
            "this is not the secret of a webhook",
            expected=f"{SECRET_PREFIX} and {least} to {most} bytes in base64",
            hint="`nodegraph webhooks secret` makes one for all of your jobs.",
        )


def new_secret() -> str:
    """A secret of 256 random bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def add(connection: Connection, number: int, client: str, webhook: Webhook, now: float) -> None:
    """Have an address told of the events of a job, from the next on.

    Args:
        number: Of the job.
    """
    events = " ".join(dict.fromkeys(webhook.events))
    values = (number, webhook.url, host_of(webhook.url), events, webhook.secret)
    connection.execute("INSERT INTO webhooks VALUES (?, ?, ?, ?, ?)", values)
    if webhook.secret is None:
        connection.execute(_SIGN_FIRST, (client, new_secret(), now))


_SIGN_FIRST = """
INSERT INTO webhook_secrets (client, secret, created) VALUES (?, ?, ?)
ON CONFLICT (client) DO NOTHING
"""
_ROTATE = """
INSERT INTO webhook_secrets (client, secret, created) VALUES (:client, :secret, :now)
ON CONFLICT (client) DO UPDATE SET former = webhook_secrets.secret, former_until = :until,
    secret = excluded.secret, created = excluded.created
"""


def rotate_secret(connection: Connection, client: str, grace: float, now: float) -> str:
    """A new secret for the deliveries of a client.

    Args:
        grace: Seconds for which deliveries are signed with the former one as well.
    """
    secret = new_secret()
    values = {"client": client, "secret": secret, "now": now, "until": now + grace}
    connection.execute(_ROTATE, values)
    return secret


def secrets_of(connection: Connection, client: str, now: float) -> tuple[str, ...]:
    """What deliveries of a client are signed with."""
    query = "SELECT secret, former, former_until FROM webhook_secrets WHERE client = ?"
    row = connection.execute(query, (client,)).fetchone()
    if row is None:
        return ()
    secret, former, until = row
    return (secret,) if former is None or until <= now else (secret, former)


_COLUMNS = (
    "event, jobs.id, deliveries.client, kind, url, deliveries.state, deliveries.created, attempts, "
    "due, status, deliveries.error, ended"
)
_SELECT = f"SELECT {_COLUMNS} FROM deliveries JOIN jobs ON jobs.number = deliveries.job"  # noqa: S608
# The second part is for a clock that was put back: no pause is so long.
_DUE = "deliveries.state = 'pending' AND (due <= :now OR due > :latest)"
_NEXT_DUE = "SELECT min(due) FROM deliveries WHERE state = 'pending'"
_CLAIM = "UPDATE deliveries SET attempts = attempts + 1, due = ? WHERE event = ?"
_HOST = "SELECT host FROM deliveries WHERE event = ?"
_OWN_SIGNER = """
SELECT webhooks.secret FROM webhooks JOIN deliveries ON deliveries.job = webhooks.job
WHERE event = ?
"""
_SETTLE = """
UPDATE deliveries SET state = ?, due = ?, status = ?, error = ?, ended = ?
WHERE event = ? AND attempts = ? AND state = 'pending'
"""
_GIVE_UP = """
UPDATE deliveries SET state = 'failed', due = NULL, status = ?, error = ?, ended = ?
WHERE state = 'pending' AND url = ?
"""


def _delivery(row: Sequence[Any]) -> Delivery:
    return Delivery(row[0], f"{row[1]}-{row[0]}", *row[1:])


def latest_due(now: float) -> float:
    """After which no attempt is due, unless the clock was put back."""
    return now + 2 * LONGEST_PAUSE


def next_due(connection: Connection) -> float | None:
    """Unix time of the next attempt; None if there is nothing to deliver."""
    (due,) = connection.execute(_NEXT_DUE).fetchone()
    return None if due is None else float(due)


def claim(
    connection: Connection,
    most: int,
    per_host: int,
    busy: Mapping[str, int],
    per_client: int,
    busy_clients: Mapping[str, int],
    now: float,
) -> list[ClaimedDelivery]:
    """Deliveries to attempt now, the oldest first.

    Args:
        most: How many at most.
        per_host, per_client: How many attempts at one host, or of one client, may go on at a time.
        busy, busy_clients: How many go on, by host and by client.
    """
    names: dict[str, str] = {}
    apart = ""
    for column, limit, going_on in (
        ("host", per_host, busy),
        ("deliveries.client", per_client, busy_clients),
    ):
        full = [each for each, count in going_on.items() if count >= limit]
        added = {f"full{len(names) + at}": each for at, each in enumerate(full)}
        if added:
            apart += f" AND {column} NOT IN ({', '.join(f':{name}' for name in added)})"
        names |= added
    # More than are taken, as many may be of one host; the others come with the next claim.
    query = f"{_SELECT} WHERE {_DUE} {apart} ORDER BY due, event LIMIT :limit"
    values = {"now": now, "latest": latest_due(now), "limit": 8 * most, **names}
    hosts, clients, claimed = Counter(busy), Counter(busy_clients), []
    for row in connection.execute(query, values).fetchall():
        delivery = _delivery(row)
        host = str(connection.execute(_HOST, (delivery.number,)).fetchone()[0])
        if hosts[host] >= per_host or clients[delivery.client] >= per_client:
            continue
        hosts[host] += 1
        clients[delivery.client] += 1
        connection.execute(_CLAIM, (now + LEASE_SECONDS, delivery.number))
        (own,) = connection.execute(_OWN_SIGNER, (delivery.number,)).fetchone()
        signers = (own,) if own else secrets_of(connection, delivery.client, now)
        begun = replace(delivery, attempts=delivery.attempts + 1)
        claimed.append(ClaimedDelivery(begun, host, signers))
        if len(claimed) == most:
            break
    return claimed


def settle(
    connection: Connection,
    delivery: Delivery,
    status: int | None,
    error: str | None,
    wait: float | None,
    jitter: Callable[[], float],
    now: float,
) -> Delivery | None:
    """Keep how an attempt went; what came of it, None if the claim had lapsed.

    A receiver that is gone for good gets nothing more: all that waits for its address fails.

    Args:
        error: Why it failed; None if it has not.
        wait: Seconds after which the receiver wants to be asked again.
        jitter: Gives a factor of the pause, about 1.
    """
    text = None if error is None else storable(error)[:_LONGEST_ERROR]
    if text is None:
        outcome: tuple[Any, ...] = ("delivered", None, status, None, now)
    elif status == GONE or delivery.attempts > len(PAUSES):
        outcome = ("failed", None, status, text, now)
    else:
        pause = PAUSES[delivery.attempts - 1] * jitter()
        due = now + min(max(pause, wait or 0.0), LONGEST_PAUSE)
        outcome = ("pending", due, status, text, None)
    values = (*outcome, delivery.number, delivery.attempts)
    if not connection.execute(_SETTLE, values).rowcount:
        return None
    if status == GONE:
        connection.execute(_GIVE_UP, (status, text, now, delivery.url))
    return _by_number(connection, delivery.number)


def _by_number(connection: Connection, number: int) -> Delivery | None:
    row = connection.execute(f"{_SELECT} WHERE event = ?", (number,)).fetchone()
    return None if row is None else _delivery(row)


def get(connection: Connection, id: str) -> Delivery:
    """The delivery of an id.

    Raises:
        DeliveryNotFound: There is none.
    """
    _, _, number = id.rpartition("-")
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    delivery = _by_number(connection, int(number)) if is_number else None
    if delivery is None or delivery.id != id:
        raise not_found(id)
    return delivery


def not_found(id: str) -> DeliveryNotFound:
    """No delivery has this id."""
    return DeliveryNotFound(
        "there is no such delivery",
        given=id[:100],
        hint="Deliveries are deleted together with their jobs.",
    )


def page(
    connection: Connection,
    client: str | None,
    state: str | None,
    job: str | None,
    before: int | None,
    limit: int,
) -> list[Delivery]:
    """Some deliveries, the newest first.

    Args:
        client, state, job: Only those.
        before: Only of events before this one.
    """
    which = {
        "deliveries.client = ?": client,
        "deliveries.state = ?": state,
        "jobs.id = ?": job,
        "event < ?": before,
    }
    chosen = {text: value for text, value in which.items() if value is not None}
    where = " AND ".join(chosen) or "TRUE"
    if job is not None and not is_id(job):
        return []  # not every database compares any text
    query = f"{_SELECT} WHERE {where} ORDER BY event DESC LIMIT ?"
    return [_delivery(row) for row in connection.execute(query, (*chosen.values(), limit))]


def replay(connection: Connection, id: str, now: float) -> Delivery:
    """Deliver once more, from now on, under the same id.

    Raises:
        DeliveryNotFound: There is none.
    """
    delivery = get(connection, id)
    change = """
    UPDATE deliveries SET state = 'pending', due = ?, attempts = 0, error = NULL, status = NULL,
        ended = NULL WHERE event = ?
    """
    connection.execute(change, (now, delivery.number))
    return get(connection, id)
