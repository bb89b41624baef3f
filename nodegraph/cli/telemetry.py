"""OpenTelemetry spans of runs, where the standard ``OTEL_*`` variables ask for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nodegraph.cli.output import warn

if TYPE_CHECKING:
    from nodegraph.core.events import Listener

_EXPORT_VARIABLES = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
_INSTALL = "pip install 'nodegraph[otel]'"


@contextmanager
def spans() -> Iterator[Callable[[str], Listener] | None]:
    """What makes a listener for a run of a name; None if nobody asks for spans.

    At the end of the `with`, all spans are exported.
    """
    if not _is_enabled():
        yield None
        return
    try:
        provider, finish = _provider()
    except ImportError as error:
        warn(f"the OTEL_* variables ask for spans, but there is no {error.name}: {_INSTALL}.")
        yield None
        return
    from nodegraph.observe.spans import SpanListener

    tracer = provider.get_tracer("nodegraph")
    try:
        yield lambda name: SpanListener(tracer, title=name)
    finally:
        finish()


def _is_enabled() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().casefold() == "true":
        return False
    exporters = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporters != "none" and any(os.environ.get(name) for name in _EXPORT_VARIABLES)


def _provider() -> tuple[Any, Callable[[], object]]:
    """A provider of tracers that exports where the variables say, and what ends its work.

    It is the process's own if there is one already, as under ``opentelemetry-instrument``.

    Raises:
        ImportError: The extra isn't installed, or not the exporter that is asked for.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from nodegraph.core.version import VERSION

    existing = trace.get_tracer_provider()
    if isinstance(existing, TracerProvider):
        return existing, existing.force_flush
    named = "OTEL_SERVICE_NAME" in os.environ
    own = {"service.version": VERSION, **({} if named else {"service.name": "nodegraph"})}
    provider = TracerProvider(resource=Resource.create(own))
    for name in (os.environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        provider.add_span_processor(BatchSpanProcessor(_exporter(name.strip())))
    return provider, provider.shutdown


def _exporter(name: str) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)  # stdout is for results
    from nodegraph.core.entry_points import entry_points

    known = f"otlp_proto_{_protocol()}" if name == "otlp" else name
    for point in entry_points("opentelemetry_traces_exporter"):
        if point.name == known:
            return point.load()()
    raise ImportError(f"no exporter {known}", name=f"exporter `{known}`")


def _protocol() -> str:
    text = (
        os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    return text.partition("/")[0]
