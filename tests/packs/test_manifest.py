"""What packs declare is read again, checked and written only where it has changed."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.packs import declarations as reading
from nodegraph.packs import manifest, snapshot
from nodegraph.packs.importer import snapshot_of
from nodegraph.packs.manifest import ManifestCache, PackManifest
from nodegraph.packs.pack import Pack, PackKind, pack_at
from nodegraph.packs.registry import Registry
from nodegraph.packs.snapshot import Snapshot

NAMES = ("first", "second", "third")


def text(name: str, number: int = 1) -> str:
    return (
        f"from nodegraph import node\n@node\ndef {name}(a: int = {number}) -> int:\n    return a\n"
    )


@pytest.fixture(autouse=True)
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written is a minute old when it is looked at."""
    monkeypatch.setattr(snapshot, "time_ns", lambda: time.time_ns() + 60 * 10**9)


@pytest.fixture
def packs(tmp_path: Path) -> list[Pack]:
    for name in NAMES:
        (tmp_path / "packs" / name).mkdir(parents=True)
        (tmp_path / "packs" / name / "nodes.py").write_text(text("Get"))
    return [pack_at(tmp_path / "packs" / name) for name in NAMES]


def edit(pack: Pack, number: int) -> None:
    (pack.root / "nodes.py").write_text(text("Get", number))


def default(registry: Registry, pack: Pack) -> object:
    spec = registry.spec(f"{pack.name}:Get")
    assert spec is not None
    return spec.inputs[0].default


