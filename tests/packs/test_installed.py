"""Installed packs are looked for only when something may have changed."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Settings
from nodegraph.errors import PackError
from nodegraph.packs import pack as installed
from nodegraph.packs.installation.installed import PackFolder, installed_here
from nodegraph.packs.installation.plans import InstallOptions
from nodegraph.packs.pack import Pack, installed_packs, pack_at, remembered_packs
from nodegraph.packs.registry import Registry
from nodegraph.session.node_types import all_packs
from tests.packs.installing import comfy_project, operations, project, write

FLAT = '''from nodegraph import node


@node
def Say(text: str = "x") -> str:
    """Say it."""
    return text
'''


@pytest.fixture
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for each time that entry points were looked for.

    Nothing is added to folders but the test's own, whatever else goes on beside it.
    """
    counted: list[int] = []
    changed = installed._changed

    def changed_here(place: str) -> str:
        return changed(place) if Path(place).is_relative_to(tmp_path) else ""

    monkeypatch.setattr(installed, "_changed", changed_here)
    # As in a process that has found none yet.
    monkeypatch.setattr(installed, "_LAST", {})

    def counting() -> list[Pack]:
        counted.append(1)
        return installed_packs()

    monkeypatch.setattr(installed, "installed_packs", counting)
    return counted


def test_what_is_installed_is_remembered(tmp_path: Path, looks: list[int]) -> None:
    first = remembered_packs(tmp_path / "deep" / "installed.json")
    second = remembered_packs(tmp_path / "deep" / "installed.json")
    assert first == second == installed_packs()
    assert len(looks) == 1


def test_another_home_folder_is_told_what_was_found(tmp_path: Path, looks: list[int]) -> None:
    first = remembered_packs(tmp_path / "first" / "installed.json")
    assert remembered_packs(tmp_path / "second" / "installed.json") == first
    assert (tmp_path / "second" / "installed.json").exists()
    assert len(looks) == 1


def test_a_new_distribution_is_found(
    tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    before = remembered_packs(tmp_path / "installed.json")
    (site / "toys.py").write_text("")
    (site / "toys-1.5.dist-info").mkdir()
    (site / "toys-1.5.dist-info" / "METADATA").write_text("Name: toys\nVersion: 1.5\n")
    (site / "toys-1.5.dist-info" / "entry_points.txt").write_text(
        "[nodegraph.nodes]\ntoys = toys\n"
    )
    after = remembered_packs(tmp_path / "installed.json")
    assert set(after) - set(before) == {Pack("toys", "toys", site / "toys.py", "1.5", "toys")}
    assert len(looks) == 2


def test_entry_points_that_are_written_anew_in_place_are_noticed(
    tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    facts = site / "toys-1.5.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Name: toys\nVersion: 1.5\n")
    for name in ("first", "second"):
        (site / f"{name}.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    written = {
        "[console_scripts]\ntoys = first:main\n": set(),
        "[nodegraph.nodes]\nfirst = first\n": {"first"},
        "[nodegraph.nodes]\nsecond = second\n": {"second"},
    }
    for text, names in written.items():
        (facts / "entry_points.txt").write_text(text)
        for _ in range(2):
            packs = remembered_packs(tmp_path / "installed.json")
            assert {pack.name for pack in packs if pack.distribution == "toys"} == names
    assert len(looks) == 3


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"[nodegraph.nodes]\nno equals sign\n", id="line"),
        pytest.param(b"[nodegraph.nodes]\nx\xe9 = toys\n", id="bytes"),
    ],
)
def test_a_package_with_damaged_entry_points_is_told_once_and_hurts_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    damaged: bytes,
) -> None:
    for name, points in {"a_bad": damaged, "toys": b"[nodegraph.nodes]\ntoys = toys\n"}.items():
        facts = tmp_path / f"{name}-1.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
        (facts / "entry_points.txt").write_bytes(points)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for _ in range(2):
        assert {"", "toys"} <= {pack.name for pack in installed_packs()}
    (told,) = caplog.messages
    assert f"{tmp_path / 'a_bad-1.dist-info'} is left out" in told
    assert "`name = module:attribute`" in told


@pytest.mark.parametrize("value", ["", "..toys", "no module!"])
def test_an_entry_point_that_names_no_module_hurts_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Nor does one of a package without metadata."""
    facts = tmp_path / "toys-1.dist-info"
    facts.mkdir()
    (facts / "entry_points.txt").write_text(f"[nodegraph.nodes]\ntoys = {value}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = {pack.name: pack for pack in installed_packs()}
    assert "" in found
    assert not found["toys"].root.is_file()
    assert found["toys"].distribution == ""


def test_a_pack_that_is_gone_is_looked_for_again(
    tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "toys-1.5.dist-info").mkdir(parents=True)
    (site / "toys-1.5.dist-info" / "METADATA").write_text("Name: toys\nVersion: 1.5\n")
    (site / "toys-1.5.dist-info" / "entry_points.txt").write_text("[nodegraph.nodes]\nt = toys.t\n")
    (site / "toys").mkdir()
    (site / "toys" / "__init__.py").write_text("")
    (site / "toys" / "t.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    homes = [tmp_path / "first.json", tmp_path / "second.json"]
    assert "t" in {pack.name for pack in remembered_packs(homes[0])}
    # Neither what the first home remembers nor this process knows where it may be by now.
    (site / "toys" / "t.py").unlink()
    for file in homes:
        remembered_packs(file)
    assert len(looks) == 3


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"stamp": 1}', b"\xff"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, looks: list[int], content: bytes) -> None:
    file = tmp_path / "installed.json"
    file.write_bytes(content)
    remembered_packs(file)
    remembered_packs(file)
    assert len(looks) == 1


def test_an_unwritable_folder_costs_only_time(tmp_path: Path, looks: list[int]) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        assert remembered_packs(tmp_path / "file" / "installed.json") == installed_packs()
    assert len(looks) == 1


# Packs with processes of their own are imported there, and nowhere else


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an untrusted pack, one of ComfyUI, and one for this process."""
    home = tmp_path / "home"
    add = operations(home).add
    add(str(project(tmp_path, "far_away")), InstallOptions(trusted=False))
    add(str(comfy_project(tmp_path)), InstallOptions(name="far_toys"))
    add(str(project(tmp_path, "near_by")))
    return home


