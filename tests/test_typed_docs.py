"""Whoever copies an example of the docs has no trouble with a type checker."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_examples_on_nodes_pass_mypy(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)
    files = [tmp_path / f"example_{at}.py" for at in range(len(found))]
    for file, block in zip(files, found, strict=True):
        file.write_text(block, encoding="utf-8")
    # By the project's own rules, which are the strict ones: what mypy knows of the project is then
    # read from its cache.
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *files], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
