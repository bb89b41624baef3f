"""The example packs: their own tests pass, and those with needs of their own can be installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings
from nodegraph.packs.installation.installed import installed_here
from tests.packs.installing import operations

PACKS = Path(__file__).parents[2] / "examples" / "packs"
WHEELS = Path(__file__).with_name("wheels")
"""Filled by CI, as these tests need no network."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grain", "spectra", "steps", "tones"])
def test_the_tests_of_an_example_pack_pass(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    result = subprocess.run(command, cwd=PACKS / name, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]


@pytest.fixture
def example_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip and uv take packages from `WHEELS`, and from nowhere else."""
    if not any(WHEELS.glob("*.whl")):
        folder = "tests/packs/wheels"
        pytest.skip(f"{folder} is empty: run `pip download -d {folder} -r {folder}.txt`")
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(WHEELS))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))


def output(home: Path, workflow: dict[str, Any], target: str) -> Any:
    """What an output gives with the packs that are installed in a home."""
    with Session(Settings(home=home), packs=installed_here(home)) as session:
        assert not session.registry.problems
        result = session.run(workflow, targets=[target.partition(".")[0]])
    assert not result.errors
    return result.outputs[target]


@pytest.mark.slow
@pytest.mark.usefixtures("example_wheels")
def test_a_pack_with_a_dependency_of_its_own_runs(tmp_path: Path) -> None:
    operations(tmp_path).add(str(PACKS / "phrases"))
    (pack,) = installed_here(tmp_path)
    assert pack.isolation is not None
    inputs = {"subject": "mouse", "count": 12}
    nodes = {"prompt": {"type": "phrases:CountedPrompt", "inputs": inputs}}
    workflow = {"format": "nodegraph/1", "nodes": nodes}
    assert output(tmp_path, workflow, "prompt.text") == "twelve mice"


@pytest.mark.slow
@pytest.mark.usefixtures("example_wheels")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="numpy 1 has no builds for this Python")
def test_packs_with_two_versions_of_numpy_work_in_one_workflow(tmp_path: Path) -> None:
    for name in ("numpy_one", "numpy_two"):
        operations(tmp_path).add(str(PACKS / "numpy_pair" / name))
    workflow = json.loads((PACKS / "numpy_pair" / "pair.json").read_text())
    assert output(tmp_path, workflow, "green.image").shape == (1, 64, 96, 3)
    (one,) = (pack for pack in installed_here(tmp_path) if pack.name == "numpy_one")
    assert one.isolation is not None
    code = "import numpy; print(numpy.__version__)"
    command = [one.isolation.python, "-c", code]
    assert subprocess.check_output(command, text=True).startswith("1.26")
