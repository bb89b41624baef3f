"""Packs are found in indexes, pinned by digests, and installed elsewhere exactly from locks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from nodegraph.core.analysis import check_workflow
from nodegraph.core.parts import PLACEHOLDER
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue, PackError
from nodegraph.packs.installation.environments import PLATFORM, host_versions
from nodegraph.packs.installation.index import PackCommands, write_index
from nodegraph.packs.installation.installed import installed_here
from nodegraph.packs.installation.plans import InstallOptions
from nodegraph.packs.registry import Registry
from tests.core.support import ENVIRONMENT
from tests.packs.installing import (
    comfy_project,
    commit,
    operations,
    project,
    wheel,
    wheels,
)

__all__ = ["wheels"]

POINTS = "[nodegraph.nodes]\nspeaker = speaker\n"
CODE = "from nodegraph import node\n\n@node\ndef Say(text: str) -> str:\n    return text\n"


def published(folder: Path) -> Path:
    """A folder with two versions of a wheel, a project and ComfyUI's pack, and their index."""
    for version in ("1.0", "2.0"):
        wheel(folder, "speaker", version, {"speaker.py": CODE}, points=POINTS)
    project(folder, "teller", needs=("numpy",))
    comfy_project(folder)
    write_index(folder)
    return folder


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The HTTP address of what lies in the folder `shared`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = partial(Quiet, directory=str(tmp_path / "shared"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_folder_of_packs_becomes_an_index(tmp_path: Path) -> None:
    lines: list[str] = []
    folder = published(tmp_path / "shared")
    root = project(tmp_path, "by_git")
    pinned = commit(root)
    (folder / "notes").mkdir()
    write_index(folder, [root.as_uri()], lines.append)
    document = json.loads((folder / "index.json").read_text())
    assert [*document["packs"]] == ["ComfyUI_Toys", "by_git", "speaker", "teller"]
    assert document["packs"]["by_git"]["versions"][0]["source"]["commit"] == pinned
    assert document["packs"]["ComfyUI_Toys"]["versions"][0]["node_types"] == ["Other", "Toy"]
    assert [line for line in lines if line.startswith("left out: notes")]
    write_index(folder)  # entries by git stay
    assert json.loads((folder / "index.json").read_text()) == document


def test_the_newest_version_is_installed_or_the_wanted_one(tmp_path: Path) -> None:
    index = (str(published(tmp_path / "shared")),)
    newest = operations(tmp_path / "first", index).add("speaker")
    assert (newest.project.version, newest.trusted) == ("2.0", False)
    wanted = operations(tmp_path / "second", index).add("speaker==1.0")
    assert wanted.project.version == "1.0"
    assert operations(tmp_path / "second", index).update("speaker") is not None
    (pack,) = installed_here(tmp_path / "second")
    assert pack.version == "2.0"
    with pytest.raises(InvalidValue, match=r"no index has this version .*expected: 2.0, 1.0"):
        operations(tmp_path / "third", index).add("speaker", InstallOptions(version=">=3"))


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path / "shared")
    wheel(folder, "speaker", "2.0", {"speaker.py": CODE + "# changed"}, points=POINTS)
    (folder / "teller" / "more.py").write_text("")
    for name in ("speaker", "teller"):
        with pytest.raises(PackError, match="is not the file that was pinned"):
            operations(tmp_path / "home", (str(folder),)).add(name)
    assert installed_here(tmp_path / "home") == []


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({"kind": "wheel", "address": "a-1-py3-none-any.whl"}, id="no digest"),
        pytest.param({"kind": "git", "address": "https://example.org/a.git"}, id="no commit"),
        pytest.param({"kind": "git", "address": "ext::sh -c x", "commit": "a" * 40}, id="helper"),
        pytest.param(
            {"kind": "git", "address": "file:///etc/a.git", "commit": "a" * 40}, id="repository"
        ),
        pytest.param({"kind": "link", "address": "/etc", "digest": "a"}, id="link"),
        pytest.param({"kind": "copy", "address": "/etc", "digest": "a"}, id="folder elsewhere"),
        pytest.param({"kind": "wheel", "address": "file:///etc/a.whl", "digest": "a"}, id="file"),
    ],
)
def test_an_index_at_an_address_cannot_name_what_is_not_pinned_or_is_local(
    tmp_path: Path, address: str, source: dict[str, str]
) -> None:
    versions = [{"version": "1", "source": source}]
    document = {"format": "nodegraph-pack-index/1", "packs": {"a": {"versions": versions}}}
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "index.json").write_text(json.dumps(document))
    with pytest.raises(InvalidFile, match="the index has an entry that is refused: `a`: "):
        operations(tmp_path / "home", (f"{address}index.json",)).add("a")


