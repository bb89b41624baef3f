"""Packs: found, read, cached, imported, and kept from hurting each other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from shutil import rmtree

import pytest

from nodegraph.api import node
from nodegraph.core.analysis import check_workflow
from nodegraph.core.workflow import Workflow
from nodegraph.errors import PackError
from nodegraph.packs.code_digests import CodeDigests
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import Pack, installed_packs, pack_at, packs_in
from nodegraph.packs.registry import Registry
from nodegraph.session.settings import Settings
from tests.messages import raises

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def blur(image): return image\n", "declares no nodes. Put `@node`"),
        ("NODE_CLASS_MAPPINGS = {'Invert': object}\n", "NODE_CLASS_MAPPINGS are ComfyUI nodes"),
    ],
)
def test_a_pack_of_which_nothing_is_taken_is_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plain_pack.py"
    file.write_text(text)
    registry = Registry([pack_at(file)])
    assert registry.node_types() == []
    (problem,) = registry.problems
    assert said in problem


def test_a_module_that_is_no_python_hurts_no_other_that_may_import_it(folder: Path) -> None:
    """Nobody can tell what a name that is computed imports: it may be any module of the pack."""
    finder = "import importlib\nfind = lambda name: importlib.import_module(name)\n"
    (folder / "finder.py").write_text(HEADER + finder + node_text("Finder"))
    (folder / "broken.py").write_text("def (\n")
    registry = Registry([pack_at(folder)])
    assert f"{folder.name}:Finder" in registry.node_types()
    before = registry.code_digest(f"{folder.name}:Finder")
    (folder / "broken.py").write_text("def )\n")
    assert Registry([pack_at(folder)]).code_digest(f"{folder.name}:Finder") != before


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
    others = [pack for pack in installed_packs() if pack.name != "diffusers"]
    registry = Registry([*others, pack_at(folder)])
    assert f"{folder.name}:Other" in registry.node_types()
    assert "pack `gone`: no_such.package cannot be found" in registry.problems[0]


def test_one_name_twice_in_a_pack_is_told_and_hurts_no_other(folder: Path) -> None:
    (folder / "again.py").write_text(HEADER + node_text("Other"))
    registry = Registry([pack_at(folder)])
    (problem,) = registry.problems
    assert re.search(r"`Other` is declared in again\.py, line \d+ and in .*\.py, line", problem)
    assert registry.node_types() == [f"{folder.name}:Twice"]


WRONG = {
    "of: complex": "of",
    "of: 'Missing'": "of",
    "of: 'Image.no.such'": "of",
    "of": "of",
    "*of: int": "of",
    "a: int = 1, of: int = 'a'": "of",
    "of: Annotated[float, Range(0, 1)] = 2.0": "of",
    "of: Annotated[float, Range(2, 1)]": "of",
    "of: Literal['a', 'b'] = 'c'": "of",
}


@pytest.mark.parametrize("parameters", WRONG)
def test_a_function_that_cannot_be_a_node_hurts_no_other_of_its_file(
    tmp_path: Path, parameters: str
) -> None:
    wrong = f"@node\ndef Wrong({parameters}) -> int:\n    return 1\n"
    text = f"from typing import *\nfrom nodegraph import *\n{HEADER}{node_text('Right')}{wrong}"
    (tmp_path / "partly.py").write_text(text)
    registry = Registry([pack_at(tmp_path / "partly.py")])
    assert registry.node_types() == ["partly:Right"]
    assert registry.definition("partly:Right").function(2) == 2
    (problem,) = registry.problems
    assert re.search(r"pack `partly`: partly\.py, line \d+: node Wrong", problem)
    assert WRONG[parameters] in problem.split("node Wrong")[1]
    (told,) = check_workflow(
        Workflow.from_dict({"format": "nodegraph/1", "nodes": {"n": {"type": "partly:Wrong"}}}),
        registry,
        Settings(home=tmp_path).environment(),
    )
    assert "partly.py, line" in str(told)


_LOOP = """
from typing import Annotated
from nodegraph import Body, Context, Subgraph
@node
def Loop(items: list[int], body: Annotated[Subgraph, Body({"item": "items"}, {})]) -> int:
    "Runs a subgraph."
    return 1
