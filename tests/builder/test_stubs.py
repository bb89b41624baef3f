"""Stubs: what a type checker finds in a script, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph import Session
from nodegraph.cli import main
from nodegraph.python.builder.stubs import FunctionStub, Stub

ROOT = Path(__file__).parents[2]
CONFIG = f"""[mypy]
strict = True
mypy_path = typings:{ROOT}
[mypy-nodegraph.*]
ignore_errors = True
[mypy-nodegraph.api,nodegraph.session.*,nodegraph.engine.*,nodegraph.packs.*]
follow_imports = skip
[mypy-numpy.*,torch.*]
follow_imports = skip
"""
TOYS = "from nodegraph import node\n\n@node\ndef Double(value: int) -> int: return 2 * value\n"
GOOD = """
from nodegraph import Graph, Out, nodes
from nodegraph.python.builder.builtin import Image
from nodegraph.core.values import Latent

def twice(g: Graph, image: Out[Image]) -> Out[Image]:
    return g.InvertImage(image=g.InvertImage(image=image))

g = Graph("All of this is right")
load = g.LoadModel(model="tiny")
words = g.EncodePrompt(encoder=load.text_encoder, text=g.Lines(text="a cat"))
size = g.EmptyLatent(width=g.Integer(value=8) * 8, height=64)
halves = g.Calculate(a=g.Range(stop=3), operation="*", b=0.5)
sample = g.KSampler("one", model=load.model, positive=words, latent=size, seed=7, cfg=3)
mask = g.MaskFromChannel(image=twice(g, g.VAEDecode(vae=load.vae, latent=sample)))
grid = g.ImageGrid(images=[mask, twice(g, mask)])
g.SaveImage(image=mask, name="a mask fits an image")
body = g.subgraph("body")
body.output("result", body.Calculate(a=body.input("item"), b=g.Integer() / 2))
g.run(g.ForEach(items=g.Range(stop=3), body=body, more=1), parameters={})
g.diffusers.FluxPipeline(prompt="those of the installed version")
size_of = nodes.ImageSize(image=nodes.InvertImage(image=nodes.EmptyImage(width=8)))
latent: Latent = nodes.EmptyLatent(width=size_of.width * 8)
paths = [file.name for file in nodes.SaveImage(image=nodes.EmptyImage())]
nodes.diffusers.FluxPipeline(prompt="those of the installed version")
"""
WRONG = {
    "load.vea": '"_LoadModel" has no attribute "vea"',
    "g.KSampeler()": '"Graph" has no attribute "KSampeler"',
    "g.VAEDecode(vae=load.vae, latnt=size)": 'Unexpected keyword argument "latnt"',
    "g.VAEDecode(vae=load.model, latent=size)": 'incompatible type "Out[DiffusionModel]"',
    "g.VAEDecode(vae=load, latent=size)": 'incompatible type "_LoadModel"',
    "g.VAEDecode(vae=load.vae)": 'Missing named argument "latent"',
    "g.InvertImage(image=size)": 'incompatible type "_EmptyLatent"',
    "g.EmptyLatent(width='8')": 'incompatible type "str"',
    "g.SelectSampler(sampler='eulr')": "incompatible type \"Literal['eulr']\"",
    "g.InvertImage(g.EmptyImage(), image=g.EmptyImage())": "Argument 1",
    "size.latent = size.latent": "read-only",
    "load.vae + 1": "Unsupported operand types",
    "nodes.InvertImag()": '"CalledNodes" has no attribute "InvertImag"',
    "nodes.InvertImage(imag=1)": 'Unexpected keyword argument "imag"',
    "nodes.InvertImage()": 'Missing named argument "image"',
    "nodes.EmptyImage(width='8')": 'incompatible type "str"',
    "nodes.ClearNoiseMask(latent=3)": 'incompatible type "int"',
    "nodes.SelectSampler(sampler='eulr')": "incompatible type \"Literal['eulr']\"",
    "size_of.widht": '"_ImageSize" has no attribute "widht"',
}


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy found out about all that doesn't change from one script to another."""
    return tmp_path_factory.mktemp("mypy")


def checked(folder: Path, script: str, cache: Path) -> list[str]:
    """What mypy says of a script, line by line."""
    (folder / "mypy.ini").write_text(CONFIG)
    (folder / "script.py").write_text(script)
    options = ["--no-error-summary", "--hide-error-context", f"--cache-dir={cache}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "script.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if ": error: " in line]


def test_the_shipped_stubs_are_current() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate_stubs import stubs
    finally:
        sys.path.pop(0)
    for file, text in stubs().items():
        assert file.read_text(encoding="utf-8") == text, "run python docs/generate_stubs.py"


@pytest.mark.slow
def test_a_script_is_checked_where_it_is_written(tmp_path: Path, mypy_cache: Path) -> None:
    lines = GOOD.splitlines()
    found = checked(tmp_path, "\n".join([*lines, *WRONG]), mypy_cache)
    by_line: dict[int, str] = {}
    for line in found:
        _, number, rest = line.split(":", 2)
        by_line.setdefault(int(number) - len(lines) - 1, rest)
    assert list(by_line) == list(range(len(WRONG))), found
    for index, message in enumerate(WRONG.values()):
        assert message in by_line[index]


def test_packs_have_stubs_of_their_own(
    tmp_path: Path, mypy_cache: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODEGRAPH_HOME", str(session.settings.home))
    (tmp_path / "toys.py").write_text(TOYS)
    assert main(["stubs", "--pack", "toys.py"]) == 0
    script = """
from nodegraph import Graph, nodes
g = Graph()
g.toys.Double("twice", value=g.toys.Double(value=3) + 1)
g.toys.Duble(value=3)
g.toys.Double(value="3")
g.KSampeler()
nodes.toys.Double(value=nodes.toys.Double(value=3) + 1)
nodes.toys.Duble(value=3)
"""
    said = [line.partition(": error: ")[2] for line in checked(tmp_path, script, mypy_cache)]
    unknown = '"_Pack_toys" has no attribute'
    wanted = (unknown, 'incompatible type "str"', '"KSampeler"', unknown)
    assert [part in line for part, line in zip(wanted, said, strict=True)] == [True] * 4


def test_names_that_python_does_not_take_are_left_out(session: Session) -> None:
    """The text is Python, whatever the node types are called and say."""
    specs = [session.registry.spec(name) for name in ("Formula", "ForEach")]
    found = [spec for spec in specs if spec is not None]
    for kind in (Stub, FunctionStub):
        text = kind(session.registry.types, found, {"not-a-name": found}).text()
        compile(text, kind.__name__, "exec")
        assert "not-a-name" not in text


def test_port_types_of_the_stub_may_stand_in_annotations() -> None:
    """Of functions whose annotations are looked at when they are defined, too."""
    from nodegraph import Out
    from nodegraph.python.builder import builtin

    assert Out[builtin.Image]
    assert not hasattr(builtin, "image")
