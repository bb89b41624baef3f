"""Packs are installed with what they need, beside other packs that need other versions of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import psutil
import pytest

from nodegraph import Settings
from nodegraph.errors import InvalidFile, InvalidValue, PackError
from nodegraph.packs.installation.environments import EnvironmentLock, host_versions, run_tool
from nodegraph.packs.installation.installed import installed_here
from nodegraph.packs.installation.installers import python_of, uv_settings
from nodegraph.packs.installation.plans import InstallOptions
from nodegraph.packs.installation.sources import PackSource, iter_files, parse_source
from nodegraph.packs.pack import Pack
from nodegraph.packs.registry import Registry
from nodegraph.session.node_types import NodeTypes
from tests.packs.installing import (
    COMFY,
    INSTALLERS,
    comfy_project,
    commit,
    operations,
    project,
    sha256,
    wheel,
    wheels,
    write,
)

__all__ = ["wheels"]

ROOT = Path(__file__).parents[2]

PRINT = """
import json, sys
import iniconfig_toy, nodegraph
print(json.dumps([iniconfig_toy.VERSION, nodegraph.__file__]))
"""


def said(packs: list[Pack], node_type: str, text: str) -> Any:
    """What a node of one input returns, run in this process."""
    registry = Registry(packs)
    assert registry.problems == []
    return registry.definition(node_type).function(text)


def left_in(home: Path) -> list[str]:
    """Names of what lies in the home's folder of packs, without locks."""
    folder = home / "packs"
    names = [path for part in ("environments", "sources") for path in (folder / part).glob("*")]
    return [path.name for path in names] + [path.name for path in folder.glob(".making*")]


# Where packs run


def test_a_pack_whose_needs_fit_runs_in_this_process(tmp_path: Path) -> None:
    root = project(tmp_path, "speaker_fits", needs=("numpy>=1.26", "nodegraph"))
    plan = operations(tmp_path / "home").add(str(root))
    (pack,) = installed_here(tmp_path / "home")
    assert (plan.unmet, plan.lock, plan.reasons) == ((), None, ())
    assert pack.isolation is None
    assert said([pack], "speaker_fits:Say", "world") == "hello world"


def test_an_edit_of_a_linked_folder_counts_and_one_of_a_copied_folder_does_not(
    tmp_path: Path,
) -> None:
    linked, copied = project(tmp_path, "speaker_linked"), project(tmp_path, "speaker_copied")
    at_home = operations(tmp_path / "home")
    at_home.add(str(linked))
    at_home.add(str(copied), InstallOptions(copy=True))
    for root in (linked, copied):
        (root / "src" / root.name / "helper.py").write_text('WORD = "edited"')
    packs = installed_here(tmp_path / "home")
    assert said(packs, "speaker_linked:Say", "x") == "edited x"
    assert said(packs, "speaker_copied:Say", "x") == "hello x"


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_need_that_is_missing_gives_an_environment_with_nothing_else(
    tmp_path: Path, wheels: Path, installer: Any
) -> None:
    made = wheel(wheels, "iniconfig_toy", "1.5", needs=("packaging",))
    home = tmp_path / "home"
    root = project(tmp_path, needs=("iniconfig_toy>=1",))
    plan = operations(home).add(str(root), InstallOptions(installer=installer))
    assert plan.unmet == ("iniconfig_toy>=1 (absent here)",)
    (pack,) = installed_here(home)
    assert pack.isolation is not None
    environment = Path(pack.isolation.python).parents[1]
    lock = json.loads((environment / "lock.json").read_text())
    assert [(row["name"], row["version"]) for row in lock["packages"]] == [("iniconfig-toy", "1.5")]
    assert lock["packages"][0]["hashes"] == [f"sha256:{sha256(made)}"]
    assert lock["host"] == {"packaging": host_versions()["packaging"]}
    answer = json.loads(run_tool([pack.isolation.python, "-c", PRINT], "asking", seconds=100))
    assert answer == ["1.5", sys.modules["nodegraph"].__file__]


