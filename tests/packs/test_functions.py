# ruff: noqa: E501 - a case is a line
"""Functions of scripts and notebooks: whatever an edit changes of what they reach is noticed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodegraph import Expand, Session, Settings, Workflow, node
from nodegraph.packs.code_reader import Unreadable, code_digest
from tests.messages import raises

HELPER = "def helper(a):\n    return a * NUM\n"
# fmt: off
CASES = {
    "body": ("", "a * NUM"),
    "a helper": (HELPER, "helper(a)"),
    "in a comprehension": (HELPER, "[helper(x) for x in [a]][0]"),
    "in a generator": (HELPER, "sum(helper(x) for x in [a])"),
    "in a lambda": (HELPER, "(lambda x: helper(x))(a)"),
    "in an inner function": (HELPER + "def outer(a):\n    def inner():\n        return helper(a)\n    return inner()\n", "outer(a)"),
    "two deep": (HELPER + "def middle(a):\n    return helper(a)\n", "middle(a)"),
    "a default": ("def helper(a, by=NUM):\n    return a * by\n", "helper(a)"),
    "a keyword's default": ("def helper(a, *, by=NUM):\n    return a * by\n", "helper(a)"),
    "a captured number": ("def make(by):\n    return lambda a: a * by\nhelper = make(NUM)\n", "helper(a)"),
    "a captured dict": ("def make():\n    by = {'x': NUM}\n    return lambda a: a * by['x']\nhelper = make()\n", "helper(a)"),
    "a global number": ("BY = NUM\n", "a * BY"),
    "a global dict": ("BY = {'x': {'y': NUM}}\n", "a * BY['x']['y']"),
    "a global list": ("BY = [1, [NUM]]\n", "a * BY[1][0]"),
    "a global set": ("BY = {1, NUM}\n", "a * max(BY)"),
    "a defaultdict": ("from collections import defaultdict\nBY = defaultdict(lambda: NUM)\n", "a * BY.get('x', BY.default_factory())"),
    "a dataclass": ("from dataclasses import dataclass\n@dataclass\nclass By:\n    x: int\nBY = By(NUM)\n", "a * BY.x"),
    "a dataclass's default": ("from dataclasses import dataclass\n@dataclass\nclass By:\n    x: int = NUM\n", "a * By().x"),
    "a named tuple": ("from typing import NamedTuple\nclass By(NamedTuple):\n    x: int\nBY = By(NUM)\n", "a * BY.x"),
    "an enumeration": ("from enum import Enum\nclass By(Enum):\n    x = NUM\n", "a * By.x.value"),
    "a class of classes": ("class Meta(type):\n    @property\n    def x(cls):\n        return NUM\nclass By(metaclass=Meta):\n    pass\n", "a * By.x"),
    "an environment variable": ("import os\nos.environ['REACHED'] = str(NUM)\n", "a * int(os.environ['REACHED'])"),
    "an environment variable in a helper": ("import os\nos.environ['REACHED'] = str(NUM)\ndef helper(a):\n    return [os.getenv('REACHED') for _ in range(a)]\n", "a * int(helper(a)[0])"),
    "a large number": ("BY = NUM << 20000\n", "a * (BY >> 20000)"),
    "a namespace": ("from types import SimpleNamespace\nimport numpy\nBY = SimpleNamespace(x=numpy.zeros(5000))\nBY.x[2500] = NUM\n", "a * int(BY.x[2500])"),
    "an object in a namespace": ("from types import SimpleNamespace\nclass By:\n    x = NUM\nBY = SimpleNamespace(x=By())\n", "a * BY.x.x"),
    "an annotation's object": ("from dataclasses import dataclass\nfrom typing import Annotated\nclass Mark:\n    pass\n@dataclass\nclass By:\n    x: Annotated[int, Mark()] = NUM\n", "a * By().x"),
    "a set of what reaches it": ("class By:\n    made = set()\n    def __init__(self, x):\n        self.x = x\n        By.made.add(self)\nBY = By(NUM)\n", "a * BY.x"),
    "a tensor": ("import torch\nBY = torch.tensor([NUM])\n", "a * int(BY[0])"),
    "an array": ("import numpy\nBY = numpy.array([NUM])\n", "a * int(BY[0])"),
    "a class": ("class By:\n    def times(self, a):\n        return a * NUM\n", "By().times(a)"),
    "a class's attribute": ("class By:\n    x = NUM\n", "a * By.x"),
    "a base": ("class Base:\n    def times(self, a):\n        return a * NUM\nclass By(Base):\n    pass\n", "By().times(a)"),
    "a property": ("class By:\n    @property\n    def x(self):\n        return NUM\n", "a * By().x"),
    "a static method": ("class By:\n    @staticmethod\n    def x():\n        return NUM\n", "a * By.x()"),
    "an instance": ("class By:\n    def __init__(self):\n        self.x = NUM\nBY = By()\n", "a * BY.x"),
    "an instance with slots": ("class By:\n    __slots__ = ('x',)\nBY = By()\nBY.x = NUM\n", "a * BY.x"),
    "a bound method": ("class By:\n    def __init__(self, x):\n        self.x = x\n    def times(self, a):\n        return a * self.x\ntimes = By(NUM).times\n", "times(a)"),
    "partial": ("from functools import partial\nimport operator\ntimes = partial(operator.mul, NUM)\n", "times(a)"),
    "lru_cache": ("from functools import lru_cache\n@lru_cache\ndef helper(a):\n    return a * NUM\n", "helper(a)"),
    "singledispatch": ("from functools import singledispatch\n@singledispatch\ndef helper(a):\n    return 0\n@helper.register\ndef _(a: int):\n    return a * NUM\n", "helper(a)"),
    "wraps": ("from functools import wraps\ndef times(f):\n    @wraps(f)\n    def g(a):\n        return f(a) * NUM\n    return g\n@times\ndef helper(a):\n    return a\n", "helper(a)"),
    "a decorator of one's own": ("def times(by):\n    def deco(f):\n        return lambda a: f(a) * by\n    return deco\n@times(NUM)\ndef helper(a):\n    return a\n", "helper(a)"),
    "from one's own file": ("from FILE import scale\n", "scale(a)"),
    "one's own file": ("import FILE\n", "FILE.scale(a)"),
    "one's own file under a name": ("import FILE as own\n", "own.scale(a)"),
    "one's own file, imported late": ("def helper(a):\n    from FILE import scale\n    return scale(a)\n", "helper(a)"),
    "a value of one's own file": ("from FILE import TABLE\n", "a * TABLE['x']"),
    "a file behind one's own file": ("from FILE_far import far\n", "far(a)"),
    "one's own file, by getattr": ("import FILE\n", "getattr(FILE, 'sca' + 'le')(a)"),
}
# fmt: on
OWN = "TABLE = {'x': NUM}\ndef scale(a):\n    return a * TABLE['x']\n"
FAR = "import FILE\ndef far(a):\n    return FILE.scale(a)\n"
NODE = (
    "from nodegraph import node\n@node(id='NAME')\ndef run(a: int = 10) -> int:\n    return BODY\n"
)
DRIVER = """
import json, sys, types
from pathlib import Path
from nodegraph import Session, Settings, Workflow
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
nodes = []
for name, text in json.loads((folder / "cells.json").read_text()).items():
    module = types.ModuleType(f"cell_{len(nodes)}")
    sys.modules[module.__name__] = module
    exec(compile(text, "<cell>", "exec"), module.__dict__)
    nodes.append(module.run)
