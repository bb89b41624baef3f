"""Update the lists and figures of the shipped model in docs/model-card.md.

python docs/generate_model_card.py

This script writes the parts between `<!-- NAME -->` and `<!-- end -->`. The rest is handwritten.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/model-card.md"
EMBEDDED = ROOT / "nodegraph/families/embedded"
OBJECTS = ROOT / "training/objects.json"
_WIDTH = 104


def card() -> str:
    """The whole page."""
    text = TARGET.read_text(encoding="utf-8")
    for name, write in _PARTS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", flags=re.S)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"{TARGET.name} needs one part <!-- {name} --> … <!-- end -->")
        made = write().strip()
        text = pattern.sub(lambda found, made=made: f"{found[1]}{made}\n{found[2]}", text)
    return text


def _objects() -> str:
    rows = sorted(json.loads(OBJECTS.read_text()), key=lambda row: row["category"])
    parts = []
    for category, members in groupby(rows, key=lambda row: row["category"]):
        names = [_names(row) for row in members]
        parts.append(fill(f"**{category}** ({len(names)}): {'; '.join(names)}.", _WIDTH))
    return "\n\n".join(parts)


def _names(row: dict[str, Any]) -> str:
    others = ", ".join(row.get("synonyms", ()))
    return f"{row['name']} ({others})" if others else str(row["name"])


def _colors() -> str:
    found = [item for item in _trained_objects() if item.tints]
    groups = []
    for hue, members in groupby(sorted(found, key=lambda item: item.hue), lambda item: item.hue):
        names = [f"{item.plain_names[0]} ({item.held_out})" for item in members]
        groups.append(fill(f"Mostly {hue}: {', '.join(names)}.", _WIDTH))
    return "\n\n".join(groups)


def _trained_objects() -> list[Any]:
    sys.path.insert(0, str(ROOT))
    try:
        from training.objects import load_objects
    finally:
        sys.path.pop(0)
    return load_objects(OBJECTS)


def _figures() -> str:
    sys.path.insert(0, str(ROOT))
    try:
        from training.report import markdown
    finally:
        sys.path.pop(0)
    return markdown(_record(EMBEDDED / "tiny")["figures"])


def _companions() -> str:
    rows = ["| Folder | Size | Bars reached |", "| --- | --- | --- |"]
    for path in sorted(EMBEDDED.glob("**/train.json")):
        record = _record(path.parent)
        if "companion" in record:
            place = path.parent.relative_to(EMBEDDED).as_posix()
            bars = "; ".join(_bar(bar, record["figures"]) for bar in record["bars"])
            rows.append(f"| `{place}` | {record['bytes'] / 1e6:.2f} MB | {bars} |")
    return "\n".join(rows)


def _bar(bar: dict[str, Any], figures: dict[str, float]) -> str:
    limits = [
        f"{word} {bar[key]:g}"
        for key, word in (("least", "at least"), ("most", "at most"))
        if bar[key] is not None
    ]
    return f"{bar['figure'].replace('_', ' ')} {figures[bar['figure']]:g} ({', '.join(limits)})"


def _record(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "train.json").read_text())
    return record


_PARTS: dict[str, Callable[[], str]] = {
    "objects": _objects,
    "colors": _colors,
    "figures": _figures,
    "companions": _companions,
}

if __name__ == "__main__":
    TARGET.write_text(card(), encoding="utf-8")
