"""A pack without trust runs in a sandbox, and its nodes work as others do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings
from nodegraph.errors import NodegraphError
from nodegraph.isolation.sandbox import sandbox_modes
from nodegraph.packs.pack import Isolation, Pack, pack_at
from tests.isolation.packs import isolated

PACK = '''
import os
import tempfile
import torch
from pathlib import Path
from nodegraph.api import *

@node
def Variable(context: Context, name: str = "HF_TOKEN") -> str:
    """Read a variable of the main process."""
    return str(context.env(name))

@node
def Report(context: Context, path: str) -> str:
    """Claim to have written a file."""
    context.wrote(Path(path))
    return path

@node
def Half(image: Image) -> Image:
    """Halve it."""
    return image * 0.5

@node
def Gray(width: int = 4) -> Image:
    """Make a gray picture."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    return torch.full((1, width, width, 3), 0.5)

@node
def Inverted(image: Image) -> Image:
    """Use a harmless built-in node, in a loop."""
    inner = {"invert": {"type": "InvertImage"}}
    ports = {"state": {"to": ["invert.image"]}}
    body = {"inputs": ports, "outputs": {"state": "invert"}, "nodes": inner}
    each = {"type": "Repeat", "inputs": {"state": image, "times": 3, "body": "body"}}
    return Expand({"each": each}, {"image": "each.state"}, {"body": body})

@node
def Borrow(path: str, how: str) -> str:
    """Have nodes outside of the sandbox do what the pack may not."""
    load = {"type": "LoadText", "inputs": {"path": path}}
    if how == "node":
        return Expand({"load": load}, {"text": "load.text"})
    if how == "sink":
        save = {"type": "SaveText", "inputs": {"text": "x", "name": "stolen"}}
        return Expand({"save": save}, {"text": Value("x")})
    body = {"inputs": {"item": {}}, "outputs": {"result": "load"}, "nodes": {"load": load}}
    each = {"type": "ForEach", "inputs": {"items": [1], "body": "body"}}
    joined = {"type": "JoinTexts", "inputs": {"texts": {"from": "each"}}}
    nodes = {"each": each, "joined": joined}
    return Expand(nodes, {"text": "joined"}, {"body": body})

@node
def Reach(path: str) -> str:
    """Try to read a file, to start a program and to open a socket."""
    import socket, subprocess
    reached = []
    for name, attempt in {
        "file": lambda: Path(path).read_text(),
        "program": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
        "socket": lambda: socket.socket(),
        "token": lambda: os.environ["HF_TOKEN"],
        "pack": lambda: Path(__file__).write_text("x"),
    }.items():
        try:
            attempt()
        except (OSError, KeyError):
            continue
        reached.append(name)
    return ",".join(reached)
'''


def pack_in(folder: Path, *, trusted: bool, text: str = PACK) -> Pack:
    root = folder / "far"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text(text)
    return replace(pack_at(root), isolation=Isolation(sys.executable, "lock", trusted=trusted))


def run(session: Session, nodes: dict[str, Any]) -> Any:
    document = {
        "format": "nodegraph/1",
        "nodes": {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()},
    }
    return session.run(document, targets=[next(reversed(nodes))])


@pytest.fixture(scope="module", params=[False, True], ids=["untrusted", "trusted"])
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Session, bool]]:
    if not request.param and not sandbox_modes():
        pytest.skip("this system has no sandbox")
    folder = tmp_path_factory.mktemp("untrusted")
    pack = pack_in(folder, trusted=request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "secret")
        with Session(Settings(home=folder / "home"), packs=[pack]) as opened:
            assert not opened.registry.problems
            yield opened, request.param


def test_images_go_through_a_sandbox(session: tuple[Session, bool]) -> None:
    nodes = {
        "a": ("far:Gray", {"width": 400}),
        "b": ("far:Half", {"image": {"from": "a.image"}}),
    }
    image = run(session[0], nodes).outputs["b.image"]
    assert image.shape == (1, 400, 400, 3)
    assert image.mean() == 0.25


def test_only_a_trusted_pack_reads_variables(session: tuple[Session, bool]) -> None:
    result = run(session[0], {"a": ("far:Variable", {})})
    if session[1]:
        assert list(result.outputs.values()) == ["secret"]
    else:
        assert "not trusted and reads no environment variables" in str(result.errors[0])


def test_only_a_trusted_pack_reports_any_file(
    session: tuple[Session, bool], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    result = run(session[0], {"a": ("far:Report", {"path": str(secret)})})
    assert [file.path for file in result.files] == ([secret] if session[1] else [])


def test_an_expansion_may_use_what_is_harmless(session: tuple[Session, bool]) -> None:
    nodes = {"a": ("far:Gray", {}), "b": ("far:Inverted", {"image": {"from": "a.image"}})}
    result = run(session[0], nodes)
    assert not result.errors
    assert result.outputs["b.image"].mean() == 0.5


@pytest.mark.parametrize("how", ["node", "sink", "subgraph"])
def test_only_a_trusted_packs_expansion_reaches_files(
    session: tuple[Session, bool], tmp_path: Path, how: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    result = run(session[0], {"a": ("far:Borrow", {"path": str(secret), "how": how})})
    if session[1]:
        assert not result.errors
        assert result["a"] == ("x" if how == "sink" else "secret")
    else:
        assert "could reach more than the pack may" in str(result.errors[0])
        assert not result.files


def test_only_a_trusted_pack_reaches_the_system(
    session: tuple[Session, bool], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    result = run(session[0], {"a": ("far:Reach", {"path": str(secret)})})
    expected = "file,program,socket,token,pack" if session[1] else ""
    assert list(result.outputs.values()) == [expected]


ENDLESS = '''
from nodegraph.api import *