@pytest.mark.slow
@pytest.mark.parametrize("installer", INSTALLERS)
def test_packs_that_need_different_versions_get_environments_of_their_own(
    tmp_path: Path, wheels: Path, installer: Any
) -> None:
    for version in ("1.0", "2.0"):
        wheel(wheels, "iniconfig_toy", version)
    home, options = tmp_path / "home", InstallOptions(installer=installer)
    for name, need in (("older", "iniconfig_toy<2"), ("newer", "iniconfig_toy>=2")):
        operations(home).add(str(project(tmp_path, name, needs=(need,))), options)
    versions = {}
    for pack in installed_here(home):
        assert pack.isolation is not None
        printed = run_tool([pack.isolation.python, "-c", PRINT], "asking", seconds=100)
        versions[pack.name] = json.loads(printed)[0]
    assert versions == {"older": "1.0", "newer": "2.0"}


@pytest.mark.parametrize("installer", INSTALLERS)
def test_another_version_than_the_hosts_lies_in_front_of_it(
    tmp_path: Path, wheels: Path, installer: Any
) -> None:
    wheel(wheels, "iniconfig", "0.5", {"iniconfig.py": "VERSION = '0.5'"})
    home, root = tmp_path / "home", project(tmp_path, needs=("iniconfig<1", "numpy"))
    plan = operations(home).add(str(root), InstallOptions(installer=installer))
    assert plan.unmet == (f"iniconfig<1 ({host_versions()['iniconfig']} here)",)
    assert plan.lock is not None
    assert [each.name for each in plan.lock.packages] == ["iniconfig"]
    assert plan.lock.host["numpy"] == host_versions()["numpy"]
    (pack,) = installed_here(home)
    assert pack.isolation is not None
    command = [pack.isolation.python, "-c", "import iniconfig; print(iniconfig.VERSION)"]
    assert run_tool(command, "asking", seconds=100).strip() == "0.5"


@pytest.mark.slow
@pytest.mark.parametrize("installer", INSTALLERS)
def test_needs_that_cannot_be_met_are_told_and_leave_nothing(
    tmp_path: Path, wheels: Path, installer: Any
) -> None:
    home, root = tmp_path / "home", project(tmp_path, needs=("iniconfig_toy>=9",))
    wheel(wheels, "iniconfig_toy", "1.0")
    with pytest.raises(PackError, match=r"resolving the needs of speaker failed: (?s:.*)iniconfig"):
        operations(home).add(str(root), InstallOptions(installer=installer))
    assert installed_here(home) == []
    assert left_in(home) == []


@pytest.mark.slow
def test_needs_that_conflict_with_those_of_nodegraph_are_refused(
    tmp_path: Path, wheels: Path
) -> None:
    wheel(wheels, "msgpack", "0.1")
    with pytest.raises(PackError, match="conflict with each other, with those of nodegraph"):
        operations(tmp_path / "home").add(str(project(tmp_path, needs=("msgpack<1",))))


@pytest.mark.slow
def test_a_torch_of_another_version_is_told_before_as_a_cost(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "torch", "2.8.77")
    plans = []
    home = operations(tmp_path / "home", confirm=lambda plan: plans.append(plan) is not None)
    home.add(str(project(tmp_path, needs=("torch==2.8.77",))))
    assert [("its own torch, 2.8.77" in plan.costs[0]) for plan in plans] == [True]
    assert installed_here(tmp_path / "home") == []
    assert left_in(tmp_path / "home") == []


def test_a_pack_for_another_python_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path, more='requires-python = ">=3.99"')
    with pytest.raises(PackError, match=r"needs another Python \(given: 3.*expected: >=3.99\)"):
        operations(tmp_path / "home").add(str(root))


@pytest.mark.parametrize(
    ("files", "package"),
    [
        pytest.param({"flat_tones.py": "{}"}, "nodegraph_packs.kit_of_tones", id="folder"),
        pytest.param({"__init__.py": "", "b.py": "{}"}, "kit_of_tones", id="package"),
        pytest.param({"inner/__init__.py": "", "inner/a.py": "{}"}, "inner", id="package inside"),
    ],
)
def test_nodes_without_an_entry_point_are_found_in_the_source(
    tmp_path: Path, files: dict[str, str], package: str
) -> None:
    text = "from nodegraph import node\n\n@node\ndef Same(text: str) -> str:\n    return text\n"
    root = write(tmp_path / "kit_of_tones", {name: part and text for name, part in files.items()})
    plan = operations(tmp_path / "home").add(str(root))
    assert plan.project.node_types == ("Same",)
    (pack,) = installed_here(tmp_path / "home")
    assert (pack.package, pack.isolation) == (package, None)
    assert said([pack], f"{pack.name}:Same", "x") == "x"


