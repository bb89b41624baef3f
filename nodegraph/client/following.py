"""Following what happens to jobs, over connections that may break.

Events have numbers. Whoever comes back says up to which one they know, and so misses none and is
told none twice. Where no websocket can be had, the events are asked for every now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nodegraph.client.ends import Ends, IsOver
from nodegraph.client.errors import (
    PASSING,
    ConnectionLost,
    NotReachable,
    ServerError,
    UnexpectedAnswer,
)
from nodegraph.client.job_calls import events
from nodegraph.client.problems import error_in
from nodegraph.client.reading import converted
from nodegraph.client.retries import NEVER, Deadline, Retries, Trouble
from nodegraph.client.sending import sent
from nodegraph.client.shapes import Event, EventPage
from nodegraph.client.steps import Hear, Open, Pause, Say, SocketRefused, Steps, Tell
from nodegraph.errors import NodegraphError

_OPEN_SECONDS = 10.0
_SILENCE = 45.0
"""Seconds without a sign of life, if the server doesn't say how often it gives one."""
_BEYOND = 1 << 62
"""A number that no event has."""
_FIRST_POLL, _SLOWEST_POLL = 0.2, 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be followed.

    Attributes:
        jobs: Their ids; None for all that one may see, without an end.
        after: Number of the last event that is known; None for all events of the jobs, but only
            new ones of all jobs.
        live: Whether progress is wanted.
        previews: Whether previews are.
    """

    jobs: tuple[str, ...] | None = None
    after: int | None = None
    live: bool = True
    previews: bool = False


class Following:
    """Follows jobs until they have ended.

    Args:
        is_over: Whether a job has.
        tells: Whether the events are handed out.
    """

    def __init__(
        self,
        wanted: Wanted,
        retries: Retries,
        deadline: Deadline,
        *,
        is_over: IsOver | None = None,
        tells: bool = True,
    ) -> None:
        self._wanted = wanted
        self._retries = retries
        self._deadline = deadline
        self._ends = Ends(wanted.jobs, is_over)
        self._tells = tells
        self._last = 0 if wanted.after is None and wanted.jobs is not None else wanted.after
        if wanted.after is not None:
            # They may have ended before what is asked for, and would never be heard of.
            self._ends.doubt()
        # A server that never answered is rather a wrong address than one that starts anew.
        self._trouble = Trouble(retries, retries.connecting)
        self._is_met = False
        self._polls = self._has_doubts = self._is_answering = False

    def steps(self) -> Steps[None]:
        """Tells the events, until all jobs have ended.

        Raises:
            NodegraphError: They can't be followed any more.
            TookTooLong: The deadline has passed.
        """
        while True:
            try:
                yield from self._look()
                if self._ends.is_done:
                    return
                if self._polls:
                    yield from self._poll()
                elif self._has_doubts:
                    yield from self._page()
                    self._is_answering, self._has_doubts = True, False
                else:
                    yield from self._listen()
            except (NotReachable, ConnectionLost, SocketRefused, ServerError) as error:
                yield from self._bear(error)

    # A websocket.

    def _listen(self) -> Steps[None]:
        self._has_doubts = True  # until the server has said something
        yield Open(self._deadline.bound(_OPEN_SECONDS))
        welcome = yield from self._heard(_OPEN_SECONDS)
        if welcome.get("type") != "welcome":
            raise _nonsense(welcome)
        self._has_doubts = self._is_answering = False
        self._meet()
        silence = welcome.get("silence")
        yield Say(self._subscription())
        while not self._ends.is_done:
            bearable = silence if isinstance(silence, (int, float)) else _SILENCE
            message = yield from self._heard(bearable)
            yield from self._take(message)

    def _subscription(self) -> dict[str, Any]:
        wanted = self._wanted
        found: dict[str, Any] = {"type": "subscribe", "id": 1}
        if wanted.jobs is not None:
            found["jobs"] = sorted(self._ends.left)
        if self._last is not None:
            found["after"] = self._last
        return {**found, "live": wanted.live, "previews": wanted.previews}

    def _heard(self, seconds: float) -> Steps[Mapping[str, Any]]:
        found = yield Hear(self._deadline.bound(seconds))
        if found is None:
            self._deadline.bound(seconds)
            raise ConnectionLost("nothing was heard of the server for too long")
        return cast(Mapping[str, Any], found)

    def _take(self, message: Mapping[str, Any]) -> Steps[None]:
        kind = message.get("type")
        if kind == "events":
            found, last = _events_in(message)
            yield from self._hand_out(found, last)
        elif kind == "heartbeat":
            self._trouble.is_over()
            yield Say({"type": "heartbeat"})
        elif kind == "reply":
            result = message.get("result", {})
            if result.get("reset"):
                yield from self._start_over(int(result["after"]))
            elif self._last is None:
                self._last = result.get("after")
        elif kind == "error":
            problem = message.get("problem", {})
            raise error_in(problem, status=int(problem.get("status", 500)))
        elif kind == "ended":
            raise ConnectionLost("the server has ended the subscription")

    # Without one.

    def _poll(self) -> Steps[None]:
        wait = _FIRST_POLL
        while not self._ends.is_done:
            if (yield from self._page()):
                wait = _FIRST_POLL
            if not self._ends.is_done:
                yield Pause(self._deadline.bound(wait))
            wait = min(wait * 2, _SLOWEST_POLL)

    def _page(self) -> Steps[bool]:
        """Hand out what has happened; whether anything has."""
        self._deadline.bound(1.0)
        if self._last is None:
            newest = yield from sent(events(_BEYOND, limit=1), NEVER)
            self._last = newest.last
        pages: list[EventPage] = []
        jobs: list[str] | list[None] = sorted(self._ends.left) or [None]
        for job in jobs:
            pages.append((yield from sent(events(self._last, job), NEVER)))
        # Beyond the shortest of them, others may have more to tell.
        last = min(page.last for page in pages)
        found = [each for page in pages for each in page.items if (each.seq or 0) <= last]
        found.sort(key=lambda event: event.seq or 0)
        self._meet()
        self._trouble.is_over()
        if last < self._last:
            yield from self._start_over(last)
        yield from self._hand_out(found, last)
        return bool(found)

    # Both.

    def _hand_out(self, found: Sequence[Event], last: int) -> Steps[None]:
        known = self._last or 0
        new: list[Event] = []
        for event in found:
            if event.seq is None:
                new.append(event)
            elif event.seq > known:
                known = event.seq
                new.append(event)
                self._ends.see(event)
        self._last = max(known, last)
        if new:
            self._trouble.is_over()
            if self._tells:
                yield Tell(new)
        yield from self._look()

    def _start_over(self, last: int) -> Steps[None]:
        """The server's history is another one than before: what ended then isn't told any more."""
        self._last = last
        self._ends.doubt()
        yield from self._look()

    def _look(self) -> Steps[None]:
        yield from self._ends.look(self._last or 0)

    def _meet(self) -> None:
        if not self._is_met:
            self._is_met = True
            self._trouble = Trouble(self._retries, self._retries.following)

    def _bear(self, error: NodegraphError) -> Steps[None]:
        """Wait before the next attempt, if there is any sense in one.

        Raises:
            NodegraphError: There is none.
        """
        wanted: float | None = None
        if isinstance(error, SocketRefused):
            wanted = error.retry_after
            if error.status not in PASSING:
                self._polls = True  # what may be wrong otherwise comes to light there
                return
        elif isinstance(error, ServerError):
            wanted = error.retry_after
            if not error.is_passing:
                raise error
        if self._has_doubts and self._is_answering:
            # Requests are answered, and websockets aren't.
            self._polls = True
            return
        wait = self._trouble.delay(wanted)
        if wait is None:
            raise error
        yield Pause(self._deadline.bound(wait))


def _events_in(message: Mapping[str, Any]) -> tuple[list[Event], int]:
    try:
        found = [converted(Event, each) for each in message["events"]]
        return found, int(message["last"])
    except (KeyError, TypeError, ValueError) as error:
        raise _nonsense(message) from error


def _nonsense(message: Mapping[str, Any]) -> UnexpectedAnswer:
    return UnexpectedAnswer(
        "a message of the server isn't understood",
        given=ascii(message.get("type"))[:80],
        hint="The server may be one of another version.",
    )