def test_an_index_at_an_address_is_asked_only_by_search_and_add(
    tmp_path: Path, address: str
) -> None:
    published(tmp_path / "shared")
    home = operations(tmp_path / "home", (f"{address}index.json",))
    commands = PackCommands(home.indexes)
    assert commands.pack_command("speaker") is None
    assert home.add("speaker").project.version == "2.0"
    again = PackCommands(operations(tmp_path / "home", (f"{address}index.json",)).indexes)
    (tmp_path / "shared" / "index.json").unlink()
    home.remove("speaker")
    assert again.pack_command("speaker") == "nodegraph pack add speaker"


def test_without_an_index_a_name_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"no index lists a pack `speaker`.*`pack_index`"):
        operations(tmp_path / "home").add("speaker")


def test_a_package_of_pips_index_is_installed_by_its_version(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "speaker", "1.0", {"speaker.py": CODE}, points=POINTS)
    plan = operations(tmp_path / "home").add("speaker==1.0")
    assert (plan.source.kind, plan.project.version, plan.trusted) == ("pypi", "1.0", False)
    (pack,) = installed_here(tmp_path / "home")
    assert pack.root.name == "speaker.py"


def test_words_find_packs(tmp_path: Path) -> None:
    home = operations(tmp_path / "home", (str(published(tmp_path / "shared")),))
    assert [entry.name for entry in home.indexes.search("toy")] == ["ComfyUI_Toys"]
    assert [entry.version for entry in home.indexes.search("speak")] == ["2.0"]
    assert len(home.indexes.search("")) == 3


# Hints


def test_a_workflow_that_lacks_packs_says_the_command_that_brings_them(tmp_path: Path) -> None:
    index = published(tmp_path / "shared")
    home = operations(tmp_path / "home", (str(index),))
    home.add("speaker==1.0")
    home.add("teller")
    home.set_enabled("teller", False)
    commands = PackCommands(home.indexes)
    assert commands.pack_command("speaker", ">=2") == "nodegraph pack update speaker"
    assert commands.pack_command("teller") == "nodegraph pack enable teller"
    assert commands.type_command("Toy") == "nodegraph pack add ComfyUI_Toys"
    assert commands.type_command("ComfyUI_Toys:Toy") == "nodegraph pack add ComfyUI_Toys"
    assert commands.type_command("unknown:Toy") is None


def test_the_command_is_the_hint_of_the_problem(tmp_path: Path) -> None:
    home = operations(tmp_path / "home", (str(published(tmp_path / "shared")),))
    registry = Registry()
    registry.pack_finder = PackCommands(home.indexes)
    document = {
        "format": "nodegraph/1",
        "requires": {"speaker": ">=2", "unknown": "*"},
        "nodes": {
            "say": {"type": "speaker:Say"},
            "toy": {"type": "Toy"},
            "left": {"type": f"{PLACEHOLDER}Other"},
        },
    }
    problems = check_workflow(Workflow.from_dict(document), registry, ENVIRONMENT)
    assert [problem.hint for problem in problems] == [
        "Run `nodegraph pack add speaker`.",
        "Install it, or give its file or folder with --pack.",
        "Run `nodegraph pack add speaker`.",
        "Run `nodegraph pack add ComfyUI_Toys`.",
        "Run `nodegraph pack add ComfyUI_Toys`. Then import the workflow again.",
    ]


# Locks


