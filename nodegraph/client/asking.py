"""What all parts of a client do: ask the server one thing."""

from __future__ import annotations

from typing import TypeVar

from nodegraph.client.blocking import Blocking
from nodegraph.client.calls import Call
from nodegraph.client.retries import Retries
from nodegraph.client.sending import sent

T = TypeVar("T")


class Asks:
    """A part of a client."""

    def __init__(self, doer: Blocking, retries: Retries) -> None:
        self._doer = doer
        self._retries = retries

    def _asked(self, call: Call[T]) -> T:
        return self._doer.done(sent(call, self._retries))
