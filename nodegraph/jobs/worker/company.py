"""Which company the sampling of a worker could take: told to the server whenever that changes."""

from __future__ import annotations

from threading import Lock

from nodegraph.jobs.supervisor.messages import MergeNews
from nodegraph.jobs.worker.pipes import Outbox
from nodegraph.session.session import Session


class CompanyNews:
    """Tells how many jobs' samplings may go on at once, like the one that goes on now.

    That is as many as share batches at most, and as the device has memory for: none as long as
    nothing samples, as two kinds do, or as sharing batches was seen not to pay.
    """

    def __init__(self, session: Session, outbox: Outbox) -> None:
        self._session = session
        self._outbox = outbox
        # What is told last has to be what is so.
        self._telling = Lock()
        self._told = MergeNews(0, 0, 0)
        if session.merging is not None:
            session.merging.heard = self._tell

    def _tell(self) -> None:
        merging = self._session.merging
        assert merging is not None
        with self._telling:
            most, memory = self._most()
            news = MergeNews(most, memory, merging.merged)
            if news != self._told:
                self._told = news
                self._outbox.send(news)

    def _most(self) -> tuple[int, int]:
        """How many, and the bytes that each takes."""
        merging = self._session.merging
        at_work = [] if merging is None else merging.at_work
        if merging is None or len(at_work) != 1 or not at_work[0].may_join:
            return 0, 0
        room, memory = self._session.room(), at_work[0].memory
        if room is None or not memory:
            return 0, 0
        # Those that go on have taken theirs, or are about to: what is free now has to do for all.
        return min(merging.most, room.free // memory), memory
