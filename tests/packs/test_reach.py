"""What a node's key reaches: whatever of its pack, and beside it, can change its result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodegraph.packs.snapshot import list_files
from tests.packs.test_edits import HEADER, Workplace, node_text, place

__all__ = ["place"]

READ = "from pathlib import Path\nimport json\nHERE = Path(__file__).parent\n"


def check(place: Workplace, path: Path, texts: tuple[str, str] = ("1", "2")) -> None:
    """A node that gives what a file says: in a session that stays, and in new ones."""
    with place.session() as session:
        for text in (*texts, texts[0]):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            number = int("".join(char for char in text if char.isdigit()))
            assert place.get(session) == number
            assert place.get() == number


@pytest.mark.parametrize("name", ["table.json", "deep/er/table.yaml"])
def test_a_data_file_that_a_node_reads(place: Workplace, name: str) -> None:
    place.node(f"return json.loads((HERE / {name!r}).read_text())", more=READ)
    check(place, place.pack / name)


def test_a_data_file_that_is_read_at_import(place: Workplace) -> None:
    place.node("return DATA", more=READ + "DATA = json.loads((HERE / 'table.json').read_text())\n")
    check(place, place.pack / "table.json")


def test_a_module_that_is_found_by_the_path(place: Workplace) -> None:
    more = (
        READ + "import sys\nsys.path.insert(0, str(HERE / 'lib'))\nfrom reach_aside import DATA\n"
    )
    place.node("return DATA", more=more)
    check(place, place.pack / "lib" / "reach_aside.py", ("DATA = 1\n", "DATA = 2\n"))


def test_another_packs_module(place: Workplace) -> None:
    place.node("return DATA", more="from nodegraph_packs.reach_other import DATA\n")
    check(place, place.pack.parent / "reach_other.py", ("DATA = 1\n", "DATA = 2\n"))


@pytest.mark.parametrize(
    "call",
    ["import_module('.data', __package__)", "import_module('.' + 'da' + 'ta', __package__)"],
)
def test_a_module_that_is_imported_by_a_call(place: Workplace, call: str) -> None:
    place.node(f"return {call}.DATA", more="from importlib import import_module\n")
    check(place, place.pack / "data.py", ("DATA = 1\n", "DATA = 2\n"))


def test_a_broken_module_that_may_be_imported_by_a_call_hurts_no_other(place: Workplace) -> None:
    place.node("return 1", more="from importlib import import_module as _\n")
    text = "from importlib import import_module\ndef plug(name):\n    return import_module(name)\n"
    place.write("plugs.py", HEADER + text + node_text("Plugged", "return 2"))
    place.write("broken.py", "def (")
    assert place.get() == 1
    assert place.run(None, "Plugged")["Plugged.number"] == 2


def test_a_name_that_a_package_finds_late(place: Workplace) -> None:
    init = (
        "import importlib\ndef __getattr__(name):\n"
        "    if name != 'DATA':\n        raise AttributeError(name)\n"
        "    return importlib.import_module('.data', __name__).DATA\n"
    )
    place.write("lib/__init__.py", init)
    place.node("from .lib import DATA\n    return DATA")
    check(place, place.pack / "lib" / "data.py", ("DATA = 1\n", "DATA = 2\n"))


def test_what_a_package_sets_on_the_way(place: Workplace) -> None:
    place.write("lib/values.py", "DATA = 0\n")
    place.node("return DATA", more="from .lib.values import DATA\n")
    texts = tuple(f"from . import values\nvalues.DATA = {number}\n" for number in (1, 2))
    check(place, place.pack / "lib" / "__init__.py", (texts[0], texts[1]))


def test_what_a_package_that_is_passed_on_the_way_uses(place: Workplace) -> None:
    place.write("__init__.py", "from .data import DATA\nfrom . import values\nvalues.DATA = DATA\n")
    place.write("values.py", "DATA = 0\n")
    place.node("return DATA", more="from .values import DATA\n")
    check(place, place.pack / "data.py", ("DATA = 1\n", "DATA = 2\n"))


@pytest.mark.parametrize("at", ["node", "import"])
def test_an_environment_variable(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    read = "int(os.environ['REACH_NUMBER'])"
    more = "import os\n" + (f"DATA = {read}\n" if at == "import" else "")
    place.node(f"return {read if at == 'node' else 'DATA'}", more=more)
    with place.session() as session:
        for number in (1, 2, 1):
            monkeypatch.setenv("REACH_NUMBER", str(number))
            assert place.get(session) == number
            assert place.get() == number


def test_what_lies_beside_a_single_file(tmp_path: Path, place: Workplace) -> None:
    place.pack.rmdir()
    place.pack = place.pack.parent
    text = READ + "import sys\nsys.path.insert(0, str(HERE))\nfrom reach_beside import DATA\n"
    text += HEADER + node_text("Get", "return DATA + json.loads((HERE / 'table.json').read_text())")
    place.write("edited.py", text)
    place.write("table.json", "0")
    check(place, place.pack / "reach_beside.py", ("DATA = 1\n", "DATA = 2\n"))
    place.write("reach_beside.py", "DATA = 0\n")
    check(place, place.pack / "table.json")


def test_a_data_file_that_changes_while_its_node_runs_leaves_no_result(place: Workplace) -> None:
    place.write("table.json", "1")
    change = "(HERE / 'table.json').write_text('2')"
    place.node(
        f"number = json.loads((HERE / 'table.json').read_text()); {change}\n    return number",
        more=READ,
    )
    with place.session() as session:
        assert place.get(session) == 1
        os.utime(place.pack / "table.json")
        assert place.get(session) == 2
    place.write("table.json", "1")
    assert place.run().nodes["Get"].status == "ran"


def test_large_hidden_and_compiled_files_are_no_part_of_a_pack(place: Workplace) -> None:
    place.node("return 1")
    place.get()
    place.write("model.bin", "x" * ((1 << 20) + 1))
    place.write(".notes.txt", "x")
    place.write(".git/HEAD", "x")
    place.write("__pycache__/nodes.pyc", "x")
    assert place.run().nodes["Get"].status == "cached"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_or_a_device_is_no_part_of_a_pack(place: Workplace) -> None:
    """To read it would never end."""
    place.node("return 1")
    os.mkfifo(place.pack / "pipe.txt")
    (place.pack / "zero.txt").symlink_to("/dev/zero")
    assert [Path(path).name for path in list_files(place.pack).files] == ["nodes.py"]
    assert place.get() == 1
