"""The project checks itself: packaging, docs and layers say what is true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from nodegraph import api
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry

ROOT = Path(__file__).parents[1]


def test_every_package_folder_is_packaged() -> None:
    listed = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "nodegraph").rglob("__init__.py")
    }
    assert listed == folders | {"nodegraph_nodes", "nodegraph_pipelines", "nodegraph.gallery"}


def test_importing_nodegraph_imports_no_heavy_library() -> None:
    heavy = "{'torch', 'diffusers', 'transformers', 'networkx', 'numpy', 'PIL', 'asyncio'}"
    code = f"import sys, nodegraph; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


_SHARED = {
    "RunOptions": "how a run is made, and what of that comes over HTTP",
    "Subgraph": "what a workflow defines, and the value that stands for it",
}


def test_each_class_has_a_name_of_its_own() -> None:
    homes: dict[str, list[str]] = {}
    for path in [*ROOT.glob("nodegraph/**/*.py"), *ROOT.glob("nodes/**/*.py")]:
        if path.is_relative_to(ROOT / "nodegraph" / "client"):
            continue  # it uses the server's names, for the same things
        if path.parent.name == "stand_ins":
            continue  # these are named as ComfyUI's, which packs import
        for name in re.findall(r"^class ([A-Za-z]\w*)", path.read_text("utf-8"), re.MULTILINE):
            homes.setdefault(name, []).append(str(path.relative_to(ROOT)))
    shared = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert shared.keys() == _SHARED.keys(), shared


def test_the_api_lists_what_exists() -> None:
    assert sorted(api.__all__) == sorted(set(api.__all__))
    assert all(hasattr(api, name) for name in api.__all__)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry([pack for pack in installed_packs() if not pack.name])


def test_the_built_in_pack_loads_without_problems(registry: Registry) -> None:
    assert registry.problems == []


def test_every_built_in_node_is_documented(registry: Registry) -> None:
    for name in registry.node_types():
        spec = registry.spec(name)
        assert spec is not None
        assert spec.summary.endswith("."), f"{name}: no summary"
        assert spec.category, f"{name}: no category"
        bare = [port.name for port in spec.inputs if not port.help]
        assert not bare, f"{name}: no help for {bare}"


def test_the_node_reference_is_current() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate_nodes import FOLDER, TARGET, pages
    finally:
        sys.path.pop(0)
    found = {page: page.read_text(encoding="utf-8") for page in (TARGET, *FOLDER.glob("*.md"))}
    assert found == pages(), "run python docs/generate_nodes.py"


def test_the_counts_of_comfyui_s_node_types_are_current() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate_counts import PAGE, counts, page
    finally:
        sys.path.pop(0)
    text = PAGE.read_text(encoding="utf-8")
    assert counts() in text
    assert text == page(text), "run python docs/generate_counts.py"


def test_the_model_card_is_that_of_the_shipped_model() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate_model_card import TARGET, card
    finally:
        sys.path.pop(0)
    assert TARGET.read_text(encoding="utf-8") == card(), "run python docs/generate_model_card.py"


def test_links_between_the_docs_lead_somewhere() -> None:
    pages = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")]
    for page in (*pages, ROOT / "changelog" / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_fragments_become_the_next_section_of_the_changelog(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    fragments = tmp_path / "changelog"
    shutil.copytree(ROOT / "changelog", fragments)
    build = [sys.executable, "-m", "towncrier", "build", "--yes", "--version", "99.0.0"]
    (fragments / "+rings.feature.md").write_text("`DrawRings` draws rings.")

    built = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)

    assert built.returncode == 0, built.stderr  # it names a fragment of a type that there isn't
    text = (tmp_path / "CHANGELOG.md").read_text(encoding="utf-8")
    section = text[text.index("## 99.0.0") : text.index("## 0.1.0")]
    assert "### New" in section
    assert "- `DrawRings` draws rings." in section
    assert [file.name for file in fragments.iterdir()] == ["README.md"]


def test_a_fragment_of_an_unknown_type_is_refused(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "changelog").mkdir()
    (tmp_path / "changelog" / "+rings.features.md").write_text("`DrawRings` draws rings.")
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "99.0.0"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 1
    assert "+rings.features.md" in built.stdout + built.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["mypy training", "ruff check training", "ruff format --check training"],
)
def test_the_training_code_is_typed_and_formatted(command: str) -> None:
    """Plain runs of both tools leave it out; CONTRIBUTING.md says so."""
    checked = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "No Python files" not in checked.stderr  # to ruff, nothing to check is no error
