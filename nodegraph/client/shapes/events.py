"""What happens to jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from nodegraph.client.shapes.description import described, example

_ENDS = frozenset({"job.finished", "job.failed", "job.cancelled"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job.

    Attributes:
        job: Its id.
        client: Whose it is.
        attempt: The job's at that time.
        kind: What happened, such as ``node.finished``; docs/websocket.md lists the kinds.
        node: The node it happened to, if any.
        seq: Its number, which grows from event to event of all jobs; None for what is of the moment
            only: progress and previews.
        after: Of such an event, the number of the last one before it.
        number: In the attempt's run; None for what the queue tells.
        at: Unix time; None of what is of the moment.
        seconds: Since the attempt's run started.
        data: What else there is to say; plain values.
    """

    __pydantic_config__ = described("EventEntry")

    job: str
    client: str
    attempt: int
    kind: Annotated[str, example("node.finished")]
    node: Annotated[str | None, example("sample")]
    data: Mapping[str, Any]
    # What is of the moment comes over websockets only, which the description leaves out.
    seq: Annotated[int | None, WithJsonSchema({"type": "integer"})] = None
    after: SkipJsonSchema[int | None] = None
    number: int | None = None
    at: Annotated[float | None, WithJsonSchema({"type": "number"})] = None
    seconds: float | None = None

    @property
    def is_live(self) -> bool:
        """Whether it is of the moment, and told to nobody who comes later."""
        return self.seq is None

    @property
    def ends_job(self) -> bool:
        """Whether the job, as it is now, has ended with it."""
        return self.kind in _ENDS

    @property
    def progress(self) -> tuple[int, int] | None:
        """Steps that are done, and of how many, if the event tells."""
        step, total = self.data.get("step"), self.data.get("total")
        if self.kind == "node.progress" and isinstance(step, int) and isinstance(total, int):
            return step, total
        return None

    @property
    def preview(self) -> tuple[bytes, str] | None:
        """A picture and its media type, if the event brings one."""
        image, mime = self.data.get("image"), self.data.get("mime")
        if self.kind == "node.preview" and isinstance(image, bytes):
            return image, str(mime)
        return None

    @property
    def plot(self) -> Mapping[str, Any] | None:
        """A plot of unfinished work, if the event brings one; docs/websocket.md has its form."""
        plot = self.data.get("plot")
        return plot if self.kind == "node.preview" and isinstance(plot, Mapping) else None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, in order.

    Attributes:
        last: Ask for those ``after`` this number next, and miss none.
        complete: Whether there were no more at that moment.
    """

    __pydantic_config__ = described("EventList")

    items: tuple[Event, ...]
    last: int
    complete: bool
