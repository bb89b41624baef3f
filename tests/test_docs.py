"""What the docs show runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nodegraph.packs.pack import pack_at
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


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_is_a_pack_that_loads(tmp_path: Path, block: str) -> None:
    # Example packs share the import namespace of the process, so each needs a name of its own.
    file = tmp_path / f"example_{abs(hash(block))}.py"
    file.write_text(block, encoding="utf-8")
    registry = Registry([pack_at(file)])
    assert registry.problems == []
    assert ("def " in block) == bool(registry.node_types())


def test_the_page_on_nodes_has_examples() -> None:
    assert len(EXAMPLES) >= 7
