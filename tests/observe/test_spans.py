"""Runs as OpenTelemetry spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.observe.conftest import Told

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Tracer

pytest.importorskip("opentelemetry.sdk", reason="needs the extra: pip install 'nodegraph[otel]'")


class Exported:
    """A tracer, and what it has exported."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._memory = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._memory))
        self.tracer: Tracer = provider.get_tracer("test")

    @property
    def spans(self) -> dict[Any, ReadableSpan]:
        """By call; the run's by its title."""
        return {
            (span.attributes or {}).get("nodegraph.call", span.name): span
            for span in self._memory.get_finished_spans()
        }


@pytest.fixture
def exported() -> Exported:
    return Exported()


def told(exported: Exported) -> Told:
    from nodegraph.observe.spans import SpanListener

    return Told(SpanListener(exported.tracer, title="fox"))


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_a_run_is_a_span_with_its_calls_below(exported: Exported) -> None:
    tell = told(exported)
    tell(0.0, "job.started", nodes=2, targets=["decode"])
    tell(0.1, "node.started", "sample", type="Sample", lane="cuda:0")
    tell(0.6, "call.ended", "sample", seconds=0.5, lane="cuda:0")
    tell(0.6, "node.finished", "sample", seconds=0.5, calls=1, cached=0)
    tell(0.6, "node.started", "decode[0]", type="Decode", lane="cuda:0")
    tell(0.7, "node.started", "decode[1]", type="Decode", lane="cuda:0")
    tell(0.8, "call.ended", "decode[0]", seconds=0.2, lane="cuda:0")
    tell(0.9, "call.ended", "decode[1]", seconds=0.2, lane="cuda:0")
    tell(0.9, "node.finished", "decode", seconds=0.4, calls=2, cached=0)
    tell(0.9, "job.finished", seconds=0.9)
    spans = exported.spans
    assert set(spans) == {"nodegraph run", "sample", "decode[0]", "decode[1]"}
    run, sample = spans["nodegraph run"], spans["sample"]
    assert run.context is not None
    assert sample.parent is not None
    assert sample.parent.span_id == run.context.span_id
    assert (sample.name, seconds(sample)) == ("Sample", pytest.approx(0.5))
    assert seconds(run) == pytest.approx(0.9)
    assert seconds(spans["decode[0]"]) == pytest.approx(0.2)
    assert (spans["decode[1]"].attributes or {})["nodegraph.node"] == "decode"
    assert (sample.attributes or {})["nodegraph.lane"] == "cuda:0"
    assert dict(run.attributes or {}) == {
        "nodegraph.nodes": 2,
        "nodegraph.status": "finished",
        "nodegraph.title": "fox",
    }


def test_a_failure_stands_on_the_call_and_on_the_run(exported: Exported) -> None:
    tell = told(exported)
    tell(0.0, "job.started", nodes=1)
    tell(0.1, "node.started", "make[0]", type="Make", lane="cpu")
    tell(0.2, "call.ended", "make[0]", seconds=0.1, lane="cpu")
    tell(0.2, "node.started", "make[1]", type="Make", lane="cpu")
    tell(0.3, "call.ended", "make[1]", seconds=0.1, lane="cpu")
    tell(0.3, "node.failed", "make", message="it broke", given="a secret prompt")
    tell(0.3, "job.failed", seconds=0.3)
    spans = exported.spans
    assert spans["make[0]"].status.is_unset
    assert not spans["make[1]"].status.is_ok
    assert spans["make[1]"].status.description == "it broke"
    assert spans["nodegraph run"].status.status_code.name == "ERROR"
    assert not any("secret" in span.to_json() for span in spans.values())


def test_a_cancelled_run_leaves_no_span_open(exported: Exported) -> None:
    tell = told(exported)
    tell(0.0, "job.started", nodes=2)
    tell(0.1, "node.started", "sample", type="Sample", lane="cpu")
    tell(0.2, "nodes.cached", nodes=["load"], source="memory")
    tell(0.4, "job.cancelled", seconds=0.4)
    spans = exported.spans
    assert seconds(spans["sample"]) == pytest.approx(0.3)
    assert (spans["nodegraph run"].attributes or {})["nodegraph.status"] == "cancelled"
    assert [event.name for event in spans["nodegraph run"].events] == ["nodes cached"]


def test_runs_have_spans_one_after_the_other(exported: Exported) -> None:
    tell = told(exported)
    for _ in range(2):
        tell(0.0, "job.started", nodes=0)
        tell(0.1, "job.finished", seconds=0.1)
    assert len(exported.spans) == 1  # both of that title
    assert len(exported._memory.get_finished_spans()) == 2


def test_the_span_around_the_run_is_its_parent(exported: Exported) -> None:
    tell = told(exported)
    with exported.tracer.start_as_current_span("request") as around:
        tell(0.0, "job.started", nodes=0)
        tell(0.1, "job.finished", seconds=0.1)
    parent = exported.spans["nodegraph run"].parent
    assert parent is not None
    assert parent.span_id == around.get_span_context().span_id