def processes(home: Path, **settings: Any) -> dict[str, bool]:
    """Whether each pack of a home has a process of its own, by name."""
    processes: dict[str, bool] = {}
    for pack in all_packs(Settings(home=home, **settings)):
        if pack.distribution != "nodegraph":
            processes[pack.name] = processes.get(pack.name, True) and pack.isolation is not None
    return processes


EACH_IN_ITS_PROCESS = {"far_away": True, "far_toys": True, "near_by": False}


def test_what_is_remembered_holds_no_pack_with_a_process_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "_LAST", {})
    remembered = home / "cache" / "specs" / "installed.json"
    for _ in range(2):
        assert processes(home).items() >= EACH_IN_ITS_PROCESS.items()
        # As when a process with another import path has written what it found.
        remembered.unlink()
    processes(home)
    # As in a process that is started then.
    monkeypatch.setattr(installed, "_LAST", {})
    assert processes(home).items() >= EACH_IN_ITS_PROCESS.items()
    assert "far_away" not in remembered.read_text()


def test_a_pack_with_a_process_of_its_own_is_not_imported_here(home: Path) -> None:
    packs = {pack.name: pack for pack in installed_here(home)}
    near = packs["near_by"]
    assert near.import_module(near.package).Say
    with pytest.raises(PackError, match="runs in a process of its own"):
        packs["far_away"].import_module("far_away.nodes")
    assert "far_away.nodes" not in sys.modules


def test_other_code_cannot_import_a_pack_with_a_process_of_its_own(
    home: Path, tmp_path: Path
) -> None:
    """Libraries look for others that may be installed: an untrusted pack may have such a name."""
    curious = tmp_path / "curious.py"
    curious.write_text(
        "from importlib.util import find_spec\nfrom nodegraph import node\nimport near_by.nodes\n"
        "REACHED = [name for name in ('far_away', 'nodegraph_packs.far_toys') if find_spec(name)]\n"
        'SAID = "none" if not REACHED else str(REACHED)\n\n\n@node\n'
        'def Said() -> str:\n    """Say what is found."""\n    return SAID\n'
    )
    packs = [*installed_here(home), pack_at(curious)]
    registry = Registry(packs)
    assert registry.definition("curious:Said").function() == "none"


@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_folder_is_loaded_in_its_process_alone_also_if_a_setting_lists_it(
    home: Path, tmp_path: Path, is_enabled: bool
) -> None:
    flat = write(tmp_path / "mine" / "flat_far", {"__init__.py": FLAT})
    write(tmp_path / "mine" / "flat_near", {"__init__.py": FLAT})
    home_operations = operations(home)
    home_operations.add(str(flat), InstallOptions(trusted=False))
    home_operations.set_enabled("flat_far", is_enabled)
    link = tmp_path / "links"
    link.mkdir()
    (link / "linked").symlink_to(flat)
    there = processes(home, packs=(tmp_path / "mine", link))
    assert there.get("flat_far") is (True if is_enabled else None)
    assert there["flat_near"] is False
    assert "linked" not in there


def test_packs_in_the_folder_of_installed_ones_are_not_taken_for_others(home: Path) -> None:
    for name in ("sources", "environments"):
        write(home / "packs" / name, {"stray.py": FLAT})
    write(home / "packs" / "own", {"__init__.py": FLAT})
    assert {"sources", "environments", "own"} & {*processes(home)} == {"own"}


def test_a_list_that_is_not_whole_is_refused(home: Path) -> None:
    file = home / "packs" / "installed.json"
    whole = file.read_bytes()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        with pytest.raises(PackError, match="damaged"):
            processes(home)
    file.unlink()
    file.mkdir()  # nobody can read a folder as a list
    with pytest.raises(PackError, match="cannot read"):
        processes(home)


@pytest.mark.parametrize("changes", [{"needs_process": False}, {"needs_process": None}])
def test_a_list_cannot_take_a_process_away(home: Path, changes: dict[str, Any]) -> None:
    folder = PackFolder(home / "packs")
    packs = folder.read()
    for name in ("far_away", "far_toys"):
        version = packs[name].current
        packs[name] = replace(packs[name], current=replace(version, **changes))
    folder.write(packs)
    assert processes(home).items() >= EACH_IN_ITS_PROCESS.items()


CHANGING = """
import sys
from pathlib import Path
from tests.packs.installing import operations
from tests.packs.test_installed import processes

home = Path(sys.argv[1])
own = operations(home)
print("begun", flush=True)
while True:
    for enabled in (False, True):
        own.set_enabled("far_toys", enabled)
        (home / "cache" / "specs" / "installed.json").unlink(missing_ok=True)
        processes(home)
        processes(home)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.003, 0.01, 0.03, 0.1, 0.3])
def test_a_kill_at_any_moment_leaves_each_pack_in_its_process(
    home: Path, after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CHANGING, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(after)
        process.kill()
    monkeypatch.setattr(installed, "_LAST", {})
    for _ in range(2):
        there = processes(home)
        assert there.pop("far_toys", True)
        assert there.items() >= {"far_away": True, "near_by": False}.items()
