"""Packs with a process of their own, for tests."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodegraph import Session
from nodegraph.engine.result import RunResult
from nodegraph.packs.pack import Isolation, Pack, pack_at


def isolated(folder: Path, text: str, name: str = "far") -> Pack:
    """A pack of one module, whose environment is that of the tests."""
    root = folder / name
    root.mkdir(parents=True, exist_ok=True)
    (root / "__init__.py").write_text(text)
    return replace(pack_at(root), isolation=Isolation(sys.executable, "lock"))


def workflow(nodes: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """A workflow of nodes: type and inputs, by name."""
    written = {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}
    return {"format": "nodegraph/1", "nodes": written}


def run(
    session: Session, nodes: dict[str, tuple[str, dict[str, Any]]], **options: Any
) -> RunResult:
    """Run nodes; the last one is the target."""
    options.setdefault("targets", [next(reversed(nodes))])
    return session.run(workflow(nodes), **options)