"""


def test_a_node_that_its_pack_leaves_out_is_told_inside_a_body_too(tmp_path: Path) -> None:
    """Its own fault, among more of the pack."""
    wrong = "".join(f"@node\ndef Wrong{at}(a) -> int:\n    return 1\n" for at in range(5))
    pack, other = tmp_path / "partly.py", tmp_path / "loops.py"
    pack.write_text(HEADER + wrong)
    other.write_text(HEADER + _LOOP)
    graph = {
        "outputs": {"result": "wrong.result"},
        "nodes": {"wrong": {"type": "partly:Wrong4"}, "gone": {"type": "gone:Invert"}},
    }
    loop = {"type": "loops:Loop", "inputs": {"items": [1], "body": "row"}}
    nodes = {"loop": loop, "alone": {"type": "partly:Wrong4"}}
    document = {"format": "nodegraph/1", "nodes": nodes, "subgraphs": {"row": graph}}
    told = check_workflow(
        Workflow.from_dict(document),
        Registry([pack_at(pack), pack_at(other)]),
        Settings(home=tmp_path).environment(),
    )
    hints = {problem.node: problem.hint or "" for problem in told}
    for name in ("alone", "loop/wrong"):
        assert re.match(r"It was left out: pack `partly`: .*: node Wrong4: ", hints[name])
    assert hints["loop/gone"] == (
        "No pack `gone` is loaded. Install it, or give its file or folder with --pack."
    )


def test_two_nodes_of_one_name_in_a_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(HEADER + node_text("Same") + node_text("Same"))
    registry = Registry([pack_at(tmp_path / "two.py")])
    assert registry.node_types() == []
    assert "another function of this name in line" in registry.problems[0]


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


_COLOURED = """
from importlib.metadata import entry_points
from typing import Annotated
from nodegraph import Choices, node
COLOURS = [name for point in entry_points(group="toys.colours") for name in point.load()]

@node
def Paint(colour: Annotated[str, Choices(["grey", *COLOURS], entry_points="toys.colours")]) -> str:
    return colour
