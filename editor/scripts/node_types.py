"""Bring what the tests of the editor know of the built-in nodes up to date.

Run it in the folder editor: PYTHONPATH=.. python scripts/node_types.py
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.server.hosting import hosted, read_packs

TARGET = Path("src/model/fixtures/nodeTypes.json")


def main() -> None:
    known = json.loads(TARGET.read_text(encoding="utf-8"))
    with TemporaryDirectory() as folder:
        home = Path(folder)
        read_packs(home)
        with hosted(home) as server:
            answer = server.client.get("node-types").raise_for_status().json()
    made = {item["type"]: item for item in answer["items"]}
    for item in made.values():
        del item["inputs_schema"]  # of its inputs once more, which the editor doesn't look at
        item["example"] = None  # tests bring their own
    items = [made[item["type"]] for item in known["items"] if item["type"] in made]
    usage = usage_among(answer["usage"], {item["type"] for item in items})
    text = json.dumps(
        {"items": items, "port_types": answer["port_types"], "usage": usage}, indent=2
    )
    TARGET.write_text(f"{text}\n", encoding="utf-8")


def usage_among(usage: dict[str, Any], types: Collection[str]) -> dict[str, Any]:
    """How some node types are used among themselves: the others are hundreds."""
    return {
        "types": {name: count for name, count in usage["types"].items() if name in types},
        "links": {
            source: among
            for source, targets in usage["links"].items()
            if source.partition(".")[0] in types
            and (
                among := {
                    target: counts
                    for target, counts in targets.items()
                    if target.partition(".")[0] in types
                }
            )
        },
    }


if __name__ == "__main__":
    main()
