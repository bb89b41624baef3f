"""Installed packs are looked for only when something may have changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nodegraph.packs import pack as installed
from nodegraph.packs.pack import Pack, installed_packs, remembered_packs


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