@node
def Quick(text: str = "a") -> str:
    """Return it."""
    return text

@node
def Endless(text: str = "a") -> str:
    """Loop for ever."""
    while True:
        pass

@node
async def EndlessAsync(text: str = "a") -> str:
    """Loop for ever."""
    while True:
        pass

def endless_check(inputs):
    while True:
        pass

@node(validate=endless_check)
def Checked(text: str = "a") -> str:
    """Have a hook that loops for ever."""
    return text
'''


def limited(folder: Path, text: str, *, trusted: bool = False, **settings: Any) -> Session:
    """A session with an untrusted pack."""
    if not sandbox_modes():
        pytest.skip("this system has no sandbox")
    pack = pack_in(folder, trusted=trusted, text=text)
    return Session(Settings(home=folder / "home", **settings), packs=[pack])


@pytest.mark.parametrize("kind", ["Endless", "EndlessAsync"])
def test_a_call_that_takes_too_long_ends_and_others_keep_their_results(
    tmp_path: Path, kind: str
) -> None:
    nodes = {
        "quick": ("far:Quick", {}),
        "endless": (f"far:{kind}", {"text": {"from": "quick.text"}}),
    }
    with limited(tmp_path, ENDLESS, untrusted_call_seconds=2) as session:
        result = run(session, nodes)
        assert result.nodes["quick"].status == "ran"
        (failure,) = result.errors
        assert failure.problem.node == "endless"
        assert "it took longer than 2 s, the limit of one call" in str(failure)
        assert "untrusted_call_seconds" in str(failure)
        assert run(session, {"again": ("far:Quick", {"text": "b"})}).outputs == {"again.text": "b"}


def test_a_hook_that_takes_too_long_ends(tmp_path: Path) -> None:
    session = limited(tmp_path, ENDLESS, untrusted_call_seconds=1)
    with session, pytest.raises(NodegraphError, match="it took longer than 1 s"):
        run(session, {"a": ("far:Checked", {})})


def test_the_time_of_an_import_is_limited_and_is_none_of_a_call(tmp_path: Path) -> None:
    text = ENDLESS.replace("\n@node", "\nimport time\ntime.sleep(5)\n\n@node", 1)
    with limited(tmp_path, text, untrusted_call_seconds=2, pack_idle_seconds=0.2) as session:
        assert not session.registry.problems
        assert run(session, {"a": ("far:Quick", {})}).outputs == {"a.text": "a"}


def test_an_import_that_takes_too_long_ends(tmp_path: Path) -> None:
    text = f"while True:\n    pass\n{ENDLESS}"
    with limited(tmp_path, text, import_seconds=5) as session:
        (problem,) = session.registry.problems
        assert "importing it took longer than" in problem


def test_what_it_depends_on_is_looked_at_only_where_it_may_be(tmp_path: Path) -> None:
    packs = {each: pack_in(tmp_path / str(each), trusted=each, text=PACK) for each in (True, False)}
    settings = Settings(home=tmp_path / "home", inputs=tmp_path)
    with Session(settings) as session:
        processes = session.node_types.isolated.processes
        models = str(settings.own_models / "loras")
        other = ["/", "/dev/zero", "/proc", str(tmp_path), f"{models}/../../.."]
        paths = [*other, models, f"{tmp_path}/."]
        assert processes.countable(packs[True], paths) == tuple(paths)
        assert processes.countable(packs[False], paths) == (models, f"{tmp_path}/.")


@pytest.mark.skipif(os.name == "nt", reason="its tests are those of other systems")
def test_without_a_sandbox_it_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodegraph.isolation.sandbox.sandbox_modes", list)
    pack = pack_in(tmp_path, trusted=False)
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as opened:
        assert any("need a sandbox" in problem for problem in opened.registry.problems)
        assert "far:Half" not in opened.registry.node_types()


def test_a_link_that_leads_out_of_the_sandbox_is_named(tmp_path: Path) -> None:
    if not sandbox_modes():
        pytest.skip("this system has no sandbox")
    (tmp_path / "words.txt").write_text("some")
    pack = pack_in(tmp_path, trusted=False)
    (pack.root / "words.txt").symlink_to(tmp_path / "words.txt")
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as opened:
        [problem] = opened.registry.problems
        assert "words.txt" in problem
        assert "changed" not in problem


FORGER = '''
import pickle
from typing import Any
import msgpack
from nodegraph.api import *
from nodegraph.core.foreign_value import ForeignValue

