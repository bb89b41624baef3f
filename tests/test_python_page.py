"""The examples of docs/python.md and the notebook of the docs run, from first to last."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import nodegraph

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebooks" / "first.ipynb"
PATIENCE = 1200.0
"""Seconds; a process that hangs isn't waited for forever."""
STEPS = 3
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def blocks(page: str) -> list[str]:
    """The Python examples of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)


@pytest.fixture
def folder(tmp_path: Path, known_specs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the examples name in it."""
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    _copy_with_few_steps(ROOT / "workflows" / "text_to_image.json", tmp_path)
    (tmp_path / "my_pack").mkdir()
    (tmp_path / "my_pack" / "__init__.py").write_text(
        "from nodegraph import Image, node\n\n"
        "@node\ndef Blur(image: Image) -> Image:\n"
        "    return image\n"
    )
    return tmp_path


def _copy_with_few_steps(file: Path, folder: Path) -> None:
    """A workflow that makes a small, rough image: what examples show of it is the same."""
    workflow = json.loads(file.read_text(encoding="utf-8"))
    workflow["nodes"]["sample"]["inputs"]["steps"] = STEPS
    workflow["nodes"]["size"]["inputs"] |= {"width": 64, "height": 64}
    (folder / file.name).write_text(json.dumps(workflow), encoding="utf-8")


@pytest.fixture
def _shared_session(folder: Path) -> Iterator[None]:
    """What scripts share begins in the folder and ends there."""
    nodegraph.close()
    yield
    nodegraph.close()


@pytest.mark.usefixtures("_shared_session")
def test_all_examples_of_the_page_run_in_order(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = blocks("docs/python.md")
    assert len(found) > 8
    script = folder / "page.py"
    small = "\n\n".join(found).replace("width=128, height=128", "width=64, height=64")
    script.write_text(small, encoding="utf-8")
    runpy.run_path(str(script))
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err
    assert f"sample {STEPS} of {STEPS}" in printed.out


def outputs(notebook: dict[str, Any]) -> list[dict[str, str]]:
    """What each code cell shows, by media type, all of a cell put together."""
    return [_shown_by(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _shown_by(cell: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for shown in cell["outputs"]:
        # What is printed after a while is an output of its own.
        for kind, value in shown.get("data", {"text": shown.get("text")}).items():
            found[kind] = found.get(kind, "") + "".join(value)
    return found


def test_the_notebook_is_kept_without_what_it_shows() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert all(shown == {} for shown in outputs(notebook))


@pytest.mark.slow
def test_the_notebook_runs_and_shows_pictures(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", EXECUTE, NOTEBOOK, folder / "done.ipynb"],
        check=True,
        timeout=PATIENCE,
        cwd=folder,
    )
    notebook = json.loads((folder / "done.ipynb").read_text(encoding="utf-8"))
    _, graph, run, picture, latent, several, _, own, stream = outputs(notebook)
    assert "data:image/svg+xml" in "".join(graph["text/html"])
    assert "data:image/png" in "".join(run["text/html"])
    assert "image/png" in picture
    assert "<figure" in "".join(latent["text/html"])
    assert "".join(several["text/html"]).count("<figure") == 4
    assert "<figure" in "".join(own["text/html"])
    assert "k_sampler" in "".join(stream["text"])
    # The display of how far it was is a quiet line by now.
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    first = cells[2]["outputs"][0]
    assert first["output_type"] == "display_data"
    assert re.fullmatch(r"<small>\d+/\d+ nodes.*</small>", "".join(first["data"]["text/html"]))
    streams = [shown.get("name") for each in cells for shown in each["outputs"]]
    assert "stderr" not in streams