with Session(Settings(home=folder / "home"), nodes=nodes) as session:
    names = [f"n{at}" for at in range(len(nodes))]
    flow = {name: {"type": name} for name in names}
    flow = Workflow.from_dict({"format": "nodegraph/1", "nodes": flow})
    result = session.run(flow, targets=names)
assert result.is_ok, result.errors
print(json.dumps([[result[f"{n}.number"], result.nodes[n].status] for n in names]))
"""


def in_a_new_process(folder: Path, number: int) -> list[Any]:
    """What each case gives, and whether it ran."""
    own = {
        f"own{at}{far}": text
        for at in range(len(CASES))
        for far, text in (("", OWN), ("_far", FAR))
    }
    for name, text in own.items():
        text = text.replace("NUM", str(number)).replace("FILE", name.removesuffix("_far"))
        (folder / f"{name}.py").write_text(text)
    cells = {
        name: (before + NODE.replace("NAME", f"n{at}").replace("BODY", body))
        .replace("NUM", str(number))
        .replace("FILE", f"own{at}")
        for at, (name, (before, body)) in enumerate(CASES.items())
    }
    (folder / "cells.json").write_text(json.dumps(cells))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_every_kind_of_edit_is_noticed_by_the_next_process(tmp_path: Path) -> None:
    for number, status in ((2, "ran"), (33, "ran"), (2, "cached")):
        found = in_a_new_process(tmp_path, number)
        got = dict(zip(CASES, map(tuple, found), strict=True))
        assert got == dict.fromkeys(CASES, (10 * number, status))


def flow(*names: str) -> Workflow:
    return Workflow.from_dict(
        {"format": "nodegraph/1", "nodes": {name: {"type": name} for name in names}}
    )


def status(session: Session, name: str) -> str:
    return str(session.run(flow(name), targets=[name]).nodes[name].status)


def test_a_value_that_is_changed_between_two_runs_is_noticed(tmp_path: Path) -> None:
    table = {"by": 2}

    @node
    def Scaled(a: int = 10) -> int:
        """Scale."""
        return a * table["by"]

    with Session(Settings(home=tmp_path), nodes=[Scaled]) as session:
        for by, expected in ((2, "ran"), (3, "ran"), (2, "cached")):
            table["by"] = by
            result = session.run(flow("Scaled"), targets=["Scaled"])
            assert (result["Scaled.number"], result.nodes["Scaled"].status) == (10 * by, expected)


def test_what_a_node_notes_for_itself_is_no_edit(tmp_path: Path) -> None:
    seen: list[int] = []

    @node
    def Noting(a: int = 1) -> int:
        """Note."""
        seen.append(a)
        return a

    with Session(Settings(home=tmp_path), nodes=[Noting]) as session:
        assert [status(session, "Noting") for _ in range(3)] == ["ran", "cached", "cached"]
        seen.append(5)
        assert status(session, "Noting") == "ran"


def test_what_others_note_before_a_node_is_added_to_the_run_is_no_edit_of_it(
    tmp_path: Path,
) -> None:
    seen: list[str] = []

    @node
    def First() -> int:
        """Note."""
        seen.append("First")
        return 1

    @node
    def Adding(a: int, salt: int) -> int:
        """Give a node that notes too."""
        seen.append("Adding")
        return Expand({"x": {"type": "Noting", "inputs": {"a": a}}}, {"number": "x"})  # type: ignore[return-value]

    @node
    def Noting(a: int) -> int:
        """Note."""
        seen.append("Noting")
        return a

    for salt, expected in ((1, ["First", "Adding", "Noting"]), (2, ["Adding"])):
        inputs = {"a": {"from": "first"}, "salt": salt}
        nodes = {"first": {"type": "First"}, "add": {"type": "Adding", "inputs": inputs}}
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        settings = Settings(home=tmp_path, keep_cheap=True)
        seen.clear()
        with Session(settings, nodes=[First, Adding, Noting]) as session:
            assert session.run(workflow, targets=["add"])["add.number"] == 1
        assert seen == expected


ADDING = """
from nodegraph import Expand as Gives, node
@node
def Outer() -> int:
    return Gives({"x": {"type": "PREFIXInner"}}, {"number": "x"})
