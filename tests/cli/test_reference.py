"""The page of all commands is made from the commands."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_command_reference_is_current() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate_cli import TARGET, reference
    finally:
        sys.path.pop(0)
    assert TARGET.read_text(encoding="utf-8") == reference(), "run python docs/generate_cli.py"
