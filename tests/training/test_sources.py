"""What made the embedded model stays typed and linted, though not each run looks at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ["mypy", "training"],
        ["ruff", "check", "training"],
        ["ruff", "format", "--check", "training"],
    ],
    ids=lambda command: " ".join(command),
)
def test_its_own_commands_find_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
