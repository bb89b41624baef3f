"""What is made from something else is current: types, tables, and what is packed into the wheel."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest

from docs.generate_schema import FILE, schema
from tests.server.hosting import hosted, read_packs

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
EDITOR = ROOT / "editor"
FIXTURES = EDITOR / "src" / "model" / "fixtures"
STATIC = ROOT / "nodegraph" / "server" / "static"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_the_editor_knows_the_types_of_the_api() -> None:
    assert FILE.read_text(encoding="utf-8") == schema(), "python docs/generate_schema.py"


def test_the_editor_s_table_of_port_types_is_the_engine_s() -> None:
    made = subprocess.run(
        [sys.executable, EDITOR / "scripts" / "compat_table.py"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    known = (FIXTURES / "compat.tsv").read_text(encoding="utf-8")
    assert known == made, (
        "make it anew: python scripts/compat_table.py > src/model/fixtures/compat.tsv"
    )


def test_the_editor_s_node_types_are_the_built_in_ones(tmp_path: Path) -> None:
    read_packs(tmp_path)
    with hosted(tmp_path) as server:
        made = server.client.get("node-types").raise_for_status().json()
    known = json.loads((FIXTURES / "nodeTypes.json").read_text(encoding="utf-8"))
    for item in made["items"]:
        del item["inputs_schema"]  # of its inputs once more, which the editor doesn't look at
        item["example"] = None  # tests of the editor bring their own
    assert known["port_types"] == made["port_types"], "make it anew: python scripts/node_types.py"
    types = {item["type"] for item in known["items"]}
    scripts = runpy.run_path(str(EDITOR / "scripts" / "node_types.py"))
    used = scripts["usage_among"](made["usage"], types)
    assert known["usage"] == used, "make it anew: python scripts/node_types.py"
    # One that is new needn't be there: the editor learns of it from the server.
    made_of = {item["type"]: item for item in made["items"]}
    other = [item["type"] for item in known["items"] if item != made_of.get(item["type"])]
    assert other == [], "make it anew: python scripts/node_types.py"


def test_the_editor_s_sizes_of_families_are_their_own() -> None:
    script = runpy.run_path(str(EDITOR / "scripts" / "family_sizes.py"))
    known = json.loads((EDITOR / script["TARGET"]).read_text(encoding="utf-8"))
    assert known == json.loads(script["family_sizes"]()), "python scripts/family_sizes.py"


def test_all_that_was_built_is_in_the_wheel() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["nodegraph"]
    package = STATIC.parents[1]
    files = [path.relative_to(package) for path in STATIC.rglob("*") if path.is_file()]
    assert PurePosixPath("server/static/index.html") in map(PurePosixPath, files)
    for path in files:
        assert any(_matches(path.as_posix(), pattern) for pattern in patterns), path


def test_all_that_the_page_loads_first_was_built() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    names = [part.partition('"')[0] for part in page.split('"./assets/')[1:]]
    assert names
    for name in names:
        assert (STATIC / "assets" / name).is_file()


def _matches(path: str, pattern: str) -> bool:
    """Whether a file is meant, as setuptools sees it: ``**`` goes through folders."""
    return fnmatchcase(path, pattern.replace("**/*", "*"))
