"""Scripts that packs bring into the editor: what counts is what a pack declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph import Panel
from nodegraph.errors import InvalidFile, PackError
from nodegraph.packs.editor_scripts import token_fault
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import Pack, pack_at
from nodegraph.packs.registry import Registry
from tests.messages import raises

NODES = '''
from typing import Annotated
from nodegraph import Panel, Widget, node

TONES = Panel("tones", "Tones", "What there is.")

@node
def Bend(curve: Annotated[list[float], Widget("curve")] = (0.0,), other: int = 1) -> float:
    """Bend."""
    return sum(curve)

@node
def Unbend(curve: Annotated[list[float], Widget("curve")] = (0.0,)) -> float:
    """Bend back."""
    return sum(curve)
'''
SCRIPT = "export default function (widget) { widget.root.textContent = `${widget.value}`; }\n"


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    for place, text in (
        ("nodes.py", NODES),
        ("widgets/curve.js", SCRIPT),
        ("widgets/stray.js", SCRIPT),
        ("panels/tones.js", SCRIPT),
    ):
        file = tmp_path / "bends" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return pack_at(tmp_path / "bends")


def test_what_is_declared_counts_and_each_script_once(pack: Pack, tmp_path: Path) -> None:
    cache = ManifestCache(tmp_path / "cache")
    for registry in (Registry([pack], manifests=cache), Registry([pack], manifests=cache)):
        spec = registry.spec("bends:Bend")
        assert spec is not None
        assert [port.widget for port in spec.inputs] == ["pack:curve", ""]
        found = [(each.pack, each.kind, each.name, each.label) for each in registry.scripts()]
        assert found == [("bends", "widgets", "curve", ""), ("bends", "panels", "tones", "Tones")]
        for script in registry.scripts():
            script.check()


def test_an_edit_of_a_script_computes_nothing_anew(pack: Pack) -> None:
    before = Registry([pack])
    (pack.root / "widgets" / "curve.js").write_text(SCRIPT + "// more\n")
    assert before.is_current()
    assert before.code_digest("bends:Bend") == Registry([pack]).code_digest("bends:Bend")
    # Other files there may be read by nodes.
    (pack.root / "widgets" / "table.txt").write_text("1")
    assert not before.is_current()


@pytest.mark.parametrize("name", ["../x", "x/y", "x.js", "", "X", "-x", "x" * 65, "x\n", "ä"])
def test_a_name_that_could_lead_elsewhere_is_none(name: str, tmp_path: Path) -> None:
    with raises(PackError):
        Panel(name, "Tones")
    file = tmp_path / "named.py"
    file.write_text(NODES.replace('Widget("curve")', f"Widget({name!r})", 1))
    registry = Registry([pack_at(file)])
    assert registry.node_types() == ["named:Unbend"]
    assert "this cannot be the name of a widget or panel" in registry.problems[0]


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"\xff" + SCRIPT.encode(),
        b"function curve() {}",
        b"x" * (1 << 20) + SCRIPT.encode(),
        SCRIPT[:-3].encode(),
        b'import "./other.js";\n' + SCRIPT.encode(),
        SCRIPT.encode() + b"\nexport { x } from './x.js';",
    ],
)
def test_what_is_wrong_with_a_script_is_told(pack: Pack, data: bytes | None) -> None:
    file = pack.root / "widgets" / "curve.js"
    file.unlink() if data is None else file.write_bytes(data)
    script = Registry([pack]).scripts()[0]
    with raises(InvalidFile):
        script.check()


def test_a_single_file_has_no_place_for_scripts(tmp_path: Path) -> None:
    (tmp_path / "bends.py").write_text(NODES)
    script = Registry([pack_at(tmp_path / "bends.py")]).scripts()[0]
    with raises(InvalidFile):
        script.check()


@pytest.mark.parametrize(
    "text",
    [
        "a = b / c / d; '('",
        "x = y ? /[/(]/ : 1",
        "return /[`(]/.test(x)",
        "`a${`b${ {c: 1}.c }`}(`",
        "// (\n/* [ */ 'it\\'s' + \"\\\"\"",
        "a++ / (2) / (3)",
        "const größe = x => ({ y: [`${x}`] })",
    ],
)
def test_a_script_that_may_be_right_has_no_fault(text: str) -> None:
    assert token_fault(text) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("f(\n1", "line 1: `(` is not closed"),
        ("f(\n]", "line 2: `]` where `(` of line 1 is still open"),
        ("\n}", "line 2: `}` closes nothing"),
        ("\n'abc\n'", "line 2: a string is not closed on its line"),
        ("/* x", "line 1: a comment is not closed"),
        ("\n`${1} x", "line 2: a template string is not closed"),
        ("`${ (1 }`", "line 1: `}` where `(` of line 1 is still open"),
    ],
)
def test_a_script_that_was_cut_off_says_where(text: str, fault: str) -> None:
    assert token_fault(text) == fault
