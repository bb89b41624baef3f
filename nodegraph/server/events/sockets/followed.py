"""The subscriptions of one connection."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from nodegraph.errors import NodegraphError
from nodegraph.server.access.caller import Caller
from nodegraph.server.events.hub import Subscription
from nodegraph.server.events.sockets.requests import Subscribe
from nodegraph.server.events.sockets.rules import SocketRules
from nodegraph.server.http.errors import NotFound, Unprocessable
from nodegraph.server.services import Services
from nodegraph.server.workflows.jobs_access import seen

_QUICK = 20
"""Jobs that are looked up on the event loop."""


class Followed:
    """What a client follows, by name.

    Args:
        overrun: Is called when events come too fast for the client.
    """

    def __init__(
        self,
        services: Services,
        caller: Caller,
        rules: SocketRules,
        overrun: Callable[[NodegraphError], None],
    ) -> None:
        self._services = services
        self._caller = caller
        self._rules = rules
        self._overrun = overrun
        self._names = map(str, count(1))
        self._open: dict[str, Subscription] = {}

    async def begin(self, wanted: Subscribe) -> tuple[str, Subscription]:
        """Follow jobs; the subscription and its name.

        Raises:
            JobNotFound: One that the caller may not see, or that isn't there.
            Unprocessable: There are too many.
        """
        _check(len(wanted.jobs or ()), self._rules.jobs, "jobs in one subscription")
        jobs = wanted.jobs or []
        look = self._services.from_queue if len(jobs) > _QUICK else self._services.looks.give
        await look(self._look_up, jobs)
        hub, after = self._services.hub, wanted.after
        after = None if after is None else await hub.known(after)
        _check(len(self._open) + 1, self._rules.subscriptions, "subscriptions at a time")
        subscription = hub.subscribe(
            wanted.jobs,
            client=self._caller.only_client,
            after=after,
            live=wanted.live,
            previews=wanted.previews,
            overrun=self._overrun,
        )
        name = next(self._names)
        self._open[name] = subscription
        return name, subscription

    def _look_up(self, jobs: list[str]) -> None:
        for job in jobs:
            seen(self._services, self._caller, job)

    def end(self, name: str) -> None:
        """Follow them no more.

        Raises:
            NotFound: There is no such subscription.
        """
        found = self._open.pop(name, None)
        if found is None:
            raise NotFound("there is no such subscription", given=name)
        found.close()

    def forget(self, name: str) -> None:
        """Close a subscription if it is open."""
        if name in self._open:
            self.end(name)

    def close(self) -> None:
        """End all."""
        for name in list(self._open):
            self.end(name)


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise Unprocessable(f"too many {what}", given=str(count), expected=f"at most {most}")