class Noted:
    """The manifests that were read from disk, and those that were written, by pack."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        self.written: list[str] = []
        validate, write = PackManifest.from_file, manifest.write_file

        def reading(data: bytes) -> PackManifest:
            found = validate(data)
            self.read.append(found.specs[0].pack)
            return found

        def writing(path: Path, data: bytes, *, durable: bool) -> None:
            self.written.append(validate(data).specs[0].pack)
            write(path, data, durable=durable)

        monkeypatch.setattr(PackManifest, "from_file", reading)
        monkeypatch.setattr(manifest, "write_file", writing)


def test_an_edit_of_one_pack_has_only_its_manifest_read_and_written(
    packs: list[Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ManifestCache(tmp_path / "cache")
    for _ in range(2):
        Registry(packs, manifests=cache)
    noted = Noted(monkeypatch)
    edit(packs[1], 2)
    assert [default(Registry(packs, manifests=cache), pack) for pack in packs] == [1, 2, 1]
    assert [default(Registry(packs, manifests=cache), pack) for pack in packs] == [1, 2, 1]
    assert set(noted.read) == {"second"}
    assert noted.written == ["second"]


def test_a_pack_that_was_edited_just_now_is_written_once(
    packs: list[Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its stamps don't yet tell of any later change, so its files are compared each time.
    monkeypatch.setattr(snapshot, "time_ns", time.time_ns)
    cache = ManifestCache(tmp_path / "cache")
    noted = Noted(monkeypatch)
    for _ in range(3):
        Registry(packs, manifests=cache)
    assert noted.written == list(NAMES)


def test_what_another_process_has_read_is_taken_over(packs: list[Pack], tmp_path: Path) -> None:
    mine, other = ManifestCache(tmp_path / "cache"), ManifestCache(tmp_path / "cache")
    Registry(packs, manifests=mine)
    assert mine.last(packs[0]) is mine.last(packs[0])
    edit(packs[0], 3)
    Registry(packs, manifests=other)
    found = mine.last(packs[0])
    assert found is not None
    assert found.specs[0].inputs[0].default == 3


def test_a_new_home_folder_takes_over_what_this_process_read_for_another(
    packs: list[Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(packs, manifests=ManifestCache(tmp_path / "cache"))
    edit(packs[1], 4)
    read: list[str] = []
    read_pack = reading.read_pack

    def noted(pack: Pack, files: Snapshot) -> reading.Declarations:
        read.append(pack.name)
        return read_pack(pack, files)

    monkeypatch.setattr(reading, "read_pack", noted)
    other = ManifestCache(tmp_path / "other")
    assert [default(Registry(packs, manifests=other), pack) for pack in packs] == [1, 4, 1]
    assert read == ["second"]
    # Other processes find it there, too.
    fresh = ManifestCache(tmp_path / "other")
    assert all(fresh.last(pack) == other.last(pack) for pack in packs)


def test_a_manifest_in_memory_never_stands_for_other_files(
    packs: list[Pack], tmp_path: Path
) -> None:
    cache = ManifestCache(tmp_path / "cache")
    for number in (1, 2, 1, 5, 2):
        edit(packs[2], number)
        assert default(Registry(packs, manifests=cache), packs[2]) == number


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pack]:
    """A package that was imported before it was known to be a pack."""
    root = tmp_path / "lib" / "known_before"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "nodes.py").write_text(text("Get"))
    monkeypatch.syspath_prepend(root.parent)
    importlib.import_module("known_before.nodes")
    yield Pack("known", "known_before", root)
    for name in ("known_before.nodes", "known_before"):
        sys.modules.pop(name, None)


def test_a_pack_that_others_imported_is_read_once_and_not_written(
    imported: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    read_pack = reading.read_pack

    def noted(pack: Pack, files: Snapshot) -> reading.Declarations:
        read.append(pack.name)
        return read_pack(pack, files)

    monkeypatch.setattr(reading, "read_pack", noted)
    cache = ManifestCache(tmp_path / "cache")
    for home in ("cache", "other"):
        assert (
            default(Registry([imported], manifests=ManifestCache(tmp_path / home)), imported) == 1
        )
    assert default(Registry([imported], manifests=cache), imported) == 1
    (imported.root / "more.py").write_text(text("More"))
    assert "known:More" in Registry([imported], manifests=cache).node_types()
    assert read == ["known", "known"]
    # What this process imported may be older than the file: others must not take it over.
    assert not [*tmp_path.glob("*/known*.json")]


def test_half_a_manifest_is_made_anew(
    packs: list[Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(packs, manifests=ManifestCache(tmp_path / "cache"))
    files = [*(tmp_path / "cache").glob("*.json")]
    for file in files:
        data = file.read_bytes()
        # A machine that loses its power may leave any part of a file as zeros.
        file.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    monkeypatch.setattr(manifest, "_READ", {})  # as another process finds them
    found = Registry(packs, manifests=ManifestCache(tmp_path / "cache"))
    assert found.node_types() == [f"{name}:Get" for name in NAMES]
    assert all(PackManifest.from_file(file.read_bytes()).specs for file in files)


def test_of_many_node_types_only_those_that_are_used_are_read(
    packs: list[Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_MANY", 1)
    pack = packs[0]
    (pack.root / "more.py").write_text(text("Put", 2))
    made = Registry([pack], manifests=ManifestCache(tmp_path / "specs"))
    again = Registry([pack], manifests=ManifestCache(tmp_path / "specs"))
    [stored] = again._stored.values()
    assert again.node_types() == made.node_types() == ["first:Get", "first:Put"]
    assert again.spec("first:Put") == made.spec("first:Put")
    assert again.spec("first:None") is None
    assert list(stored._read) == ["first:Put"]


def test_examples_are_no_part_of_a_pack(packs: list[Pack]) -> None:
    pack = packs[0]
    (pack.root / "examples").mkdir()
    before = pack.snapshot()
    (pack.root / "examples" / "Get.json").write_text("{}")
    (pack.root / "examples" / "Get.webp").write_bytes(b"RIFF")
    now = pack.snapshot()
    assert now.digest() == before.digest()
    assert now.listing.files.keys() == before.listing.files.keys()
    (pack.root / "examples" / "helper.py").write_text("")
    (pack.root / "data.json").write_text("{}")
    assert len(pack.snapshot().listing.files) == len(now.listing.files) + 2


def test_the_first_list_of_node_types_parses_no_source(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nodegraph import Session, Settings\n"
        "with Session(Settings(home=Path(sys.argv[1]))) as session:\n"
        "    print(len(session.registry.node_types()))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 300
    specs = [file.name for file in (tmp_path / "cache" / "specs").iterdir()]
    assert any(name.startswith("nodegraph_nodes-") for name in specs)
    assert not [name for name in specs if name.startswith("sources-")]


def test_a_docstring_of_one_sentence_names_no_file_of_a_single_file_pack(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(f'"""A number."""\nNAMED = "table.csv"\n{text("Get")}')
    watched = Snapshot(file, file, "nodegraph_packs.one").listing.watched
    assert list(watched) == [str(tmp_path / "table.csv")]


def test_a_file_belongs_to_the_single_file_pack_that_it_is_among_many(tmp_path: Path) -> None:
    folder = tmp_path / "packs"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(text("Get"))
    (folder / "inner").mkdir()
    (folder / "inner" / "nodes.py").write_text(text("Get"))
    packs = [pack_at(folder / name) for name in (*(f"{name}.py" for name in NAMES), "inner")]
    Registry(packs)
    owners = {pack.name: snapshot_of(pack.root) for pack in packs[:-1]}
    assert {name: owner and owner.root.name for name, owner in owners.items()} == {
        name: f"{name}.py" for name in NAMES
    }
    inner = snapshot_of(folder / "inner" / "nodes.py")
    assert inner is not None
    assert inner.root == folder / "inner"
    assert snapshot_of(folder / "site-packages" / "other.py") is None
    assert snapshot_of(tmp_path / "elsewhere.py") is None


def test_packs_of_comfyui_are_read_anew_after_a_change_of_the_code_that_reads_them(
    tmp_path: Path,
) -> None:
    code = Path(manifest.__file__).parents[1]
    for folder in ("core", "interop/comfyui/packs"):
        shutil.copytree(code / folder, tmp_path / folder)
    own: tuple[PackKind, ...] = ("native", "comfyui")
    before = {kind: manifest.reader_version(kind, tmp_path) for kind in own}
    inner = tmp_path / "interop/comfyui/packs/stand_ins/folder_paths.py"
    inner.write_text(inner.read_text() + "# more\n")
    manifest.reader_version.cache_clear()
    after = {kind: manifest.reader_version(kind, tmp_path) for kind in own}
    assert after["native"] == before["native"]
    assert after["comfyui"] != before["comfyui"]
