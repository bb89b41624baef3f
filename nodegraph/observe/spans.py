"""Runs as OpenTelemetry spans: one for the run, one below it for each call.

Needs the extra: ``pip install 'nodegraph[otel]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time_ns
from typing import TYPE_CHECKING

from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from nodegraph.core.events import Event
from nodegraph.observe.progress import node_of

if TYPE_CHECKING:
    from opentelemetry.context import Context

Attribute = str | bool | int | float


class SpanListener:
    """A listener for one run after another; hand it to `Session.run` or `Engine.run`.

    The run's span is a child of the span that is current where the run starts. Inputs and outputs
    of nodes are no attributes: prompts and images stay in the process.

    Args:
        tracer: Makes the spans, such as ``opentelemetry.trace.get_tracer("nodegraph")``.
        title: What is run; an attribute of the run's span.
    """

    def __init__(self, tracer: Tracer, *, title: str = "") -> None:
        self._tracer = tracer
        self._title = title
        self._run: Span | None = None
        self._context: Context | None = None
        self._start = 0
        self._open: dict[str, Span] = {}
        self._ended: dict[str, tuple[Span, int]] = {}
        self._calls: dict[str, list[str]] = {}

    def __call__(self, event: Event) -> None:
        show = _SHOWN.get(event.kind)
        if show is not None and (self._run is not None or event.kind == "job.started"):
            show(self, event)

    def _run_started(self, event: Event) -> None:
        self._start = time_ns() - int(event.seconds * 1e9)
        attributes = _attributes(event)
        if self._title:
            attributes["nodegraph.title"] = self._title
        self._run = self._tracer.start_span(
            "nodegraph run", start_time=self._start, attributes=attributes
        )
        self._context = set_span_in_context(self._run)

    def _run_ended(self, event: Event) -> None:
        assert self._run is not None
        for node in tuple(self._calls):
            self._end_calls(node, self._time(event))
        status = event.kind.partition(".")[2]
        self._run.set_attribute("nodegraph.status", status)
        if status == "failed":
            self._run.set_status(Status(StatusCode.ERROR))
        self._run.end(self._time(event))
        self._run = self._context = None

    def _add_run_event(self, event: Event) -> None:
        assert self._run is not None
        name = event.kind.replace(".", " ")
        self._run.add_event(name, _attributes(event), timestamp=self._time(event))

    def _call_started(self, event: Event) -> None:
        call = event.node or ""
        node = node_of(call)
        if call in self._open:  # it is tried once more
            self._open.pop(call).end(self._time(event))
        elif call not in self._ended:
            self._calls.setdefault(node, []).append(call)
        attributes: dict[str, Attribute] = {"nodegraph.node": node, "nodegraph.call": call}
        span = self._tracer.start_span(
            str(event.data.get("type") or node),
            context=self._context,
            start_time=self._time(event),
            attributes={**attributes, **_attributes(event)},
        )
        self._open[call] = span

    def _call_ended(self, event: Event) -> None:
        # Held until its node has ended: only that tells whether it went well.
        call = event.node or ""
        span = self._open.pop(call, None)
        if span is not None:
            span.set_attributes(_attributes(event))
            if "error" in event.data:
                span.set_status(Status(StatusCode.ERROR, str(event.data["error"])))
            self._ended[call] = span, self._time(event)

    def _add_call_event(self, event: Event) -> None:
        span = self._open.get(event.node or "", self._run)
        assert span is not None
        name = event.kind.partition(".")[2] or event.kind
        span.add_event(name, _attributes(event), timestamp=self._time(event))

    def _node_ended(self, event: Event) -> None:
        self._end_calls(event.node or "", self._time(event))

    def _node_failed(self, event: Event) -> None:
        node = event.node or ""
        calls = self._calls.get(node)
        if calls:
            # A node fails with the first of its calls that does, after which none is begun.
            ended = [call for call in calls if call in self._ended]
            span = self._ended[ended[-1]][0] if ended else self._open[calls[-1]]
            span.set_status(Status(StatusCode.ERROR, str(event.data.get("message", ""))))
        else:
            assert self._run is not None
            self._run.add_event(
                "node failed",
                {"nodegraph.node": node, **_attributes(event)},
                timestamp=self._time(event),
            )
        self._end_calls(node, self._time(event))

    def _end_calls(self, node: str, now: int) -> None:
        for call in self._calls.pop(node, ()):
            running = self._open.pop(call, None)
            span, end = (running, now) if running is not None else self._ended.pop(call)
            span.end(end)

    def _time(self, event: Event) -> int:
        """Unix time in nanoseconds."""
        return self._start + int(event.seconds * 1e9)


def _attributes(event: Event) -> dict[str, Attribute]:
    """What an event tells, as far as it is a plain value and no node's input."""
    return {
        f"nodegraph.{key}": value
        for key, value in event.data.items()
        if isinstance(value, (str, bool, int, float)) and key != "given"
    }


_SHOWN: Mapping[str, Callable[[SpanListener, Event], None]] = {
    "job.started": SpanListener._run_started,
    "job.finished": SpanListener._run_ended,
    "job.failed": SpanListener._run_ended,
    "job.cancelled": SpanListener._run_ended,
    "job.paused": SpanListener._add_run_event,
    "job.resumed": SpanListener._add_run_event,
    "nodes.cached": SpanListener._add_run_event,
    "node.started": SpanListener._call_started,
    "call.ended": SpanListener._call_ended,
    "node.restored": SpanListener._add_call_event,
    "node.retried": SpanListener._add_call_event,
    "node.wrote": SpanListener._add_call_event,
    "log": SpanListener._add_call_event,
    "node.finished": SpanListener._node_ended,
    "node.skipped": SpanListener._node_ended,
    "node.failed": SpanListener._node_failed,
}