"""
INNER = "from nodegraph import node\n@node\ndef Inner() -> int:\n    return NUM\n"


@pytest.mark.parametrize("is_pack", [False, True])
def test_a_node_counts_with_those_that_it_adds_to_the_run(is_pack: bool, tmp_path: Path) -> None:
    pack = tmp_path / "packs" / "adding"
    pack.mkdir(parents=True)
    prefix = "adding:" if is_pack else ""
    outer = ADDING.replace("PREFIX", prefix)
    for number, expected in ((1, "ran"), (2, "ran"), (1, "cached")):
        inner = INNER.replace("NUM", str(number))
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(outer + inner, scope)
        (pack / "outer.py").write_text(outer)
        (pack / "inner.py").write_text(inner)
        given: dict[str, Any] = {"nodes": [scope["Outer"], scope["Inner"]]}
        settings = Settings(home=tmp_path, keep_cheap=True, packs=(pack.parent,) if is_pack else ())
        workflow = {"format": "nodegraph/1", "nodes": {"outer": {"type": f"{prefix}Outer"}}}
        with Session(settings, **({} if is_pack else given)) as session:
            result = session.run(Workflow.from_dict(workflow), targets=["outer"])
        assert (result["outer.number"], result.nodes["outer"].status) == (number, expected)


WAITING = """
from threading import Event
from nodegraph import node
class Gate:
    def __init__(self):
        self.begun, self.go = Event(), Event()
    def __reduce__(self):  # whether it is open says nothing
        return Gate, ()
