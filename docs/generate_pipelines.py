"""Write what the source of the installed diffusers says: the table of docs/pipelines.md, and the
catalog that nodegraph ships with.

python docs/generate_pipelines.py
"""

from __future__ import annotations

import json
import lzma
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from nodegraph_pipelines.generated import declaration_lines

from nodegraph.interop.pipelines.classes import PipelineClass, PipelineInput, to_stored
from nodegraph.interop.pipelines.source import (
    SHIPPED,
    Catalog,
    pipeline_classes,
    read_catalog,
    shipped_catalog,
    shipped_declarations,
    shipped_stamp,
)

TARGET = Path(__file__).with_name("pipelines.md")
BEGIN = "<!-- table: python docs/generate_pipelines.py -->"
END = "<!-- end of the table -->"


def shipped_document(catalog: Catalog, declarations: Iterable[bytes]) -> bytes:
    """A catalog of the installed diffusers, and its node types, as the content of `SHIPPED`."""
    stamp = shipped_stamp()
    if stamp is None:
        raise SystemExit("diffusers has no list of its files: install it with pip")
    stored = (
        {"version": version("diffusers"), "stamp": stamp},
        to_stored(tuple(map(dict, catalog))),
    )
    lines = [*(json.dumps(line).encode() for line in stored), *declarations]
    return lzma.compress(b"\n".join(lines), preset=9)


UNTYPED = frozenset({"json", "any"})
"""Kinds that say nothing of what is in them."""
LINKED = frozenset({"tensor", "dataclass"})
"""Kinds that only another node gives."""


def with_table(page: str, classes: Mapping[str, PipelineClass]) -> str:
    """A page whose table, between its marks, is that of these classes."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(classes)}\n{END}{after}"


def described_version(page: str) -> str:
    """The version of diffusers that the table of a page was made of; empty if it has none."""
    _, found, after = page.partition("Of diffusers ")
    return after.partition(":")[0] if found else ""


def table(classes: Mapping[str, PipelineClass]) -> str:
    """Totals, then a row a class."""
    order = sorted(classes.values(), key=lambda found: (found.makes, found.name))
    lines = [*totals(order), "", *_HEAD, *map(_row, order), ""]
    return "\n".join(lines)


_HEAD = (
    "| class | makes | inputs: typed / shown | outputs | followed by | needs |",
    "|---|---|---|---|---|---|",
)


def totals(classes: Iterable[PipelineClass]) -> list[str]:
    """What the table says as a whole."""
    found = list(classes)
    shown = [item for one in found for item in one.inputs]
    typed, by_hand = sum(map(is_typed, shown)), sum(map(is_by_hand, shown))
    hidden = sum(len(one.hidden) for one in found)
    makes = ", ".join(f"{count} {kind}" for kind, count in Counter(_made(found)).most_common())
    kinds = Counter(item.kind for item in shown).most_common()
    return [
        f"Of diffusers {version('diffusers')}: {len(found)} classes ({makes}).",
        f"They have {len(shown) + hidden:,} parameters; {len(shown):,} are inputs of nodes.",
        f"{typed:,} inputs ({_share(typed, shown)}) have a specific type; the others take JSON.",
        f"{by_hand:,} inputs ({_share(by_hand, shown)}) take values that you type, or media.",
        "The other typed inputs take tensors or objects of other nodes.",
        "",
        "By kind: " + ", ".join(f"{kind} {count:,}" for kind, count in kinds) + ".",
    ]


def _share(part: int, whole: Sequence[PipelineInput]) -> str:
    return f"{part / max(len(whole), 1):.1%}"


def is_typed(item: PipelineInput) -> bool:
    """Whether it is known what an input is."""
    return item.kind not in UNTYPED


def is_by_hand(item: PipelineInput) -> bool:
    """Whether somebody can give it without another pipeline or code."""
    return item.kind not in UNTYPED | LINKED


def _made(classes: Iterable[PipelineClass]) -> Iterable[str]:
    return (found.makes for found in classes)


def _row(found: PipelineClass) -> str:
    typed = sum(map(is_typed, found.inputs))
    gives = ", ".join(
        f"{item.name or 'result'}: {item.kind}{' …' if item.many else ''}" for item in found.outputs
    )
    cells = (
        f"`{found.name}`",
        found.makes,
        f"{typed} / {len(found.inputs)}",
        gives,
        _FOLLOWED[found.follows],
        ", ".join(found.needs),
    )
    return f"| {' | '.join(cells)} |"


_FOLLOWED = {
    "callback_on_step_end": "steps",
    "callback": "steps (older callback)",
    "progress": "progress bar",
    "modules": "modules",
}

if __name__ == "__main__":
    catalog = shipped_catalog() or read_catalog()
    declarations = declaration_lines()
    if shipped_declarations() != declarations:
        SHIPPED.write_bytes(shipped_document(catalog, declarations))
        shipped_catalog.cache_clear()
    page = TARGET.read_text(encoding="utf-8")
    TARGET.write_text(with_table(page, pipeline_classes()), encoding="utf-8")