"""


def colours_offered(folder: Path) -> list[str]:
    """What Paint offers in a new process, with packages that lie in the folder `site`.

    What stands before it says whether a server takes what was read last for what there is now.
    """
    code = (
        "import sys; from pathlib import Path\n"
        "from nodegraph.packs.manifest import ManifestCache\n"
        "from nodegraph.packs.pack import pack_at\n"
        "from nodegraph.packs.registry import Registry\n"
        "from nodegraph.server.workflows.node_types import load_declared_types\n"
        "folder = Path(sys.argv[1]); sys.path.append(str(folder / 'site'))\n"
        "cache = ManifestCache(folder / 'cache')\n"
        "pack = pack_at(folder / 'coloured.py')\n"
        "print(load_declared_types([pack], folder / 'cache').is_current)\n"
        "registry = Registry([pack], manifests=cache)\n"
        "print(*registry.spec('coloured:Paint').inputs[0].json_schema['enum'])"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_choices_follow_the_packages_that_bring_them(tmp_path: Path) -> None:
    (tmp_path / "coloured.py").write_text(_COLOURED)
    (tmp_path / "site" / "colourful-1.dist-info").mkdir(parents=True)
    assert colours_offered(tmp_path) == ["False", "grey"]
    assert colours_offered(tmp_path) == ["True", "grey"]
    (tmp_path / "site" / "colourful.py").write_text("ALL = ['red']")
    for name, text in {
        "METADATA": "Name: colourful\nVersion: 1\n",
        "entry_points.txt": "[toys.colours]\nall = colourful:ALL\n",
    }.items():
        (tmp_path / "site" / "colourful-1.dist-info" / name).write_text(text)
    (tmp_path / "site" / "colourful-1.dist-info").rename(tmp_path / "site" / "c-1.dist-info")
    assert colours_offered(tmp_path) == ["False", "grey", "red"]
    (tmp_path / "site" / "colourful.py").write_text("ALL = ['red', 'green']\nMORE = ['blue']")
    assert colours_offered(tmp_path) == ["False", "grey", "red", "green"]
    assert colours_offered(tmp_path) == ["True", "grey", "red", "green"]
    points = tmp_path / "site" / "c-1.dist-info" / "entry_points.txt"
    for group, offered in {"toys.other": [], "toys.colours": ["blue"]}.items():
        points.write_text(f"[{group}]\nall = colourful:MORE\n")  # in place, as by hand
        assert colours_offered(tmp_path) == ["False", "grey", *offered]
    rmtree(tmp_path / "site" / "c-1.dist-info")
    assert colours_offered(tmp_path) == ["False", "grey"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"inputs"', b'"outputs"'),
        (b'{"stamp"', b'[{"stamp"'),
        (b'"type": "int"', b'"type": 5'),
        (b'"module"', b'"modules"'),
        (b"Twice", b"Thrice"),
    ],
)
def test_a_manifest_with_a_changed_byte_is_made_anew(
    tmp_path: Path, folder: Path, before: bytes, after: bytes
) -> None:
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")
    found = Registry([pack], manifests=cache).spec(f"{pack.name}:Twice")
    (file,) = (tmp_path / "cache").glob("*.json")
    damaged = file.read_bytes().replace(before, after)
    assert damaged != file.read_bytes()
    file.write_bytes(damaged)
    assert Registry([pack], manifests=cache).spec(f"{pack.name}:Twice") == found


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b"[" * 9999, b"\xff\n{}"])
def test_a_manifest_that_is_something_else_is_made_anew(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")
    Registry([pack], manifests=cache)
    (file,) = (tmp_path / "cache").glob("*.json")
    file.write_bytes(content)
    assert len(Registry([pack], manifests=cache).node_types()) == 2


def test_a_damaged_manifest_is_made_anew(tmp_path: Path, folder: Path) -> None:
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")
    Registry([pack], manifests=cache)
    (file,) = (tmp_path / "cache").glob("*.json")
    file.write_text(file.read_text()[:40])
    assert len(Registry([pack], manifests=cache).node_types()) == 2


def test_a_functions_name_can_be_taken_once() -> None:
    @node
    def Once() -> int:
        """One."""
        return 1

    registry = Registry()
    registry.add(Once)
    with raises(PackError):
        registry.add(Once)


def test_an_undecorated_function_is_no_node() -> None:
    with raises(PackError):
        Registry().add(len)


@pytest.mark.parametrize(
    "name",
    ["missing", "notes.txt", "a-b.py"],
)
def test_what_is_no_pack_is_told(tmp_path: Path, name: str) -> None:
    if name != "missing":
        (tmp_path / name).write_text("")
    with raises(PackError):
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
    # What is executed on the way counts, and what that only hands on doesn't.
    names = ("lib", "lib.first", "uses")
    assert found == [f"{pack.package}.{name}" for name in names]


def test_the_contract_is_no_part_of_a_nodes_code(folder: Path) -> None:
    pack = pack_at(folder)
    found = CodeDigests({pack.package: pack.root}).modules(f"{pack.package}.other")
    assert found == [f"{pack.package}.other"]


def test_code_digests_follow_modules_of_a_folder_without_init(folder: Path) -> None:
    pack = pack_at(folder)
    (folder / "whole.py").write_text("from . import maths\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.py").write_text("x = 1\n")
    (folder / "deeper.py").write_text("from .sub import deep\n")
    code = CodeDigests({pack.package: pack.root})
    assert f"{pack.package}.maths" in code.modules(f"{pack.package}.whole")
    assert f"{pack.package}.sub.deep" in code.modules(f"{pack.package}.deeper")


def test_code_digests_count_an_init_that_makes_or_gathers_names(folder: Path) -> None:
    pack = pack_at(folder)
    (folder / "lib").mkdir()
    (folder / "lib" / "first.py").write_text("def one(): return 1\n")
    (folder / "lib" / "__init__.py").write_text("from .first import one\none = repr(one)\n")
    (folder / "by_name.py").write_text("from .lib import one\n")
    (folder / "by_star.py").write_text("from .lib import *\n")
    code = CodeDigests({pack.package: pack.root})
    for module in ("by_name", "by_star"):
        found = code.modules(f"{pack.package}.{module}")
        assert {f"{pack.package}.lib", f"{pack.package}.lib.first"} <= set(found)


def test_code_digests_end_at_an_init_that_imports_itself(folder: Path) -> None:
    pack = pack_at(folder)
    (folder / "__init__.py").write_text("from . import compiled\n")
    (folder / "uses.py").write_text("from . import compiled\n")
    found = CodeDigests({pack.package: pack.root}).modules(f"{pack.package}.uses")
    assert found == [pack.package, f"{pack.package}.uses"]


def test_the_code_of_an_installed_pack_is_its_whole_distribution(tmp_path: Path) -> None:
    inner = Pack("lib", "mylib.nodes", tmp_path / "mylib" / "nodes")
    single = Pack("lib", "mylib.nodes", tmp_path / "mylib" / "nodes.py")
    assert inner.code_root() == single.code_root() == ("mylib", tmp_path / "mylib")


def test_an_edit_counts_in_the_same_process(tmp_path: Path, folder: Path) -> None:
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")
    Registry([pack], manifests=cache)
    (folder / "maths.py").write_text("def twice(a):\n    return 22 * a\n")
    (folder / "other.py").write_text(HEADER + node_text("Another"))
    for _ in range(2):  # read anew, then from the manifest
        registry = Registry([pack], manifests=cache)
        assert registry.node_types() == [f"{pack.name}:Another", f"{pack.name}:Twice"]


def test_packs_of_one_name_in_two_places_are_two_packs(tmp_path: Path) -> None:
    found = []
    for at in ("one", "two"):
        (tmp_path / at).mkdir()
        file = tmp_path / at / "twin_pack.py"
        file.write_text(HEADER + node_text("Where", f"return {len(found)}"))
        found.append(Registry([pack_at(file)]).definition("twin_pack:Where").function(1))
    assert found == [0, 1]


def test_a_pack_that_exits_on_import_hurts_no_other(folder: Path) -> None:
    (folder / "exits.py").write_text("import sys\nsys.exit(3)\n")
    registry = Registry([pack_at(folder)])
    assert len(registry.node_types()) == 2
    assert "SystemExit: 3" in registry.problems[0]


def test_a_second_name_for_a_node_is_no_second_node(folder: Path) -> None:
    (folder / "alias.py").write_text(HEADER + node_text("Named") + "Alias = Named\n")
    registry = Registry([pack_at(folder)])
    assert registry.problems == []
    assert f"{folder.name}:Named" in registry.node_types()


def test_choices_from_a_packs_own_data_file_stay_current(tmp_path: Path, folder: Path) -> None:
    (folder / "styles.txt").write_text("oil ink")
    (folder / "styled.py").write_text(
        "from pathlib import Path\nfrom typing import Annotated\n"
        "from nodegraph import Choices, node\n"
        "STYLES = (Path(__file__).parent / 'styles.txt').read_text().split()\n"
        "@node\ndef Styled(style: Annotated[str, Choices(STYLES)]) -> str:\n    return style\n"
    )
    pack = pack_at(folder)
    cache = ManifestCache(tmp_path / "cache")

    def choices() -> object:
        spec = Registry([pack], manifests=cache).spec(f"{pack.name}:Styled")
        assert spec is not None
        return (spec.inputs[0].json_schema or {})["enum"]

    assert choices() == ["oil", "ink"]
    (folder / "styles.txt").write_text("oil ink chalk")
    assert choices() == ["oil", "ink", "chalk"]


def test_the_code_of_a_function_added_by_hand_includes_what_it_uses() -> None:
    def digest(scale: int, word: str) -> str:
        def helper(a: int) -> int:
            return a * scale

        @node
        def Uses(a: int) -> bool:
            """Use a helper."""
            return str(helper(a)) in {"a", "b", word}

        registry = Registry()
        registry.add(Uses)
        return registry.code_digest("Uses")

    assert digest(2, "x") == digest(2, "x")
    assert digest(2, "x") != digest(3, "x")
    assert digest(2, "x") != digest(2, "y")


def test_a_module_with_an_underscore_is_a_helper(folder: Path) -> None:
    (folder / "_helper.py").write_text(HEADER + node_text("Hidden"))
    assert len(Registry([pack_at(folder)]).node_types()) == 2
