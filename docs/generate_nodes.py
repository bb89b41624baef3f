"""Write docs/node-reference.md and docs/reference/*.md from the specs of the built-in pack.

python docs/generate_nodes.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from nodegraph.session.examples import NodeExample, examples

TARGET = Path(__file__).with_name("node-reference.md")
FOLDER = TARGET.with_name("reference")
PICTURES = "../../nodes/examples"
INTRODUCTION = """# Built-in nodes

Generated from signatures, docstrings and examples by `python docs/generate_nodes.py`: a page for
each category, on it a card for each node type, with an image of what it does. The same is shown by
`nodegraph nodes NAME` and by the editor's help; `nodegraph new --example NAME` gives the workflow
that made the image.
"""


def pages() -> dict[Path, str]:
    """The text of each page: of all categories, and of each."""
    packs = [pack for pack in installed_packs() if not pack.name]
    registry = Registry(packs)
    specs = [spec for name in registry.node_types() if (spec := registry.spec(name)) is not None]
    specs.sort(key=lambda spec: (spec.category, spec.type))
    shown = examples(packs)
    found, index = {}, [INTRODUCTION]
    for category, group in groupby(specs, key=lambda spec: spec.category):
        members = list(group)
        page = FOLDER / f"{category.replace('/', '-')}.md"
        index.append(f"## [{category}](reference/{page.name})\n")
        index += [_line(spec, page) for spec in members]
        index.append("")
        found[page] = _page(category, members, shown)
    return {TARGET: "\n".join(index), **found}


def _line(spec: NodeSpec, page: Path) -> str:
    return f"- [{spec.type}](reference/{page.name}#{spec.type.lower()}): {spec.summary}"


def _page(category: str, specs: Sequence[NodeSpec], shown: Mapping[str, NodeExample]) -> str:
    parts = [f"# {category}\n", "All categories: [Built-in nodes](../node-reference.md).\n"]
    parts += [_card(spec, shown.get(spec.type)) for spec in specs]
    return "\n".join(parts)


def _card(spec: NodeSpec, example: NodeExample | None) -> str:
    lines = [f"## {spec.type}", "", _body(spec.help), ""]
    if example is not None and example.picture is not None:
        name = example.picture.name
        lines += [f"![What the example of {spec.type} makes]({PICTURES}/{name})", ""]
    if spec.inputs:
        lines += ["| input | type | default | |", "|---|---|---|---|"]
        lines += [_row(port) for port in spec.inputs]
        lines.append("")
    given = ", ".join(f"`{port.name}` ({_cell(port.type)})" for port in spec.outputs)
    lines += [f"Outputs: {given}" if given else "A sink: no outputs.", ""]
    if example is not None:
        file = f"{PICTURES}/{example.file.name}"
        lines += [f"Example: [{example.file.name}]({file})", ""]
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


def main() -> None:
    made = pages()
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        if old not in made:
            old.unlink()
    for page, text in made.items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