def test_a_folder_without_nodes_is_refused_and_its_code_does_not_run(tmp_path: Path) -> None:
    root = write(tmp_path / "empty", {"__init__.py": "raise SystemExit('it ran')"})
    with pytest.raises(PackError, match="has no node types"):
        operations(tmp_path / "home").add(str(root))


# ComfyUI's packs


def test_scripts_and_needs_of_comfyui_packs_count_only_if_they_are_allowed(
    tmp_path: Path, wheels: Path
) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    script = "import sys; open('ran.txt', 'w').write(sys.prefix)"
    index = "--extra-index-url https://example.org/\n"
    root = comfy_project(tmp_path, install=script, requirements=f"{index}iniconfig_toy\n")
    home = operations(tmp_path / "home")
    careful = home.add(str(root))
    assert (careful.project.kind, careful.project.node_types) == ("comfyui", ("Other", "Toy"))
    assert careful.unmet == ()
    assert not (root / "ran.txt").exists()
    (pack,) = installed_here(tmp_path / "home")
    assert pack.isolation is not None
    assert pack.isolation.kind == "comfyui"
    home.remove("ComfyUI_Toys")
    allowed = home.add(str(root), InstallOptions(allowed=("install.py", "requirements.txt")))
    (pack,) = installed_here(tmp_path / "home")
    assert pack.isolation is not None
    assert (root / "ran.txt").read_text() == str(Path(pack.isolation.python).parents[1])
    assert allowed.project.ignored == ("--extra-index-url https://example.org/",)
    assert allowed.lock is not None
    assert allowed.lock.packages[0].name == "iniconfig-toy"
    assert pack.isolation.allowed == ("install.py", "requirements.txt")


def test_an_install_script_of_an_untrusted_pack_is_refused(tmp_path: Path) -> None:
    root = comfy_project(tmp_path, install="open('ran.txt', 'w')")
    options = InstallOptions(trusted=False, allowed=("install.py",))
    with pytest.raises(PackError, match="runs with your rights, but the pack is not trusted"):
        operations(tmp_path / "home").add(str(root), options)
    assert not (root / "ran.txt").exists()


