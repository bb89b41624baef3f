"""Projects, wheels and repositories for tests of installations; nothing comes from a network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from nodegraph.packs.installation.index import PackIndexes
from nodegraph.packs.installation.installed import PackFolder
from nodegraph.packs.installation.operations import Confirm, PackOperations

INSTALLERS = [
    pytest.param(
        "uv",
        marks=pytest.mark.skipif(
            not (shutil.which("uv") or find_spec("uv")), reason="uv is not installed"
        ),
    ),
    pytest.param("pip", marks=pytest.mark.slow),  # seconds of the processor for each resolution
]

NODES = '''
from nodegraph import node
from {package}.helper import WORD


@node
def Say(text: str = "x") -> str:
    """Say a text with a word of another module."""
    return f"{{WORD}} {{text}}"
'''

COMFY = """
class Toy:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING",)}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "go"

    def go(self, text):
        return (text,)


NODE_CLASS_MAPPINGS = {"Toy": Toy, "Other": Toy}
"""


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def project(
    folder: Path,
    name: str = "speaker",
    *,
    needs: tuple[str, ...] = (),
    word: str = "hello",
    version: str = "1.0",
    more: str = "",
) -> Path:
    """A project in the src layout whose package imports itself by its own name."""
    entry = f'[project.entry-points."nodegraph.nodes"]\n{name} = "{name}.nodes"\n'
    lines = ["[project]", f'name = "{name}"', f'version = "{version}"', 'license = "MIT"']
    about = "\n".join([*lines, f"dependencies = {list(needs)}", more, entry])
    return write(
        folder / name,
        {
            "pyproject.toml": about,
            f"src/{name}/__init__.py": "",
            f"src/{name}/helper.py": f"WORD = {word!r}\n",
            f"src/{name}/nodes.py": NODES.format(package=name),
        },
    )


def comfy_project(folder: Path, name: str = "ComfyUI-Toys", **more: str) -> Path:
    """A pack in ComfyUI's form, as a repository has it."""
    files = {"__init__.py": "from .nodes import *\n", "nodes.py": COMFY}
    files |= {f"{each}.py": text for each, text in more.items() if each != "requirements"}
    if "requirements" in more:
        files["requirements.txt"] = more["requirements"]
    return write(folder / name, files)


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str] | None = None,
    *,
    needs: tuple[str, ...] = (),
    points: str = "",
) -> Path:
    """A wheel; by default of one module that knows its version."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT"]
    contents = dict({f"{name}.py": f"VERSION = {version!r}\n"} if files is None else files)
    facts = f"{name}-{version}.dist-info"
    contents |= {
        f"{facts}/METADATA": "\n".join([*about, *(f"Requires-Dist: {each}" for each in needs), ""]),
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if points:
        contents[f"{facts}/entry_points.txt"] = points
    record = [f"{inner},," for inner in [*contents, f"{facts}/RECORD"]]
    contents[f"{facts}/RECORD"] = "\n".join(record) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in contents.items():
            archive.writestr(inner, text)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, with no settings of the user."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        env={**os.environ, **settings},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(folder: Path, message: str = "Change") -> str:
    """Commit all files of a folder; returns the commit."""
    if not (folder / ".git").is_dir():
        git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def operations(
    home: Path, indexes: tuple[str, ...] = (), confirm: Confirm = lambda plan: True
) -> PackOperations:
    folder = PackFolder(home / "packs")
    return PackOperations(folder, PackIndexes(indexes, folder), confirm)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of wheels that pip and uv take packages from, and from nowhere else."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return folder
