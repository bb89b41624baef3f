"""What the docs show runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from docs.generate import OF_PICTURES, SCRIPTS
from nodegraph.cli import main
from nodegraph.packs.editor_scripts import PackScript
from nodegraph.packs.pack import installed_packs, pack_at
from nodegraph.packs.registry import Registry

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> list[str]:
    """The Python examples of a page that declare nodes or types."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)
    return [block for block in found if "@node" in block or "@port_type" in block]


EXAMPLES = [
    pytest.param(block, id=f"{page}-{at}")
    for page in ("README.md", "docs/nodes.md")
    for at, block in enumerate(blocks(page))
]


def test_one_command_makes_all_that_is_made_of_the_code() -> None:
    scripts = {
        path.stem.removeprefix("generate_") for path in (ROOT / "docs").glob("generate_*.py")
    }
    assert scripts == {*SCRIPTS, *OF_PICTURES}


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_is_a_pack_that_loads(tmp_path: Path, block: str) -> None:
    # Example packs share the import namespace of the process, so each needs a name of its own.
    file = tmp_path / f"example_{abs(hash(block))}.py"
    file.write_text(block, encoding="utf-8")
    registry = Registry([pack_at(file)])
    # One shows a class alone, as a port type.
    assert [said for said in registry.problems if "declares no nodes" not in said] == []
    assert ("def " in block) == bool(registry.node_types())


def test_every_script_that_is_shown_reads_like_a_module(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    scripts = re.findall(r"^```js\n(.*?)^```", text, flags=re.S | re.M)
    assert scripts
    for script in scripts:
        file = tmp_path / "shown.js"
        file.write_text(script, encoding="utf-8")
        PackScript("docs", "widgets", "shown", file).check()


def test_every_workflow_that_is_shown_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = [
        block
        for page in ("README.md", "docs/workflow-file.md")
        for block in re.findall(
            r"^```json\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M
        )
    ]
    assert shown
    for block in shown:
        file = tmp_path / "shown.json"
        file.write_text(block, encoding="utf-8")
        assert main(["validate", str(file)]) == 0, capsys.readouterr()


def test_the_page_on_nodes_has_examples() -> None:
    assert len(EXAMPLES) >= 7


def test_the_page_on_guidance_tells_of_every_guider() -> None:
    registry = Registry([pack for pack in installed_packs() if not pack.name])
    guiders = {row.type for row in registry.listing() if row.category == "sampling/guider"}
    assert guiders <= spans("docs/guidance.md")


def spans(page: str) -> set[str]:
    """What stands in back ticks on a page, but for its examples."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)))


@pytest.mark.parametrize("page", ["docs/design.md", "CONTRIBUTING.md"])
def test_every_file_and_module_that_is_named_exists(page: str) -> None:
    is_path = re.compile(r"[\w.-]*/[\w./-]*[a-z/]|[a-z_]+\.(py|ts|md|toml)").fullmatch
    is_module = re.compile(r"(nodegraph|training)(\.[a-z_]+)+").fullmatch
    named = [span for span in spans(page) if is_path(span) and not span.startswith("/")]
    named += [span.replace(".", "/") for span in spans(page) if is_module(span)]
    assert len(named) > 3
    places = (ROOT, ROOT / "nodegraph")
    assert [
        name
        for name in named
        if not any((at / name).exists() or (at / f"{name}.py").exists() for at in places)
    ] == []


def test_every_class_and_node_that_the_design_names_exists() -> None:
    folders = (ROOT / "nodegraph", ROOT / "nodes")
    sources = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    known = set(re.findall(r"\w+", "\n".join(sources)))
    named = {span for span in spans("docs/design.md") if re.fullmatch(r"[A-Z]\w*", span)}
    assert len(named) > 5
    assert named - known == set()


def test_the_design_shows_all_rooms_and_the_layers_that_are_checked() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (?:· )?`([a-z/]+)/` \|", text, flags=re.M))
    packages = {path.parent.name for path in (ROOT / "nodegraph").glob("*/__init__.py")}
    rooms = {path.parent.name for path in (ROOT / "nodegraph" / "server").glob("*/__init__.py")}
    assert rows == packages | {f"server/{room}" for room in rooms}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layers = contracts["importlinter"]["contracts"][0]["layers"]
    assert "```\n" + "\n".join(layers) + "\n```" in text


def test_every_input_that_the_recipes_name_exists() -> None:
    registry = Registry([pack for pack in installed_packs() if not pack.name])
    named = [re.fullmatch(r"([A-Z]\w+)\.([a-z_]+)", span) for span in spans("docs/training.md")]
    inputs = {match.groups() for match in named if match}
    assert len(inputs) > 20
    missing = []
    for node, port in inputs:
        spec = registry.spec(node)
        if spec is None or port not in {item.name for item in spec.inputs}:
            missing.append(f"{node}.{port}")
    assert missing == []
