"""A pack that a command began installs, runs and passes its tests; faults in one are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from nodegraph.cli import main
from nodegraph.python.testing.workbench import find_packs

ROOT = Path(__file__).parents[2]
FAULTY = '''
from nodegraph import Image, node

@node
def Bright(image: Image) -> Image:
    """Leave the range."""
    return image * 9

@node
def Fine(image: Image) -> Image:
    """Leave it as it is."""
    return image
'''


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "path", sys.path.copy())


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_new_pack_passes_without_being_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "pack", "new", "bright-nodes")[0] == 0
    assert "Permission is hereby granted" in Path("bright-nodes/LICENSE").read_text()
    code, out, err = command(capsys, "pack", "test", "bright-nodes", "--json")
    assert code == 0, out + err
    (pack,) = json.loads(out)["packs"]
    (found,) = pack["nodes"]
    assert (found["type"], found["inputs"]) == ("bright_nodes:Brighten", "example")
    assert {check["state"] for check in found["checks"]} == {"passed"}


@pytest.mark.parametrize("name", ["nodes", "to_dict", "_x", "__init__", "x_", "-x", "class"])
def test_names_that_no_pack_can_have_are_refused(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = command(capsys, "pack", "new", "--", name)
    assert code == 2
    assert "cannot be called" in err


def test_faults_make_the_command_fail_and_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("faulty.py").write_text(FAULTY)
    code, out, _ = command(capsys, "pack", "test", "faulty.py")
    assert code == 1
    assert "faulty:Bright, types:" in out
    assert "Return `.clamp(0, 1)` of it." in out
    assert "2 nodes: 1 fault" in out
    assert command(capsys, "pack", "test", "faulty.py", "--node", "Fine")[0] == 0
    code, _, err = command(capsys, "pack", "test", "faulty.py", "--node", "Fin")
    assert code == 2
    assert "faulty:Fine" in err


def test_the_built_in_nodes_are_a_pack_also_where_their_sources_lie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    (found,) = find_packs("nodegraph")
    assert (found.name, found.package) == ("", "nodegraph_nodes")


def test_built_in_nodes_are_tried_on_their_examples(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["InvertImage", "SaveImage", "Calculate"]
    names = [each for name in chosen for each in ("--node", name)]
    code, out, err = command(capsys, "pack", "test", "nodegraph", *names, "--json")
    assert code == 0, out + err
    (pack,) = json.loads(out)["packs"]
    assert [found["type"] for found in pack["nodes"]] == chosen
    states = [[check["state"] for check in found["checks"]] for found in pack["nodes"]]
    assert [found.count("passed") for found in states] == [5, 2, 5]
    assert {found["inputs"] for found in pack["nodes"]} == {"example"}


def test_a_pack_of_many_nodes_is_told_in_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    one = "@node\ndef Add{0}(a: int = 1) -> int:\n    return a + {0}\n"
    Path("many.py").write_text("from nodegraph import node\n" + "".join(map(one.format, range(30))))
    code, out, _ = command(capsys, "pack", "test", "many.py")
    assert code == 0
    assert " and 18 more)" in out
    assert "30 nodes: all passed" in out


def test_an_example_of_nothing_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine/examples").mkdir(parents=True)
    Path("mine/nodes.py").write_text(FAULTY)
    example: dict[str, Any] = {"format": "nodegraph/1", "nodes": {}}
    Path("mine/examples/Briht.json").write_text(json.dumps(example))
    Path("mine/examples/Fine.json").write_text("no JSON")
    code, out, _ = command(capsys, "pack", "test", "mine", "--node", "Fine")
    assert code == 1
    assert "Did you mean `mine:Bright`?" in out
    assert "mine:Fine, runs: Fine.json" in out
    assert (
        "types, determinism, mutation, cancel, kept: this check was not reached (mine:Fine)" in out
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["new", "2nd"], "cannot be called `2nd`"),
        (["new", "json"], "there is already a Python package `json`"),
        (["new", "mine", "--license", "MTI"], "MIT"),
        (["test", "no-such-pack"], "there is no pack `no-such-pack`"),
    ],
)
def test_what_can_not_be_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    code, _, err = command(capsys, "pack", *arguments)
    assert code == 2
    assert told in err


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bright").mkdir()
    Path("bright/README.md").write_text("mine")
    code, _, err = command(capsys, "pack", "new", "bright")
    assert code == 2
    assert "README.md already exists" in err
    assert Path("bright/README.md").read_text() == "mine"


@pytest.mark.slow
def test_a_new_pack_installs_is_listed_and_passes_its_tests(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(capsys, "pack", "new", "glow", "--license", "none")[0] == 0
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "env"], check=True)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # What is installed here is there, too, without installing gigabytes again.
    places = [str(ROOT), sysconfig.get_path("purelib"), *sys.path[1:]]
    lines = [f"import site; site.addsitedir({place!r})" for place in dict.fromkeys(places) if place]
    (site,) = (tmp_path / "env").rglob("site-packages")
    (site / "others.pth").write_text("\n".join(lines))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, "-m", *arguments], cwd="glow", capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    install = ("pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index")
    run(*install, "-e", ".")
    assert "Make an image brighter" in run("nodegraph", "nodes", "--category", "glow")
    assert "1 node: all passed" in run("nodegraph", "pack", "test", "glow")
    assert "3 passed" in run("pytest", "-q", "-p", "no:cacheprovider")