class Code:
    """Writes a file where it is read."""
    def __init__(self, path):
        self.path = path
    def __reduce__(self):
        return exec, (f"open({self.path!r}, 'w').close()",)

@node
def Forge(path: str, pack: str) -> Any:
    """Give out a value in the name of a pack."""
    data = msgpack.packb(["pickle", [], pickle.dumps(Code(path))])
    return ForeignValue("Thing", pack, data)
'''

READER = '''
from typing import Any
from nodegraph.api import *

@node
def Read(value: Any) -> str:
    """Read it."""
    return "read"

@node
async def ReadLazily(value: Lazy[Any]) -> str:
    """Read it on demand."""
    await value()
    return "read"

@node
def ReadThen(value: Any = None, source: str = "", pack: str = "") -> str:
    """Read the result of a node in its expansion."""
    nodes = {"n": {"type": "far:Forge", "inputs": {"path": source, "pack": pack}}}
    return Expand(nodes, {"value": "n.output"}, then=lambda outputs: outputs["value"].value and "x")
'''


@pytest.mark.parametrize("pack", ["far", "near"])
@pytest.mark.parametrize("kind", ["Read", "ReadLazily", "ReadThen"])
def test_no_other_pack_reads_what_an_untrusted_one_wrote(
    tmp_path: Path, pack: str, kind: str
) -> None:
    if not sandbox_modes():
        pytest.skip("this system has no sandbox")
    mark = tmp_path / "mark"
    packs = [pack_in(tmp_path, trusted=False, text=FORGER), isolated(tmp_path, READER, "near")]
    forged = {"path": str(mark), "pack": pack}
    nodes = {"a": ("far:Forge", forged), "b": (f"near:{kind}", {"value": {"from": "a.output"}})}
    if kind == "ReadThen":
        nodes = {"b": ("near:ReadThen", {"source": str(mark), "pack": pack})}
    with Session(Settings(home=tmp_path / "home"), packs=packs) as session:
        assert not session.registry.problems
        result = run(session, nodes)
    assert not mark.exists()
    assert "not trusted" in str(result.errors[0])


GROUNDLESS = '''
import torch
from nodegraph.api import *
from nodegraph.isolation import message_tensors

@node
def Unwritten(width: int = 512) -> Image:
    """Announce a picture and send no bytes of it."""
    add = message_tensors.MemoryBlocks.add
    def announce(self, tensor):
        number, name, shape, *others = add(self, tensor)
        return [number, name, [1, width, width, 3], *others]
    message_tensors.MemoryBlocks.add = announce
    return torch.zeros(0)
'''


def test_a_picture_without_bytes_is_none(tmp_path: Path) -> None:
    """What this process had in its memory would be in it."""
    with limited(tmp_path, GROUNDLESS) as session:
        result = run(session, {"a": ("far:Unwritten", {})})
    assert "shape '[1, 512, 512, 3]' is invalid" in str(result.errors[0])
