"""Sending what may have to be sent more than once."""

from __future__ import annotations

from typing import TypeVar, cast

from nodegraph.client.calls import Call, Paged
from nodegraph.client.errors import PASSING, ConnectionLost, NotReachable
from nodegraph.client.problems import error_of
from nodegraph.client.reading import Page
from nodegraph.client.requests import Answer
from nodegraph.client.retries import Retries, Trouble
from nodegraph.client.steps import Exchange, Pause, Steps, Tell

T = TypeVar("T")


def sent(call: Call[T], retries: Retries) -> Steps[T]:
    """What the server says to a call.

    Where no connection could be made, nothing was sent, and anything is tried again. Where it
    broke, or the server is too busy, only what does no harm if it is done twice.

    Raises:
        NodegraphError: Why nothing comes of it.
    """
    trouble = Trouble(retries, retries.seconds)
    reaching = Trouble(retries, retries.connecting)
    was_lost = False
    while True:
        try:
            answer = yield from exchanged(Exchange(call.request))
        except NotReachable:
            wait = reaching.delay()
            if wait is None:
                raise
            yield Pause(wait)
        except ConnectionLost as error:
            wait = trouble.delay() if call.is_repeatable else None
            if wait is None:
                raise _given_up(call, error) from error
            was_lost = True
            yield Pause(wait)
        else:
            is_done = 200 <= answer.status < 300 or (was_lost and answer.status == call.done_before)
            if is_done:
                return call.read(answer)
            wait = _after_refusal(answer, call.is_repeatable, trouble)
            if wait is None:
                raise error_of(answer)
            yield Pause(wait)


def exchanged(exchange: Exchange) -> Steps[Answer]:
    """The answer to one request, whatever it is."""
    return cast(Answer, (yield exchange))


def _given_up(call: Call[T], error: ConnectionLost) -> ConnectionLost:
    if call.request.method == "GET":
        return error
    hint = "What was asked for may have been done all the same."
    return ConnectionLost(error.problem.message, hint=hint)


def _after_refusal(answer: Answer, is_repeatable: bool, trouble: Trouble) -> float | None:
    if answer.status not in PASSING or not is_repeatable:
        return None
    return trouble.delay(answer.retry_after)


def paged(make: Paged[Call[Page[T]]], retries: Retries, most: int | None = None) -> Steps[None]:
    """Tells the items of a list that comes in parts, up to so many."""
    cursor: str | None = None
    left = most
    while True:
        page = yield from sent(make(cursor), retries)
        items = page.items if left is None else page.items[:left]
        if items:
            yield Tell(items)
        left = None if left is None else left - len(items)
        cursor = page.next
        if cursor is None or left == 0:
            return


def gathered(call: Call[Page[T]], retries: Retries) -> Steps[tuple[T, ...]]:
    """The items of a list that comes as a whole."""
    return (yield from sent(call, retries)).items
