"""Everything about one node type, for reading."""

from __future__ import annotations

from collections.abc import Iterable

from nodegraph.cli.output import Part, print_table, say
from nodegraph.core.literals import describe, show
from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec

_LANES = {"gpu": "computes on the device", "cpu": "runs on the CPU", "io": "waits for files"}


def print_card(spec: NodeSpec) -> None:
    """Print what a node type takes and gives."""
    title = f"{spec.label}, " if spec.label and spec.label != spec.type else ""
    say((spec.type, "bold"), f"  {title}{spec.category or 'without a category'}")
    for line in _about(spec):
        say(line)
    _print_ports("Inputs", (_input_row(port) for port in spec.inputs))
    _print_ports("Outputs", (_output_row(port) for port in spec.outputs))
    say()
    print_table([(label, value) for label, value in _facts(spec) if value])


def _about(spec: NodeSpec) -> list[str]:
    """The docstring without the sections that the ports tell of."""
    text = spec.help.split("\n\nArgs:")[0].split("\n\nReturns:")[0].split("\n\nRaises:")[0]
    return ["", *text.splitlines()] if text else []


def _print_ports(title: str, rows: Iterable[tuple[Part, ...]]) -> None:
    found = list(rows)
    if found:
        say()
        say((title, "bold"))
        print_table(found, indent=2)


def _input_row(port: InputSpec) -> tuple[Part, ...]:
    return port.name, (port.type, "cyan"), _given(port), _details(port)


def _given(port: InputSpec) -> str:
    if port.required:
        return "required"
    if port.default is None:
        return "optional"
    return f"default {show(port.default)}"


def _details(port: InputSpec) -> str:
    notes = [port.help, _range(port)]
    if port.nullable and not port.required and port.default is not None:
        notes.append("May be null.")
    if port.lazy:
        notes.append("Evaluated only if it is needed.")
    if port.advanced:
        notes.append("(advanced)")
    return " ".join(note for note in notes if note)


def _range(port: InputSpec) -> str:
    """What a literal may be, where the type alone doesn't say it."""
    schema = port.json_schema or {}
    if port.widget == "seed":
        return ""
    if not schema.keys() & {"enum", "minimum", "maximum", "multipleOf"}:
        return ""
    words = describe(schema)
    return f"{words[0].upper()}{words[1:]}."


def _output_row(port: OutputSpec) -> tuple[Part, ...]:
    return port.name, (port.type, "cyan"), port.help


def _facts(spec: NodeSpec) -> Iterable[tuple[str, str]]:
    yield "lane", f"{spec.lane}: {_LANES[spec.lane]}"
    yield "version", str(spec.version)
    yield "pack", spec.pack or "built in"
    yield "tags", ", ".join(spec.tags)
    yield "result", _result(spec)
    yield "deprecated", spec.deprecated
    yield "experimental", "may still change" if spec.experimental else ""


def _result(spec: NodeSpec) -> str:
    if spec.output:
        return "a sink: always run"
    return "kept in the cache" if spec.deterministic else "differs from run to run, never cached"
