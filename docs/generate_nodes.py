"""Write docs/node-reference.md from the specs of the built-in pack.

python docs/generate_nodes.py
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry

TARGET = Path(__file__).with_name("node-reference.md")
INTRODUCTION = """# Built-in nodes

Generated from signatures and docstrings by `python docs/generate_nodes.py`. The same card is
shown by `nodegraph nodes NAME`.
"""


def reference() -> str:
    """The whole page."""
    registry = Registry([pack for pack in installed_packs() if not pack.name])
    specs = [spec for name in registry.node_types() if (spec := registry.spec(name)) is not None]
    specs.sort(key=lambda spec: (spec.category, spec.type))
    parts = [INTRODUCTION]
    for category, members in groupby(specs, key=lambda spec: spec.category):
        parts.append(f"## {category}\n")
        parts.extend(_card(spec) for spec in members)
    return "\n".join(parts)


def _card(spec: NodeSpec) -> str:
    lines = [f"### {spec.type}", "", _body(spec.help), ""]
    if spec.inputs:
        lines += ["| input | type | default | |", "|---|---|---|---|"]
        lines += [_row(port) for port in spec.inputs]
        lines.append("")
    given = ", ".join(f"`{port.name}` ({_cell(port.type)})" for port in spec.outputs)
    lines += [f"Outputs: {given}" if given else "A sink: no outputs.", ""]
    return "\n".join(lines)


def _body(help_text: str) -> str:
    """The docstring without its sections, which the table shows."""
    return help_text.split("\n\nArgs:")[0].split("\n\nReturns:")[0].split("\n\nRaises:")[0]


def _row(port: InputSpec) -> str:
    default = "required" if port.required else f"`{port.default!r}`"
    limits = _limits(port)
    about = f"{port.help} {limits}".strip()
    return f"| `{port.name}` | {_cell(port.type)} | {_cell(default)} | {_cell(about)} |"


def _limits(port: InputSpec) -> str:
    schema = port.json_schema or {}
    if "enum" in schema:
        return "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
    low, high = schema.get("minimum"), schema.get("maximum")
    if port.widget == "seed" or (low is None and high is None):
        return ""
    if high is None:
        return f"At least {low}."
    return f"{low} to {high}." if low is not None else f"At most {high}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