def locked(tmp_path: Path, wheels: Path, **options: Any) -> dict[str, Any]:
    """A lock of a pack with an environment, made in a home of its own."""
    wheel(wheels, "iniconfig_toy", "1.0")
    root = project(tmp_path, "speaker_locked", needs=("iniconfig_toy", "numpy"))
    if options.get("is_git"):
        commit(root)
        operations(tmp_path / "first").add(root.as_uri())
    else:
        operations(tmp_path / "first").add(str(root))
    document: dict[str, Any] = operations(tmp_path / "first").lock(["speaker_locked"])
    return json.loads(json.dumps(document))


def test_a_lock_makes_the_same_environment_in_another_home(tmp_path: Path, wheels: Path) -> None:
    document = locked(tmp_path, wheels, is_git=True)
    wheel(wheels, "iniconfig_toy", "1.1")  # newer than the lock
    second = operations(tmp_path / "second")
    done = second.sync(document, tmp_path)
    assert done["speaker_locked"] is not None
    (first,), (other,) = installed_here(tmp_path / "first"), installed_here(tmp_path / "second")
    assert first.isolation is not None
    assert other.isolation is not None
    assert first.isolation.lock == other.isolation.lock
    assert other.isolation.trusted is False
    assert second.sync(document, tmp_path) == {"speaker_locked": None}


