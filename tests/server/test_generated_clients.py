"""Clients that generators make of the API's description, against a server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.hosting import PATIENCE, Hosted, workflow

GENERATORS = Path(__file__).parent / "generators"
NPM = GENERATORS / "node_modules"
PYTHON = GENERATORS / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
TYPES = ["sums:Checked", "sums:Number", "sums:Show", "sums:Sum"]
CONFIG = "post_hooks: []\n"
"""Of the Python generator, which else looks for a formatter."""


def called(command: Sequence[str | Path], folder: Path) -> str:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def described(server: Hosted, folder: Path) -> Path:
    """The file of the API's description, with an app `sum` that is saved for it."""
    assert server.client.put("/workflows/sum", json=workflow()).status_code == 201
    answer = httpx.get(f"{server.url}/openapi.json", timeout=PATIENCE, trust_env=False)
    path = folder / "openapi.json"
    path.write_bytes(answer.content)
    return path


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("node") is None or not NPM.is_dir(),
    reason="npm ci --prefix tests/server/generators has not been run",
)
def test_types_of_openapi_typescript_do_for_an_app(server: Hosted, tmp_path: Path) -> None:
    description = described(server, tmp_path)
    for name in ("client.ts", "package.json"):
        shutil.copyfile(GENERATORS / name, tmp_path / name)
    (tmp_path / "node_modules").symlink_to(NPM, target_is_directory=True)
    programs = NPM / ".bin"
    called([programs / "openapi-typescript", description, "-o", "schema.d.ts"], tmp_path)
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    called([programs / "tsc", *options, "client.ts"], tmp_path)
    assert json.loads(called(["node", "client.js", server.url], tmp_path)) == {
        "upload": "apple.json",
        "job": "queued",
        "app": "sum",
        "types": TYPES,
        "refused": 404,
        "node": None,
    }


@pytest.mark.slow
@pytest.mark.skipif(
    not PYTHON.exists(),
    reason="there is no environment with tests/server/generators/requirements.txt",
)
def test_a_client_of_openapi_python_client_does_for_an_app(server: Hosted, tmp_path: Path) -> None:
    description = described(server, tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    generator: list[str | Path] = [PYTHON, "-m", "openapi_python_client", "generate"]
    options = ["--config", "config.yaml", "--meta", "none", "--output-path", "generated"]
    said = called([*generator, "--path", description, *options], tmp_path)
    assert "will not be generated" not in said
    assert "Unsupported content type" not in said
    shutil.copyfile(GENERATORS / "program.py", tmp_path / "program.py")
    found: dict[str, Any] = json.loads(called([PYTHON, "program.py", server.url], tmp_path))
    assert found == {
        "uploads": ["apple.json", "pear.json"],
        "is_the_same": True,
        "job": "queued",
        "app": ["sum", "sum"],
        "types": TYPES,
    }
