"""Packs whose node types are made of what another package holds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from nodegraph.api import Environment, node
from nodegraph.core.analysis import check_workflow
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.packs import declarations as reading
from nodegraph.packs import manifest, snapshot
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import OWN_DISTRIBUTION, Pack, pack_at
from nodegraph.packs.registry import Registry
from nodegraph.packs.snapshot import Snapshot
from nodegraph.server.workflows.node_types import load_declared_types

ENVIRONMENT = Environment((), Path("inputs"), Path("outputs"), Path("temporary"))

NODES = '''
from pathlib import Path
from importlib.util import find_spec
from nodegraph import node, port_type

NAMES = Path(find_spec("tones").origin).with_name("names.txt").read_text().split()

@port_type()
class Tone:
    """What is heard."""

def __dir__():
    return [*globals(), *NAMES]

def __getattr__(name):
    if name not in NAMES:
        raise AttributeError(name)
    if name.startswith("Broken"):
        raise ValueError("no tone at all")
    def play(loud: float = 1.0) -> Tone:
        """Play it."""
    play.__name__ = play.__qualname__ = name
    globals()[name] = node(category="tones/made")(play)
    return globals()[name]
'''


@pytest.fixture(autouse=True)
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written is a minute old when it is looked at."""
    monkeypatch.setattr(snapshot, "time_ns", lambda: time.time_ns() + 60 * 10**9)


@pytest.fixture
def tones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package that is installed, with the names of what it holds."""
    install(tmp_path / "site", "High Low")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site" / "tones"


def install(site: Path, names: str) -> None:
    """As an installer does: all files are new."""
    folder = site / "tones"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names.txt").write_text(names)
    (folder / "__init__.py").unlink(missing_ok=True)
    (folder / "__init__.py").write_text("raise RuntimeError('it must not be imported')")


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    root = tmp_path / f"organ{tmp_path.name.replace('-', '_')}"
    root.mkdir()
    (root / "made.py").write_text(NODES)
    (root / "made_of.txt").write_text("# What it plays.\ntones\n\n")
    return pack_at(root)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packs that were imported for what they declare."""
    read: list[str] = []
    read_pack = reading.read_pack

    def noted(pack: Pack, files: Snapshot) -> reading.Declarations:
        read.append(pack.name)
        return read_pack(pack, files)

    monkeypatch.setattr(reading, "read_pack", noted)
    return read


def registry(pack: Pack, tmp_path: Path) -> Registry:
    """As the next process has it."""
    for name in [name for name in sys.modules if name.startswith(pack.package)]:
        del sys.modules[name]
    return Registry([pack], manifests=ManifestCache(tmp_path / "cache"))


def test_each_thing_that_the_package_holds_is_a_node_type(
    tones: Path, pack: Pack, tmp_path: Path
) -> None:
    found = registry(pack, tmp_path)
    assert found.node_types() == [f"{pack.name}:High", f"{pack.name}:Low"]
    spec = found.spec(f"{pack.name}:High")
    assert spec is not None
    assert (spec.summary, spec.pack, spec.outputs[0].type) == ("Play it.", pack.name, "Tone")
    assert found.definition(f"{pack.name}:Low").function.__name__ == "Low"
    assert found.types.info("Tone").description == "What is heard."


def test_a_newer_package_is_read_anew_and_the_same_one_is_not(
    tones: Path, pack: Pack, tmp_path: Path, reads: list[str]
) -> None:
    for _ in range(2):
        assert len(registry(pack, tmp_path).node_types()) == 2
    assert len(reads) == 1
    install(tones.parent, "High Low Middle")
    for _ in range(2):
        assert f"{pack.name}:Middle" in registry(pack, tmp_path).node_types()
    assert len(reads) == 2


def test_only_what_is_used_is_read(
    tones: Path, pack: Pack, tmp_path: Path, reads: list[str]
) -> None:
    found = registry(pack, tmp_path)
    assert found.spec("Other") is None
    assert found.spec("other:Other") is None
    assert found.packs == [pack]
    assert reads == []
    assert found.spec(f"{pack.name}:Low") is not None
    assert reads == [pack.name]
    assert not hasattr(sys.modules.get("tones"), "__name__")