@pytest.mark.slow
def test_what_an_install_script_installs_is_in_the_lock(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    script = (
        "import subprocess, sys; subprocess.check_call("
        "[sys.executable, '-m', 'pip', 'install', '--quiet', 'iniconfig_toy'])"
    )
    home = operations(tmp_path / "home")
    home.add(str(comfy_project(tmp_path, install=script)), InstallOptions(allowed=("install.py",)))
    lock = home.folder.get("ComfyUI_Toys").current.lock
    assert lock is not None
    assert [(each.name, each.version) for each in lock.packages] == [("iniconfig-toy", "1.0")]


def test_a_wheel_of_a_comfyui_pack_is_found_by_its_package(tmp_path: Path) -> None:
    made = wheel(tmp_path, "comfy_toys", "0.3", {"comfy_toys/__init__.py": COMFY_TEXT})
    home = operations(tmp_path / "home")
    plan = home.add(str(made))
    assert (plan.name, plan.project.version, plan.project.kind) == ("comfy_toys", "0.3", "comfyui")
    (pack,) = installed_here(tmp_path / "home")
    assert (pack.root / "__init__.py").is_file()


COMFY_TEXT = "NODE_CLASS_MAPPINGS = {}\n"


@pytest.mark.parametrize("value", ["comfy_points.own.nodes", "comfy_points.own.nodes:anything"])
def test_an_entry_point_names_the_module_of_a_comfyui_pack(tmp_path: Path, value: str) -> None:
    """Its modules import from the package that it lies in, which counts whole."""
    files = {
        "comfy_points/__init__.py": "",
        "comfy_points/names.py": 'NAME = "Toy"\n',
        "comfy_points/own/__init__.py": "",
        "comfy_points/own/nodes.py": COMFY.replace(
            "class Toy", "from ..names import NAME\n\nclass Toy"
        ).replace('"Other"', "NAME * 2"),
    }
    points = f"[comfyui.custom_nodes]\nComfyPoints = {value}\n"
    made = wheel(tmp_path, "comfy_points", "0.3", files, points=points)
    home = tmp_path / "home"
    plan = operations(home).add(str(made))
    assert (plan.name, plan.project.kind) == ("ComfyPoints", "comfyui")
    types = NodeTypes(Settings(home=home, leave_out=("diffusers",)))
    assert types.registry.problems == []
    assert types.registry.types_of("ComfyPoints") == ["ComfyPoints:Toy", "ComfyPoints:ToyToy"]
    (pack,) = installed_here(home)
    assert str(pack.root / "names.py") in pack.snapshot().listing.files
    types.close()


def test_an_entry_point_of_a_module_that_is_not_there_is_told(tmp_path: Path) -> None:
    points = "[comfyui.custom_nodes]\npoints = comfy_points.missing\n"
    files = {"comfy_points/__init__.py": COMFY_TEXT}
    made = wheel(tmp_path, "comfy_points", "0.3", files, points=points)
    with pytest.raises(PackError, match="names the pack `points`, which it does not contain"):
        operations(tmp_path / "home").add(str(made))


# Changes


@pytest.mark.slow
def test_an_update_keeps_the_former_version_for_a_rollback(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    root = project(tmp_path, "speaker_git", needs=("iniconfig_toy",), word="one")
    first = commit(root)
    home, options = operations(tmp_path / "home"), InstallOptions(trusted=True)
    home.add(root.as_uri(), options)
    assert home.update("speaker_git") is None
    project(tmp_path, "speaker_git", needs=("iniconfig_toy",), word="two", version="2.0")
    second = commit(root)
    assert home.update("speaker_git") is not None
    pack = home.folder.get("speaker_git")
    assert [each.source.commit for each in pack.versions] == [second, first]
    assert home.rollback("speaker_git").current.source.commit == first
    (former,) = installed_here(tmp_path / "home")
    assert "one" in (former.root.parent / "helper.py").read_text()
    assert home.rollback("speaker_git").current.version == "2.0"


@pytest.mark.parametrize("name", ["v1", "main", "commit"])
def test_a_revision_of_git_is_a_branch_a_tag_or_a_commit(tmp_path: Path, name: str) -> None:
    root = project(tmp_path, "speaker_tag")
    first = commit(root)
    subprocess.run(["git", "tag", "v1"], cwd=root, check=True)
    (root / "more.txt").write_text("")
    second = commit(root)
    revision = first if name == "commit" else name
    plan = operations(tmp_path / "home").add(f"git+{root.as_uri()}@{revision}")
    assert plan.source.commit == (second if name == "main" else first)
    assert plan.trusted is False


@pytest.mark.slow
def test_a_linked_project_whose_needs_have_changed_gets_another_environment(
    tmp_path: Path, wheels: Path
) -> None:
    for version in ("1.0", "2.0"):
        wheel(wheels, "iniconfig_toy", version)
    home = operations(tmp_path / "home")
    home.add(str(project(tmp_path, needs=("iniconfig_toy<2",))))
    before = installed_here(tmp_path / "home")[0].isolation
    project(tmp_path, needs=("iniconfig_toy>=2",))
    assert home.update("speaker") is not None
    after = installed_here(tmp_path / "home")[0].isolation
    assert before is not None
    assert after is not None
    assert before.lock != after.lock
    assert python_of(Path(before.python).parents[1]).exists()  # for a rollback


@pytest.mark.slow
def test_a_removed_pack_leaves_nothing_unless_its_environment_is_to_stay(
    tmp_path: Path, wheels: Path
) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    home, root = operations(tmp_path / "home"), project(tmp_path, needs=("iniconfig_toy",))
    home.add(str(root), InstallOptions(copy=True))
    assert len(left_in(tmp_path / "home")) == 2
    home.remove("speaker", keep_environment=True)
    (environment,) = left_in(tmp_path / "home")
    assert (tmp_path / "home/packs/environments" / environment / "lock.json").is_file()
    assert root.is_dir()
    home.add(str(root))
    home.remove("speaker")
    assert installed_here(tmp_path / "home") == []


@pytest.mark.slow
def test_an_environment_stays_as_long_as_another_pack_uses_it(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    home = operations(tmp_path / "home")
    for name in ("first", "second"):
        home.add(str(project(tmp_path, name, needs=("iniconfig_toy",))))
    assert len(left_in(tmp_path / "home")) == 1
    home.remove("first")
    (pack,) = installed_here(tmp_path / "home")
    assert pack.isolation is not None
    assert Path(pack.isolation.python).exists()


def test_a_disabled_pack_is_not_loaded(tmp_path: Path) -> None:
    home = operations(tmp_path / "home")
    home.add(str(project(tmp_path, "speaker_off")))
    home.set_enabled("speaker_off", False)
    assert installed_here(tmp_path / "home") == []
    home.set_enabled("speaker_off", True)
    assert len(installed_here(tmp_path / "home")) == 1


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    home, root = operations(tmp_path / "home"), project(tmp_path)
    home.add(str(root))
    with pytest.raises(InvalidValue, match="`speaker` is installed"):
        home.add(str(root))
    home.add(str(root), InstallOptions(name="other"))
    assert {pack.name for pack in installed_here(tmp_path / "home")} == {"other", "speaker"}


@pytest.mark.parametrize("name", ["nodegraph", "comfyui", "a" * 101])
def test_a_name_that_workflows_use_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    root = str(project(tmp_path))
    with pytest.raises(InvalidValue, match="a pack cannot have this name"):
        operations(tmp_path / "home").add(root, InstallOptions(name=name))


# Faults


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('project.dependencies = "numpy"', id="letters would be requirements"),
        pytest.param("project.dependencies = [1]", id="number"),
        pytest.param('project = "x"', id="project"),
        pytest.param('project.entry-points = "x"', id="entry points"),
        pytest.param('project.entry-points."nodegraph.nodes" = "x"', id="group"),
        pytest.param('tool.setuptools.dynamic = "x"', id="dynamic"),
        pytest.param("tool.setuptools.dynamic.dependencies.file = 3", id="file"),
        pytest.param('tool.setuptools.packages.find.where = "src"', id="where"),
    ],
)
def test_an_entry_of_another_kind_in_a_project_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyproject.toml").write_text(line)
    (tmp_path / "nodes.py").write_text("from nodegraph import node\n\n@node\ndef A(): ...\n")
    with pytest.raises(InvalidFile, match="is of another kind"):
        operations(tmp_path / "home").add(str(tmp_path))


def _scrambled(data: bytearray) -> None:
    start = data.find(b"speaker.py") + len("speaker.py")
    data[start + 2 : start + 20] = b"\xff" * 18


def _locked(data: bytearray) -> None:
    data[data.find(b"PK\1\2") + 8] |= 1


@pytest.mark.parametrize("spoil", [_scrambled, _locked])
def test_a_wheel_that_cannot_be_unpacked_is_told(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "speaker-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("speaker.py", "x = 1\n" * 100)
    data = bytearray(path.read_bytes())
    spoil(data)
    path.write_bytes(data)
    with pytest.raises(InvalidFile, match=r"is damaged|cannot be unpacked"):
        operations(tmp_path / "home").add(str(path))


def test_a_wheel_with_damaged_entry_points_is_told(tmp_path: Path) -> None:
    path = wheel(tmp_path, "speaker", "1.0", points="no section\n")
    with pytest.raises(InvalidFile, match=r"entry_points.txt cannot be read"):
        operations(tmp_path / "home").add(str(path))


def test_files_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    home = operations(tmp_path / "home")
    home.folder.root.mkdir(parents=True)
    home.folder.sources.write_text("in the way")
    with pytest.raises(PackError, match="cannot be changed: Not a directory"):
        home.add(str(project(tmp_path)), InstallOptions(copy=True))


KILLED = """
import os, sys
from pathlib import Path
from tests.packs.installing import operations
from nodegraph.packs.installation.plans import InstallOptions
from nodegraph.packs.installation.sources import PackSource, parse_source
home = operations(Path(sys.argv[1]), confirm=lambda plan: os._exit(9))
home.add(sys.argv[2], InstallOptions(copy=True))
"""


def test_an_installation_that_is_killed_leaves_the_packs_as_they_were(tmp_path: Path) -> None:
    home, root = tmp_path / "home", project(tmp_path, "speaker_killed")
    operations(home).add(str(project(tmp_path, "speaker_there")))
    code = subprocess.run(
        [sys.executable, "-c", KILLED, home, root], check=False, cwd=ROOT
    ).returncode
    assert code == 9
    assert [pack.name for pack in installed_here(home)] == ["speaker_there"]
    operations(home).add(str(root))
    assert len(installed_here(home)) == 2
    assert left_in(home) == []


@pytest.mark.slow
def test_an_environment_that_was_not_finished_is_built_anew(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    home, root = operations(tmp_path / "home"), project(tmp_path, needs=("iniconfig_toy",))
    plan = home.add(str(root))
    assert plan.lock is not None
    folder = home.folder.environments / plan.lock.folder_name
    (folder / "lock.json").unlink()
    (faults,) = (home.folder.faults(home.folder.get("speaker"), host_versions()),)
    assert faults == ["its environment is gone"]
    assert home.update("speaker") is None
    assert home.folder.faults(home.folder.get("speaker"), host_versions()) == []


def test_installations_at_one_time_exclude_each_other(tmp_path: Path) -> None:
    roots = [project(tmp_path, f"speaker_{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda root: operations(tmp_path / "home").add(str(root)), roots))
    assert len(installed_here(tmp_path / "home")) == 4


def test_a_damaged_list_is_told(tmp_path: Path) -> None:
    home = operations(tmp_path / "home")
    home.add(str(project(tmp_path)))
    text = home.folder.file.read_text()
    home.folder.file.write_text(text.replace('"trusted": true', '"trusted": false'))
    with pytest.raises(PackError, match="checksum does not match"):
        installed_here(tmp_path / "home")


@pytest.mark.slow
def test_another_version_of_a_package_of_the_host_is_noticed(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    home = operations(tmp_path / "home")
    home.add(str(project(tmp_path, needs=("iniconfig_toy", "numpy"))))
    pack, other = home.folder.get("speaker"), {**host_versions(), "numpy": "99.0"}
    (fault,) = home.folder.faults(pack, other)
    assert fault == f"numpy {host_versions()['numpy']} is now 99.0"
    lock = pack.current.lock
    assert lock is not None
    assert lock.effective_digest(host_versions()) != lock.effective_digest(other)


@pytest.mark.parametrize(
    "text",
    [
        "--upload-pack=touch x",
        "ext::sh -c touch% x",
        "git+ext::sh -c x",
        "https://example.org/a.git@--upload-pack=x",
        "fd::7",
        "no such folder",
        "./gone",
    ],
)
def test_addresses_that_git_must_not_get_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidValue):
        operations(tmp_path / "home").add(text)


def test_a_folder_has_one_address_and_may_have_any_name(tmp_path: Path) -> None:
    root = project(tmp_path / "my packs::a")
    (root.parent / "x").mkdir()
    source = parse_source(str(root.parent / "x" / ".." / root.name / "."))
    assert source is not None
    assert (source.kind, source.address) == ("link", str(root))


@pytest.mark.parametrize("name", ["../out.py", "/out.py", "a/../../out.py", "c:\\out.py"])
def test_a_wheel_whose_files_would_lie_outside_is_refused(tmp_path: Path, name: str) -> None:
    made = wheel(tmp_path, "toys", "1.0", {name: "x = 1"})
    with pytest.raises(InvalidFile, match="would lie outside"):
        operations(tmp_path / "home").add(str(made))
    assert not (tmp_path / "out.py").exists()
    assert left_in(tmp_path / "home") == []


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "secrets").symlink_to(tmp_path)
    with pytest.raises(InvalidFile, match="leads outside of the pack"):
        operations(tmp_path / "home").add(str(root), InstallOptions(copy=True))


def test_a_link_of_an_untrusted_pack_leads_nowhere_else(tmp_path: Path) -> None:
    """Also where the folder stays where it is: the sandbox does not see what it leads to."""
    root = project(tmp_path)
    (tmp_path / "secret.txt").write_text("x")
    (root / "secret.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InvalidFile, match="leads outside of the pack"):
        operations(tmp_path / "home").add(str(root), InstallOptions(trusted=False))
    operations(tmp_path / "home").add(str(root), InstallOptions(trusted=True))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_only_regular_files_of_a_folder_are_read(tmp_path: Path) -> None:
    """To read a pipe or a device would never end."""
    (tmp_path / "a.py").write_text("")
    os.mkfifo(tmp_path / "b.py")
    (tmp_path / "c.py").symlink_to("/dev/zero")
    assert [path.name for path in iter_files(tmp_path)] == ["a.py"]
    assert [path.name for path in iter_files(tmp_path, links=True)] == ["a.py", "c.py"]


def test_a_folder_keeps_a_harmless_name(tmp_path: Path) -> None:
    assert parse_source("https://example.org/..").base_name == "pack"  # type: ignore[union-attr]
    assert PackSource("git", "https://example.org/a b\\..").base_name == "pack"


def test_an_untrusted_pack_builds_nothing(tmp_path: Path, wheels: Path) -> None:
    root = project(tmp_path, needs=("toy @ https://example.org/toy.tar.gz",))
    with pytest.raises(PackError, match="needs packages from addresses"):
        operations(tmp_path / "home").add(str(root), InstallOptions(trusted=False))


def test_a_failing_program_says_why_first_and_hides_passwords() -> None:
    line = "'a\\n' * 50 + 'error: no https://me:secret@host/x'"
    text = f"import sys; print({line}, file=sys.stderr); sys.exit(1)"
    with pytest.raises(PackError, match="reading failed: error: no https://\\*\\*\\*@host/x"):
        run_tool([sys.executable, "-c", text], "reading", seconds=60)


def test_a_program_that_takes_too_long_ends_with_what_it_started(tmp_path: Path) -> None:
    inner = f"import time; time.sleep(2); open({str(tmp_path / 'late')!r}, 'w')"
    text = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {inner!r}]);"
        "time.sleep(600)"
    )
    with pytest.raises(PackError, match="took longer than 1 s"):
        run_tool([sys.executable, "-c", text], "waiting", seconds=1)


def test_a_program_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = f"""
import sys, threading, time
from pathlib import Path
from nodegraph.packs.installation.environments import run_tool
text = "import os, time, pathlib as p; p.Path('pid.new').write_text(str(os.getpid()));" \\
    "p.Path('pid.new').rename('pid'); time.sleep(600)"
command, folder = [sys.executable, "-c", text], Path({str(tmp_path)!r})
threading.Thread(
    target=run_tool, args=(command, "a"), kwargs=dict(seconds=600, folder=folder), daemon=True
).start()
while not (folder / "pid").exists():
    time.sleep(0.01)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with suppress(psutil.NoSuchProcess):
        program = psutil.Process(int((tmp_path / "pid").read_text()))
        if program.status() != psutil.STATUS_ZOMBIE:
            program.wait(timeout=20)


# Settings and sessions


def test_uv_gets_the_indexes_of_pip(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example.org/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.example.org https://b.example.org")
    monkeypatch.setenv("PIP_CERT", "/etc/ours.pem")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    flags, variables = uv_settings()
    text = " ".join(flags)
    assert "--default-index https://mirror.example.org/simple" in text
    assert "--index https://a.example.org --index https://b.example.org" in text
    assert f"--find-links {wheels}" in text
    assert "--no-index" in flags
    assert variables == {"SSL_CERT_FILE": "/etc/ours.pem"}
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example.org")
    assert uv_settings() == ([], {})


def test_a_running_session_takes_up_what_is_installed(tmp_path: Path, known_specs: Path) -> None:
    home = tmp_path / "home"
    copytree(known_specs, home / "cache" / "specs")
    types = NodeTypes(Settings(home=home, leave_out=("diffusers",)))
    assert types.registry.spec("speaker_taken:Say") is None
    operations(home).add(str(project(tmp_path, "speaker_taken")))
    assert types.refresh()
    assert types.registry.spec("speaker_taken:Say") is not None
    operations(home).remove("speaker_taken")
    assert types.refresh()
    assert types.registry.spec("speaker_taken:Say") is None
    types.close()


def test_a_lock_survives_writing_and_reading() -> None:
    lock = EnvironmentLock(("a",), (), {"b": "1"}, "torch", salt="x")
    assert EnvironmentLock.from_dict(json.loads(json.dumps(lock.to_dict()))) == lock
    assert replace(lock, salt="").folder_name != lock.folder_name
    with pytest.raises(InvalidFile):
        EnvironmentLock.from_dict({"packages": os.sep})
