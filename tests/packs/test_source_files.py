"""Code digests remembered on disk: never another result, only less time."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.packs import code_digests as code
from nodegraph.packs import snapshot
from nodegraph.packs import source_files as parsing
from nodegraph.packs.code_digests import CodeDigests
from nodegraph.packs.source_files import SourceFiles
from tests.properties import examples

LONG_AGO = 1_000_000_000


@pytest.fixture(autouse=True)
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written is a minute old when it is looked at."""
    monkeypatch.setattr(snapshot, "time_ns", lambda: time.time_ns() + 60 * 10**9)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    root = tmp_path / "pack"
    root.mkdir()
    write(root / "nodes.py", "from .maths import twice\n")
    write(root / "maths.py", "from pack import nothing\ndef twice(a):\n    return 2 * a\n")
    write(root / "__init__.py", "")
    return root


def write(path: Path, text: str, seconds: int = LONG_AGO) -> None:
    path.write_text(text)
    os.utime(path, (seconds, seconds))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read in earnest."""
    names: list[str] = []
    real = code._parsed

    def noting(path: Path, package: str) -> object:
        names.append(path.name)
        return real(path, package)

    monkeypatch.setattr(code, "_parsed", noting)
    return names


def digest(pack: Path, folder: Path | None, package: str = "pack") -> str:
    """As a new process would find it."""
    found = CodeDigests({package: pack}, SourceFiles(folder))
    value = found.digest(f"{package}.nodes")
    assert CodeDigests({package: pack}).digest(f"{package}.nodes") == value
    return value


def reads(parsed: list[str], pack: Path, folder: Path | None) -> list[str]:
    """What a new process reads; without what `digest` reads to compare."""
    parsed.clear()
    CodeDigests({"pack": pack}, SourceFiles(folder)).digest("pack.nodes")
    return sorted(set(parsed))


def test_a_second_process_reads_nothing(pack: Path, tmp_path: Path, parsed: list[str]) -> None:
    assert reads(parsed, pack, tmp_path / "specs") == ["__init__.py", "maths.py", "nodes.py"]
    assert reads(parsed, pack, tmp_path / "specs") == []


def test_only_what_changed_is_read_again(pack: Path, tmp_path: Path, parsed: list[str]) -> None:
    before = digest(pack, tmp_path / "specs")
    write(pack / "maths.py", "def twice(a):\n    return a + a\n", LONG_AGO + 1)
    assert reads(parsed, pack, tmp_path / "specs") == ["maths.py"]
    assert digest(pack, tmp_path / "specs") != before


def test_a_module_that_appears_counts(pack: Path, tmp_path: Path) -> None:
    before = digest(pack, tmp_path / "specs")
    write(pack / "nothing.py", "value = 1\n")
    assert digest(pack, tmp_path / "specs") != before


def test_a_module_that_goes_counts(pack: Path, tmp_path: Path) -> None:
    before = digest(pack, tmp_path / "specs")
    (pack / "maths.py").unlink()
    assert digest(pack, tmp_path / "specs") != before


def test_a_file_replaced_within_its_times_grain_counts(pack: Path, tmp_path: Path) -> None:
    before = digest(pack, tmp_path / "specs")
    write(pack / "new.py", "from pack import nothing\ndef twice(a):\n    return 3 * a\n")
    (pack / "new.py").replace(pack / "maths.py")  # same size and time, another inode
    assert digest(pack, tmp_path / "specs") != before


def test_a_file_written_just_now_is_not_remembered(
    pack: Path, tmp_path: Path, parsed: list[str]
) -> None:
    # A later write within the grain of its file system's times might not show.
    write(pack / "maths.py", "def twice(a):\n    return a + a\n", 4_000_000_000)
    reads(parsed, pack, tmp_path / "specs")
    assert reads(parsed, pack, tmp_path / "specs") == ["maths.py"]


def test_a_file_written_again_while_others_are_read_is_not_remembered(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems tell times by two seconds, and reading all that a node imports may take
    longer: its stamp is then that of what was read before."""
    began, stamp_of = 10**18, snapshot.stamp_of
    clock = [began + 10**9]

    def coarse_stamp(path: str | Path) -> snapshot.Stamp | None:
        fine = stamp_of(path)
        return None if fine is None else snapshot.Stamp(fine.size, began, began, 0)

    monkeypatch.setattr(code, "stamp_of", coarse_stamp)
    monkeypatch.setattr(parsing, "stamp_of", coarse_stamp)
    monkeypatch.setattr(snapshot, "time_ns", lambda: clock[0])
    read, edited = code._parsed, (pack / "maths.py").read_text().replace("2", "3")

    def slow(path: Path, *rest: Any) -> Any:
        source = read(path, *rest)
        if path.name == "maths.py":
            path.write_text(edited)
            clock[0] += 60 * 10**9
        return source

    monkeypatch.setattr(code, "_parsed", slow)
    CodeDigests({"pack": pack}, SourceFiles(tmp_path / "sources")).digest("pack.nodes")
    monkeypatch.setattr(code, "_parsed", read)
    again = CodeDigests({"pack": pack}, SourceFiles(tmp_path / "sources")).digest("pack.nodes")
    assert again == CodeDigests({"pack": pack}).digest("pack.nodes")