@pytest.mark.parametrize("node_type", ["One", "Onne"])
def test_advice_on_a_workflow_reads_nothing(
    tones: Path, pack: Pack, tmp_path: Path, reads: list[str], node_type: str
) -> None:
    found = registry(pack, tmp_path)
    workflow = Workflow(nodes={"one": NodeEntry(type=node_type)})

    @node
    def One() -> int:
        return 1

    found.add(One)
    (problem,) = check_workflow(workflow, found, ENVIRONMENT)
    assert problem.code == ("no-output" if node_type == "One" else "unknown-node-type")
    assert reads == []


def test_specs_on_disk_are_read_one_by_one(tones: Path, pack: Pack, tmp_path: Path) -> None:
    fresh = registry(pack, tmp_path)
    specs = {name: fresh.spec(name) for name in fresh.node_types()}
    listing = fresh.listing()
    again = registry(pack, tmp_path)
    assert again.listing() == listing
    assert [row.summary for row in again.listing()] == ["Play it.", "Play it."]
    assert {name: again.spec(name) for name in again.node_types()} == specs
    # Graphs are remembered by the very objects.
    assert again.spec(f"{pack.name}:Low") is again.spec(f"{pack.name}:Low")


def test_a_faulty_one_is_told_of_and_hurts_no_other(
    tones: Path, pack: Pack, tmp_path: Path, reads: list[str]
) -> None:
    install(tones.parent, "High Broken")
    for _ in range(2):
        found = registry(pack, tmp_path)
        assert found.node_types() == [f"{pack.name}:High"]
        problem = f"pack `{pack.name}`: Broken: ValueError: no tone at all"
        assert found.problems == [problem]
        assert list(found.faults(pack.name)) == [problem]
    # What it depends on is known, so it isn't tried again before that changes.
    assert len(reads) == 1


def test_without_the_package_the_others_still_count(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(
        "from nodegraph import node\n@node\ndef One() -> int:\n    return 1\n"
    )
    manifests = ManifestCache(tmp_path / "cache")
    found = Registry([pack, pack_at(tmp_path / "plain.py")], manifests=manifests)
    assert found.node_types() == ["plain:One"]
    assert "importing" in found.problems[0]


def test_it_is_tried_again_until_it_could_be_read(
    pack: Pack, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry(pack, tmp_path).node_types() == []
    install(tmp_path / "site", "High")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert registry(pack, tmp_path).node_types() == [f"{pack.name}:High"]
    assert len(reads) == 2


def test_half_a_file_of_specs_is_made_anew(
    tones: Path, pack: Pack, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry(pack, tmp_path).node_types()
    (file,) = (tmp_path / "cache").glob("*organ*.json")
    data = file.read_bytes()
    file.write_bytes(data[:-40] + bytes(40))
    monkeypatch.setattr(manifest, "_READ", {})  # as another process finds it
    assert registry(pack, tmp_path).spec(f"{pack.name}:Low") is not None
    assert file.read_bytes() == data
    assert len(reads) == 2


def test_an_edit_of_the_pack_counts(tones: Path, pack: Pack, tmp_path: Path) -> None:
    registry(pack, tmp_path).node_types()
    (pack.root / "made.py").write_text(NODES.replace("Play it.", "Sing it."))
    spec = registry(pack, tmp_path).spec(f"{pack.name}:Low")
    assert spec is not None
    assert spec.summary == "Sing it."


def test_a_process_that_imports_no_packs_knows_what_is_on_disk(
    tones: Path, pack: Pack, tmp_path: Path
) -> None:
    # The others needn't wait until it has been read.
    unread = load_declared_types([pack], tmp_path / "cache")
    assert (unread.is_current, unread.node_types()) == (True, [])
    assert unread.problems == (f"pack `{pack.name}`: its declarations are not known yet",)
    registry(pack, tmp_path).node_types()
    known = load_declared_types([pack], tmp_path / "cache")
    assert (known.is_current, known.problems) == (True, ())
    assert known.node_types() == [f"{pack.name}:High", f"{pack.name}:Low"]


def test_packs_of_our_own_are_no_more_followed_than_the_built_in_one(tmp_path: Path) -> None:
    own = Pack("more", "more_nodes", tmp_path, "1.0", OWN_DISTRIBUTION)
    others = Pack("more", "more_nodes", tmp_path, "1.0", "others")
    assert (own.is_reloadable, others.is_reloadable) == (False, True)