@pytest.mark.slow
def test_a_package_with_another_digest_than_locked_is_refused(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = locked(tmp_path, wheels, is_git=True)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    wheel(wheels, "iniconfig_toy", "1.0", {"iniconfig_toy.py": "VERSION = 'another'"})
    with pytest.raises(PackError, match=r"(?i)hash"):
        operations(tmp_path / "second").sync(document, tmp_path)
    document["packs"]["speaker_locked"]["environment"]["platform"] = "amiga"
    with pytest.raises(PackError, match=f"(?s)on another platform.*amiga.*{PLATFORM}.*resolved"):
        operations(tmp_path / "second").sync(document, tmp_path)
    assert installed_here(tmp_path / "second") == []


@pytest.mark.slow
def test_a_lock_for_another_python_is_refused(tmp_path: Path, wheels: Path) -> None:
    document = locked(tmp_path, wheels)
    document["packs"]["speaker_locked"]["environment"]["python"] = "3.99"
    with pytest.raises(PackError, match=r"locked for another Python \(given: 3.99"):
        operations(tmp_path / "second").sync(document, tmp_path)


@pytest.mark.slow
def test_versions_of_the_locks_host_are_installed_where_this_host_has_others(
    tmp_path: Path, wheels: Path
) -> None:
    document = locked(tmp_path, wheels)
    host = document["packs"]["speaker_locked"]["environment"]["host"]
    host["iniconfig"] = "0.5"
    wheel(wheels, "iniconfig", "0.5")
    plan = operations(tmp_path / "second").sync(document, tmp_path)["speaker_locked"]
    assert plan is not None
    assert plan.lock is not None
    assert [each.name for each in plan.lock.packages] == ["iniconfig", "iniconfig-toy"]
    assert host_versions()["iniconfig"] != "0.5"


@pytest.mark.slow
def test_a_linked_folder_that_differs_is_refused(tmp_path: Path, wheels: Path) -> None:
    document = locked(tmp_path, wheels)
    (tmp_path / "speaker_locked" / "more.txt").write_text("")
    with pytest.raises(PackError, match="is a linked folder, whose files differ here"):
        operations(tmp_path / "second").sync(document, tmp_path)


def test_a_wheel_is_looked_for_beside_the_lock(tmp_path: Path) -> None:
    made = wheel(tmp_path / "there", "speaker", "1.0", {"speaker.py": CODE}, points=POINTS)
    operations(tmp_path / "first").add(str(made))
    document = operations(tmp_path / "first").lock(["speaker"])
    (tmp_path / "here").mkdir()
    made.rename(tmp_path / "here" / made.name)
    done = operations(tmp_path / "second").sync(document, tmp_path / "here")
    assert done["speaker"] is not None
    assert len(installed_here(tmp_path / "second")) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"name": "a\n--index-url https://example.org"}, id="line"),
        pytest.param({"version": "1 --hash=x"}, id="option"),
        pytest.param({"hashes": ["sha256:a\n-e ."]}, id="digest"),
        pytest.param({"url": "git+https://example.org/a.git"}, id="address"),
    ],
)
def test_a_lock_of_others_cannot_have_code_installed(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    root = project(tmp_path, "speaker_evil")
    commit(root)
    home = operations(tmp_path / "first")
    home.add(root.as_uri())
    document = json.loads(json.dumps(home.lock(["speaker_evil"])))
    package = {"name": "a", "version": "1", "hashes": ["sha256:" + "0" * 64], **change}
    document["packs"]["speaker_evil"]["environment"] = {
        "python": document["python"],
        "platform": document["platform"],
        "layer": "all",
        "requires": [],
        "packages": [package],
        "host": {},
    }
    with pytest.raises((InvalidFile, PackError), match=r"not allowed there|from addresses"):
        operations(tmp_path / "second").sync(document, tmp_path)
    assert installed_here(tmp_path / "second") == []


def test_what_is_no_lock_is_refused(tmp_path: Path) -> None:
    row = {"source": {"kind": "git", "address": "x"}, "environment": None, "host": None}
    rows = {"format": "nodegraph-packs/1", "python": "3", "platform": "", "packs": {"a": row}}
    for document in ([], {"format": "nodegraph/1"}, {**rows, "packs": [1]}, rows):
        with pytest.raises(InvalidFile, match="this is no lock of packs"):
            operations(tmp_path / "home").sync(document, tmp_path)


def test_a_pack_under_another_name_gets_the_updates_of_its_own_entry(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    project(folder, "speaker")
    project(folder, "mine", word="stranger")
    write_index(folder)
    index = (str(folder),)
    operations(tmp_path / "home", index).add("speaker", InstallOptions(name="mine"))
    assert operations(tmp_path / "home", index).update("mine") is None
    project(folder, "speaker", version="2.0")
    write_index(folder)
    assert operations(tmp_path / "home", index).update("mine") is not None
    (pack,) = installed_here(tmp_path / "home")
    assert (pack.name, pack.package, pack.version) == ("mine", "speaker.nodes", "2.0")


@pytest.mark.parametrize("by", ["index", "git"])
def test_an_update_brings_files_that_are_gone(tmp_path: Path, by: str) -> None:
    folder = tmp_path / "shared"
    root = project(folder, "speaker")
    write_index(folder)
    commit(root)
    home = operations(tmp_path / "home", (str(folder),))
    home.add("speaker" if by == "index" else root.as_uri())
    rmtree(home.folder.sources)
    assert home.update("speaker") is not None
    assert home.folder.faults(home.folder.get("speaker"), host_versions()) == []
    assert home.update("speaker") is None


def test_a_sync_without_trust_takes_trust_away(tmp_path: Path) -> None:
    made = wheel(tmp_path / "there", "speaker", "1.0", {"speaker.py": CODE}, points=POINTS)
    home = operations(tmp_path / "home")
    home.add(str(made))
    document = home.lock(["speaker"])
    assert home.sync(document, tmp_path) == {"speaker": None}
    assert home.folder.get("speaker").trusted
    home.sync(document, tmp_path, InstallOptions(trusted=False))
    assert not home.folder.get("speaker").trusted


def test_a_name_in_any_letters_leads_to_the_index(tmp_path: Path) -> None:
    root = tmp_path / "shared" / "größe"
    root.mkdir(parents=True)
    (root / "nodes.py").write_text(CODE)
    write_index(tmp_path / "shared")
    operations(tmp_path / "home", (str(tmp_path / "shared"),)).add("größe")
    assert [pack.name for pack in installed_here(tmp_path / "home")] == ["größe"]


def test_an_entry_whose_folder_is_not_there_is_told(tmp_path: Path) -> None:
    root = project(tmp_path / "shared", "speaker")
    write_index(tmp_path / "shared")
    rmtree(root)
    with pytest.raises(PackError, match="there is no folder"):
        operations(tmp_path / "home", (str(tmp_path / "shared"),)).add("speaker")
