"""Classes count with their code in digests of their values: their methods may be edited too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow, node

CLASSES = """
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple
from nodegraph import node

def scale(number):
    return number * 1

@dataclass(frozen=True)
class Record:
    x: int
    def val(self):
        return self.x * 1

class Pair(NamedTuple):
    x: int
    def val(self):
        return scale(self.x)

class Kind(Enum):
    ONE = 21
    def val(self):
        return self.value * 1

@node
def Make(kind: int) -> Any:
    return [Record(21), Pair(21), Kind.ONE][kind]
"""


@node
def Use(p: Any) -> int:
    """Calls a method of a class that it doesn't name."""
    return int(p.val())


def used(make: str, kind: int) -> Workflow:
    nodes = {
        "m": {"type": make, "inputs": {"kind": kind}},
        "u": {"type": "Use", "inputs": {"p": {"from": "m"}}},
    }
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


def session_on(folder: Path, *, nodes: list[Any], packs: tuple[Path, ...] = ()) -> Session:
    return Session(Settings(home=folder / "home", keep_cheap=True, packs=packs), nodes=nodes)


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("defined", ["anew", "in part"])
def test_a_method_that_was_edited_counts_where_its_class_is_not_named(
    kind: int, defined: str, tmp_path: Path
) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    found: list[tuple[int, str]] = []
    for code in (CLASSES, CLASSES, CLASSES.replace("* 1", "* 2")):
        if defined == "in part" and kind == 1 and found:  # only the cell with the helper
            code = code[code.index("def scale") : code.index("@dataclass")]
        exec(code, scope)
        with session_on(tmp_path, nodes=[scope["Make"], Use]) as session:
            result = session.run(used("Make", kind), targets=["u"])
        found.append((result["u.number"], result.nodes["u"].status))
    assert found == [(21, "ran"), (21, "cached"), (42, "ran")]


COUNTING = """
from dataclasses import dataclass
from typing import Any
from nodegraph import node

@dataclass
class Counted:
    x: int
    made = []
    def __post_init__(self):
        self.made.append(self.x)
    def val(self):
        return self.x + 0 * len(self.made)

@node
def Make(kind: int) -> Any:
    return Counted(21) if kind < 9 else Counted(20 + 1)
"""


def test_what_a_run_changes_of_a_class_is_no_edit_of_it(tmp_path: Path) -> None:
    found = []
    for kind in (0, 1, 1):  # that each is made anew leaves the result as it was
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(COUNTING, scope)
        with session_on(tmp_path, nodes=[scope["Make"], Use]) as session:
            found += [session.run(used("Make", kind), targets=["u"]) for _ in range(2)]
    assert [result["u.number"] for result in found] == [21] * 6
    assert [result.nodes["u"].status for result in found] == ["ran"] + ["cached"] * 5


KINDS = """
from dataclasses import dataclass
made = []
@dataclass(frozen=True)
class Record:
    x: int
    def __post_init__(self):
        made.append(self)
    def val(self):
        return self.x * 1
"""
MAKE = """
from typing import Any
from nodegraph import node
from .kinds import Record
@node
def Make(kind: int) -> Any:
    return Record(21 + 0)
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    pack = tmp_path / "packs" / "edited"
    pack.mkdir(parents=True)
    (pack / "kinds.py").write_text(KINDS)
    (pack / "nodes.py").write_text(MAKE)
    return pack


@pytest.fixture(params=["in one session", "in new ones"])
def statuses(request: pytest.FixtureRequest, tmp_path: Path, pack: Path) -> Iterator[Any]:
    def new() -> Session:
        return session_on(tmp_path, nodes=[Use], packs=(tmp_path / "packs",))

    def run(session: Session | None) -> tuple[int, str]:
        if session is None:
            with new() as session:
                return run(session)
        result = session.run(used("edited:Make", 0), targets=["u"])
        assert result.is_ok, result.errors
        return result["u.number"], result.nodes["u"].status

    if request.param == "in new ones":
        yield lambda: run(None)
    else:
        with new() as session:
            yield lambda: run(session)


def test_a_class_of_a_pack_counts_with_its_module_alone(statuses: Any, pack: Path) -> None:
    assert statuses() == (21, "ran")
    (pack / "kinds.py").write_text(KINDS.replace("* 1", "* 2"))
    assert statuses() == (42, "ran")
    (pack / "nodes.py").write_text(MAKE.replace("21 + 0", "20 + 1"))
    assert statuses() == (42, "cached")
    (pack / "kinds.py").write_text(KINDS)
    assert statuses() == (21, "cached")