def test_one_file_in_two_packages_means_two_things(pack: Path, tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    found = CodeDigests({"pack": pack}, SourceFiles(folder))
    found.digest("pack.nodes")
    other = CodeDigests({"other": pack}, SourceFiles(folder))
    other.digest("other.nodes")
    assert other.modules("other.nodes") == ["other", "other.maths", "other.nodes"]


NAMES = ["nodes", "maths", "nothing", "more/__init__", "more/inner"]
TEXTS = [
    "from .maths import twice\n",
    "from pack import nothing\n",
    "from pack.more import inner\n",
    "from pack import more\nmore.inner\n",
    "import os\nvalue = os.environ.get('PACK_VALUE')\n",
]


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(edits=st.lists(st.tuples(st.sampled_from([*NAMES, "$"]), st.sampled_from(["", *TEXTS]))))
def test_whatever_is_edited_the_digest_is_that_of_a_new_reading(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("edited")
    pack = folder / "pack"
    (pack / "more").mkdir(parents=True)
    write(pack / "nodes.py", TEXTS[0] + TEXTS[1] + TEXTS[2])
    with pytest.MonkeyPatch.context() as patch:
        for time, (name, text) in enumerate(edits, LONG_AGO):
            path = pack / f"{name}.py"
            if name == "$":
                patch.setenv("PACK_VALUE", text)
            elif text or name == "nodes":
                write(path, text, time)
            else:
                path.unlink(missing_ok=True)
            digest(pack, folder / "specs")


def test_a_second_process_looks_for_no_imports(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(pack, tmp_path / "specs")
    monkeypatch.setattr(CodeDigests, "parts", None)
    found = CodeDigests({"pack": pack}, SourceFiles(tmp_path / "specs"))
    assert found.digest("pack.nodes") == before
    assert found.is_current()
    write(pack / "maths.py", "def twice(a):\n    return a + a\n", LONG_AGO + 1)
    assert not found.is_current()


@pytest.mark.parametrize("at", [0, 70, -1])
def test_a_damaged_file_costs_time_only(
    pack: Path, tmp_path: Path, parsed: list[str], at: int
) -> None:
    folder = tmp_path / "specs"
    before = digest(pack, folder)
    (file,) = folder.iterdir()
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    assert digest(pack, folder) == before
    file.write_bytes(data[: len(data) // 2])
    assert digest(pack, folder) == before
    assert reads(parsed, pack, folder) == []


def test_another_version_has_a_file_of_its_own(
    pack: Path, tmp_path: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "specs"
    digest(pack, folder)
    contents = {file: file.read_bytes() for file in folder.iterdir()}
    with monkeypatch.context() as newer:
        newer.setattr(parsing, "FORMAT", parsing.FORMAT + 1)
        assert reads(parsed, pack, folder) == ["__init__.py", "maths.py", "nodes.py"]
        assert reads(parsed, pack, folder) == []
    assert {file: file.read_bytes() for file in contents} == contents
    assert reads(parsed, pack, folder) == []


def test_a_folder_that_cannot_be_written_costs_time_only(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "specs").write_text("a file where the folder should be")
    assert digest(pack, tmp_path / "specs") == digest(pack, None)


def test_the_parts_name_the_modules_behind_a_digest(pack: Path) -> None:
    before = CodeDigests({"pack": pack}).parts("pack.nodes")
    write(pack / "maths.py", "def twice(a):\n    return a + a\n", LONG_AGO + 1)
    after = CodeDigests({"pack": pack}).parts("pack.nodes")
    assert [name for name in after if before.get(name) != after[name]] == ["pack.maths"]


def test_a_source_is_read_although_another_thread_parsed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parse = ast.parse
    faults = [SystemError("AST constructor recursion depth mismatch (before=99, after=95)")]

    def disturbed(*arguments: Any) -> ast.Module:
        if faults:
            raise faults.pop()
        return parse(*arguments)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert [found.module for found in parsing.parse_module(b"import math", "").imports] == ["math"]