gate = Gate()
@node
def Waiting() -> int:
    gate.begun.set()
    gate.go.wait()
    return helper(7)
"""


@pytest.mark.parametrize("before", ["", "from functools import lru_cache\n@lru_cache\n"])
def test_a_helper_that_is_defined_anew_while_a_node_runs_is_an_edit(
    before: str, tmp_path: Path
) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(WAITING, scope)
    first, second = f"{before}def helper(a): return a", f"{before}def helper(a): return a * 10"
    exec(first, scope)
    settings = Settings(home=tmp_path, keep_cheap=True)
    with Session(settings, nodes=[scope["Waiting"]]) as session, ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.run, flow("Waiting"), targets=["Waiting"])
        scope["gate"].begun.wait()
        exec(second, scope)
        scope["gate"].go.set()
        assert running.result()["Waiting.number"] == 70
        for text, expected in ((first, 7), (second, 70), (first, 7)):
            exec(text, scope)
            result = session.run(flow("Waiting"), targets=["Waiting"])
            assert result["Waiting.number"] == expected
        assert result.nodes["Waiting"].status == "cached"


def test_what_cannot_be_told_apart_is_kept_nowhere_and_that_is_said_once(tmp_path: Path) -> None:
    numbers = iter(range(100))
    source = (number for number in numbers)

    @node
    def Drawn(a: int = 1) -> int:
        """Draw."""
        return next(source)

    with Session(Settings(home=tmp_path), nodes=[Drawn]) as session:
        with pytest.warns(
            UserWarning, match=r"node `Drawn` are not kept.*`source`.*generator"
        ) as told:
            assert [status(session, "Drawn") for _ in range(2)] == ["ran", "ran"]
        assert len(told) == 1


def test_libraries_count_by_name_and_locks_not_at_all() -> None:
    lock = threading.Lock()

    def shuffled(a: list[int]) -> list[int]:
        with lock:
            random.shuffle(a)
        return json.loads(json.dumps(a))

    before = code_digest(shuffled)
    shuffled([1, 2, 3])
    assert code_digest(shuffled) == before


def test_what_holds_itself_is_read_once() -> None:
    ring: list[Any] = [1]
    ring.append(ring)

    def around() -> object:
        return ring, around

    assert code_digest(around) == code_digest(around)
    ring[0] = 2
    before = code_digest(around)
    ring[0] = 1
    assert code_digest(around) != before


def test_the_order_of_a_set_says_nothing() -> None:
    def made(items: list[str]) -> str:
        words = set(items)
        return code_digest(lambda: words)

    words = [f"word{number}" for number in range(50)]
    assert made(words) == made(words[::-1]) != made(words[1:])


def test_what_has_no_content_is_named() -> None:
    stream = (number for number in range(3))
    with raises(Unreadable):
        code_digest(lambda: stream)


ARRAYS = {
    "names of fields": (
        np.array([(5, 6)], [("a", "i4"), ("b", "i4")]),
        np.array([(5, 6)], [("b", "i4"), ("a", "i4")]),
    ),
    "order in memory": (np.ones((2, 3), order="C"), np.ones((2, 3), order="F")),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_that_a_function_can_tell_apart_are_told_apart(what: str) -> None:
    def reaching(array: Any) -> Any:
        return lambda: array

    one, other = (code_digest(reaching(array)) for array in ARRAYS[what])
    assert one != other
    assert one == code_digest(reaching(ARRAYS[what][0].copy(order="K")))
