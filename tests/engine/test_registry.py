"""Packs: found, read, cached, imported, and kept from hurting each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nodegraph.api import node
from nodegraph.engine.code import CodeDigests
from nodegraph.engine.manifest import ManifestCache
from nodegraph.engine.packs import Pack, installed_packs, pack_at, packs_in
from nodegraph.engine.registry import Registry
from nodegraph.errors import PackError

HEADER = "from nodegraph import Context, node, port_type\n"


def node_text(name: str, body: str = "return a") -> str:
    return f'@node\ndef {name}(a: int) -> int:\n    """A node."""\n    {body}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pack folder of two modules, one using the other."""
    root = tmp_path / f"pack{tmp_path.name.replace('-', '_')}"
    root.mkdir()
    (root / "nodes.py").write_text(HEADER + "from .maths import twice\n" + node_text("Twice"))
    (root / "other.py").write_text(HEADER + node_text("Other"))
    (root / "maths.py").write_text("def twice(a):\n    return 2 * a\n")
    return root


def test_the_built_in_pack_comes_by_its_entry_point() -> None:
    (pack,) = [pack for pack in installed_packs() if not pack.name]
    assert pack.package == "nodegraph_nodes"
    assert "KSampler" in Registry([pack]).node_types()


def test_a_folders_nodes_have_its_name_as_prefix(folder: Path) -> None:
    registry = Registry([pack_at(folder)])
    assert registry.node_types() == [f"{folder.name}:Other", f"{folder.name}:Twice"]


def test_a_single_file_is_a_pack(tmp_path: Path) -> None:
    file = tmp_path / "single_pack.py"
    file.write_text(HEADER + node_text("Alone", "return a + 1"))
    registry = Registry([pack_at(file)])
    assert registry.definition("single_pack:Alone").function(1) == 2


def test_packs_in_a_folder_are_found(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file_pack.py").write_text(HEADER)
    (tmp_path / "empty").mkdir()
    assert {pack.name for pack in packs_in([tmp_path])} == {"file_pack", folder.name}


def test_a_module_that_fails_to_import_hurts_no_other(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_library_anywhere\n")
    registry = Registry([pack_at(folder)])
    assert len(registry.node_types()) == 2
    assert "no_such_library_anywhere" in registry.problems[0]


def test_two_packs_of_one_name_are_an_error_for_the_second(tmp_path: Path) -> None:
    for at in ("one", "two"):
        (tmp_path / at).mkdir()
        (tmp_path / at / "same_pack.py").write_text(HEADER + node_text("Twin"))
    registry = Registry([pack_at(tmp_path / at / "same_pack.py") for at in ("one", "two")])
    assert registry.node_types() == ["same_pack:Twin"]
    assert "comes from" in registry.problems[0]


def test_an_installed_pack_that_is_gone_is_reported_and_hurts_no_other(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "gone-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: gone\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[nodegraph.nodes]\ngone = no_such.package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry([*installed_packs(), pack_at(folder)])
    assert f"{folder.name}:Other" in registry.node_types()
    assert "pack `gone`: no_such.package can't be found" in registry.problems[0]


def test_one_name_twice_in_a_pack_is_an_error(folder: Path) -> None:
    (folder / "again.py").write_text(HEADER + node_text("Other"))
    registry = Registry([pack_at(folder)])
    assert "is declared in" in registry.problems[0]


def test_a_cached_manifest_imports_nothing(tmp_path: Path, folder: Path) -> None:
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")
    Registry([pack], manifests=cache)
    for name in [name for name in sys.modules if name.startswith(pack.package)]:
        del sys.modules[name]
    registry = Registry([pack], manifests=cache)
    assert registry.spec(f"{pack.name}:Twice") is not None
    assert not [name for name in sys.modules if name.startswith(pack.package)]


def test_a_changed_pack_is_read_anew(tmp_path: Path, folder: Path) -> None:
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")
    Registry([pack], manifests=cache)
    for name in [name for name in sys.modules if name.startswith(pack.package)]:
        del sys.modules[name]
    (folder / "added.py").write_text(HEADER + node_text("Added"))
    assert f"{pack.name}:Added" in Registry([pack], manifests=cache).node_types()


def test_a_damaged_manifest_is_made_anew(tmp_path: Path, folder: Path) -> None:
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")
    Registry([pack], manifests=cache)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(file.read_text()[:40])
    assert len(Registry([pack], manifests=cache).node_types()) == 2


def test_a_functions_name_can_be_taken_once() -> None:
    @node
    def Once() -> int:
        """One."""
        return 1

    registry = Registry()
    registry.add(Once)
    with pytest.raises(PackError, match="node type `Once` is there already"):
        registry.add(Once)


def test_an_undecorated_function_is_no_node() -> None:
    with pytest.raises(PackError, match="Decorate the function with @node"):
        Registry().add(len)


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "no pack at"), ("notes.txt", "is no Python file"), ("a-b.py", "can't be called")],
)
def test_what_is_no_pack_is_told(tmp_path: Path, name: str, message: str) -> None:
    if name != "missing":
        (tmp_path / name).write_text("")
    with pytest.raises(PackError, match=message):
        pack_at(tmp_path / name)


def digest(pack: Pack, module: str) -> str:
    return CodeDigests({pack.package: pack.root}).digest(f"{pack.package}.{module}")


def test_code_digests_follow_imports_within_the_pack(folder: Path) -> None:
    pack = pack_at(folder)
    before = digest(pack, "nodes"), digest(pack, "other")
    (folder / "maths.py").write_text("def twice(a):\n    return a + a\n")
    after = digest(pack, "nodes"), digest(pack, "other")
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_code_digests_ignore_unrelated_edits(folder: Path) -> None:
    pack = pack_at(folder)
    before = digest(pack, "nodes")
    (folder / "other.py").write_text("# rewritten\n")
    assert digest(pack, "nodes") == before


def test_code_digests_follow_names_through_a_package(folder: Path) -> None:
    pack = pack_at(folder)
    (folder / "lib").mkdir()
    init = "from .first import one\nfrom .second import two\n"
    (folder / "lib" / "__init__.py").write_text(init)
    (folder / "lib" / "first.py").write_text("def one(): return 1\n")
    (folder / "lib" / "second.py").write_text("def two(): return 2\n")
    (folder / "uses.py").write_text("from .lib import one\n")
    found = CodeDigests({pack.package: pack.root}).modules(f"{pack.package}.uses")
    assert found == [f"{pack.package}.lib.first", f"{pack.package}.uses"]


def test_the_contract_is_no_part_of_a_nodes_code(folder: Path) -> None:
    pack = pack_at(folder)
    found = CodeDigests({pack.package: pack.root}).modules(f"{pack.package}.other")
    assert found == [f"{pack.package}.other"]
