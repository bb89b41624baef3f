"""Packs that are edited while in use: what runs is what lies in their files, at each job."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidWorkflow
from nodegraph.packs.snapshot import Snapshot
from tests.messages import raises

HEADER = "from nodegraph import Context, node\n"


def node_text(name: str, body: str) -> str:
    return f'@node\ndef {name}(a: int = 1) -> int:\n    """A node."""\n    {body}\n'


class Workplace:
    """A folder of packs, and sessions on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pack = folder / "packs" / "edited"
        self.settings = Settings(home=folder / "home", packs=(folder / "packs",))
        self.pack.mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        """Write a file of the pack."""
        path = self.pack / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def node(self, body: str, name: str = "nodes.py", more: str = "") -> None:
        """Write a module with the node `Get`."""
        self.write(name, HEADER + more + node_text("Get", body))

    def workflow(self, *types: str) -> Workflow:
        nodes = {kind: {"type": f"edited:{kind}"} for kind in types or ("Get",)}
        return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})

    def run(self, session: Session | None = None, *types: str) -> RunResult:
        names = types or ("Get",)
        if session is None:
            with self.session() as session:
                return session.run(self.workflow(*names), targets=names)
        return session.run(self.workflow(*names), targets=names)

    def get(self, session: Session | None = None) -> Any:
        result = self.run(session)
        assert result.is_ok, result.errors
        return result["Get.number"]

    def session(self) -> Session:
        return Session(self.settings)

    def get_elsewhere(self) -> Any:
        """As `get`, in a process of its own, with byte code on."""
        code = (
            "import sys, json\nfrom pathlib import Path\n"
            "from nodegraph import Session, Settings, Workflow\n"
            "folder = Path(sys.argv[1])\n"
            "settings = Settings(home=folder / 'home', packs=(folder / 'packs',))\n"
            "with Session(settings) as session:\n"
            "    flow = Workflow.from_dict(json.loads(sys.argv[2]))\n"
            "    result = session.run(flow, targets=['Get'])\n"
            "assert result.is_ok, result.errors\nprint(json.dumps(result['Get.number']))\n"
        )
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        done = subprocess.run(
            [sys.executable, "-c", code, str(self.folder), self.workflow().to_json()],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def place(tmp_path: Path, known_specs: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    return Workplace(tmp_path)


@pytest.fixture
def session(place: Workplace) -> Iterator[Session]:
    with place.session() as session:
        yield session


def set_times_back(path: Path, to: os.stat_result) -> None:
    os.utime(path, ns=(to.st_atime_ns, to.st_mtime_ns))


def test_quick_edits_of_one_length_are_run_and_kept_rightly(place: Workplace) -> None:
    for number in (11, 22, 33, 22, 44):
        place.write("helper.py", f"NUMBER = {number}\n")
        place.node("return NUMBER", more="from .helper import NUMBER\n")
        assert place.get() == number


@pytest.mark.slow
def test_byte_code_is_neither_read_nor_written(place: Workplace) -> None:
    for number in (11, 22):
        place.write("helper.py", f"NUMBER = {number}\n")
        place.node("return NUMBER", more="from .helper import NUMBER\n")
        os.utime(place.pack / "helper.py", (1e9, 1e9))
        os.utime(place.pack / "nodes.py", (1e9, 1e9))
        assert place.get_elsewhere() == number
    assert not list(place.pack.rglob("*.pyc"))


def test_an_edit_in_place_whose_time_is_set_back_is_run(place: Workplace, session: Session) -> None:
    place.node("return 11")
    status = (place.pack / "nodes.py").stat()
    assert place.get(session) == 11
    place.node("return 22")
    set_times_back(place.pack / "nodes.py", status)
    assert place.get(session) == 22
    assert place.get() == 22


def test_a_session_runs_what_lies_there_when_a_job_begins(
    place: Workplace, session: Session
) -> None:
    place.node("return 1")
    assert place.get(session) == 1
    place.node("return 2")
    assert place.get(session) == 2
    place.node("return 1")
    assert place.run(session).nodes["Get"].status == "cached"
    assert place.get(session) == 1


def test_what_an_edit_gives_is_never_kept_under_the_name_of_what_was_there_before(
    place: Workplace, session: Session
) -> None:
    def write(number: int) -> None:
        bodies = [node_text(name, f"return {number}") for name in ("First", "Second")]
        place.write("nodes.py", HEADER + "\n".join(bodies))

    write(10)
    assert place.run(session, "First")["First.number"] == 10
    write(3885)
    assert place.run(session, "Second")["Second.number"] == 3885
    write(10)
    assert place.run(session, "Second")["Second.number"] == 10
    assert place.run(None, "Second")["Second.number"] == 10


def test_only_what_depends_on_an_edit_is_stale(place: Workplace, session: Session) -> None:
    place.write("first.py", HEADER + node_text("First", "return 1"))
    place.write("second.py", HEADER + node_text("Second", "return 2"))
    place.run(session, "First", "Second")
    place.write("second.py", HEADER + node_text("Second", "return 3"))
    result = place.run(session, "First", "Second")
    statuses = {name: report.status for name, report in result.nodes.items()}
    assert statuses == {"First": "cached", "Second": "ran"}
    assert result["Second.number"] == 3


def test_new_node_types_and_packs_are_there_at_the_next_job(
    place: Workplace, session: Session
) -> None:
    place.node("return 1")
    place.get(session)
    place.write("more.py", HEADER + node_text("More", "return 7"))
    assert place.run(session, "More")["More.number"] == 7
    (place.pack.parent / "other.py").write_text(HEADER + node_text("Get", "return 8"))
    flow = {"format": "nodegraph/1", "nodes": {"get": {"type": "other:Get"}}}
    assert session.run(Workflow.from_dict(flow), targets=["get"])["get.number"] == 8


def test_a_file_that_is_only_touched_is_not_loaded_anew(place: Workplace, session: Session) -> None:
    place.node("return 1")
    place.get(session)
    module = sys.modules["nodegraph_packs.edited.nodes"]
    os.utime(place.pack / "nodes.py")
    assert place.run(session).nodes["Get"].status == "cached"
    assert sys.modules["nodegraph_packs.edited.nodes"] is module


def test_a_faulty_edit_is_told_and_mended(place: Workplace, session: Session) -> None:
    place.node("return 1")
    place.get(session)
    place.write("nodes.py", "def broken(\n")
    with raises(InvalidWorkflow, node="Get"):
        place.run(session)
    assert "importing nodegraph_packs.edited.nodes failed" in session.registry.problems[0]
    place.node("return 2")
    assert place.get(session) == 2


def test_plan_why_and_check_look_at_the_packs_as_they_are(
    place: Workplace, session: Session
) -> None:
    def verdict() -> str:
        return session.plan(place.workflow(), targets=["Get"]).nodes["Get"].status

    place.node("return 1")
    place.get(session)
    assert verdict() == "hit"
    place.node("return 2")
    assert verdict() == "run"
    (why,) = session.why(place.workflow(), node="Get")
    assert "code changed: nodegraph_packs.edited.nodes" in str(why)
    place.write("nodes.py", HEADER + node_text("Other", "return 2"))
    assert "edited:Get" in str(session.check(place.workflow()))


def test_what_runs_keeps_the_code_that_it_began_with(place: Workplace, session: Session) -> None:
    # The second module is imported only after the first node has edited it.
    place.write("second.py", HEADER + node_text("Second", "return 1"))
    edit = "Path(__file__).with_name('second.py')"
    place.write(
        "first.py",
        HEADER
        + "from pathlib import Path\n"
        + node_text("First", f"{edit}.write_text({edit}.read_text().replace('1\\n', '2\\n'))"),
    )
    flow = place.workflow("First", "Second").to_dict()
    flow["nodes"]["Second"]["inputs"] = {"a": {"from": "First"}}
    session.run(Workflow.from_dict(flow), targets=["Second"])
    assert place.run(None, "Second")["Second.number"] == 2


def test_values_of_a_class_that_was_loaded_anew_are_not_handed_to_new_code(
    place: Workplace, session: Session
) -> None:
    make = (
        "from dataclasses import dataclass\nfrom nodegraph import node, port_type\n"
        "@port_type()\n@dataclass(frozen=True)\nclass Thing:\n    number: int\n"
        "@node\ndef Make() -> Thing:\n    return Thing(5)\n"
    )
    take = (
        "from nodegraph import node\nfrom .things import Thing\n"
        "@node\ndef Get(thing: Thing) -> int:\n"
        "    assert isinstance(thing, Thing)\n    return thing.number + {}\n"
    )
    flow = Workflow.from_dict(
        {
            "format": "nodegraph/1",
            "nodes": {
                "make": {"type": "edited:Make"},
                "get": {"type": "edited:Get", "inputs": {"thing": {"from": "make"}}},
            },
        }
    )
    for number in (0, 1):
        place.write("things.py", make)
        place.write("takes.py", take.format(number))
        result = session.run(flow, targets=["get"])
        assert result.is_ok, result.errors
        assert result["get.number"] == 5 + number


LAZY = """import importlib, sys, types
class Lazy(types.ModuleType):
    def __getattr__(self, name):
        return importlib.import_module("toys_ed." + name)
lazy = Lazy(__name__)
vars(lazy).update({name: vars(sys.modules[__name__])[name] for name in ("__spec__", "__path__")})
sys.modules[__name__] = lazy
"""
ALIASED = "import sys\nsys.modules.setdefault('toys_by_another_name', sys.modules[__name__])\n"


@pytest.fixture
def unknown_toys() -> Iterator[None]:
    """Begins and ends as a process that knows nothing of the packs `toys_…`."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("toys_")]:
            del sys.modules[name]

    forget()
    yield
    forget()


@pytest.mark.usefixtures("unknown_toys")
@pytest.mark.parametrize("package", ["", LAZY, ALIASED], ids=["plain", "lazy", "aliased"])
def test_an_installed_pack_is_followed_too(
    tmp_path: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    site = tmp_path / "site"
    metadata = site / "toys_ed-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toys_ed\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[nodegraph.nodes]\ntoys_ed = toys_ed.nodes\n")
    (site / "toys_ed").mkdir()
    (site / "toys_ed" / "__init__.py").write_text(package)
    monkeypatch.syspath_prepend(str(site))
    flow = Workflow.from_dict({"format": "nodegraph/1", "nodes": {"get": {"type": "toys_ed:Get"}}})
    with place.session() as session:
        for number in (11, 22, 11):
            (site / "toys_ed" / "helper.py").write_text(f"NUMBER = {number}\n")
            text = HEADER + "from toys_ed.helper import NUMBER\n"
            (site / "toys_ed" / "nodes.py").write_text(text + node_text("Get", "return NUMBER"))
            assert session.run(flow, targets=["get"])["get.number"] == number
            if package == ALIASED:
                assert sys.modules["toys_by_another_name"] is sys.modules["toys_ed"]
    assert not list(site.rglob("*.pyc"))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What packs import as `gate`: a node began, it may go on, a module is being imported."""
    found = SimpleNamespace(began=Event(), go=Event(), imports=lambda: None)
    monkeypatch.setitem(sys.modules, "gate", found)  # type: ignore[arg-type]
    return found


WAIT = "import gate\n" + HEADER + node_text("Wait", "gate.began.set(); gate.go.wait(60); return a")


def test_what_one_session_imports_isnt_mixed_with_what_another_takes_up(
    place: Workplace, gate: SimpleNamespace
) -> None:
    place.write("helper.py", "NUMBER = 1\n")
    place.write("wait.py", WAIT)
    place.node("return NUMBER", more="import gate\ngate.imports()\nfrom .helper import NUMBER\n")
    nodes = {"Wait": {"type": "edited:Wait"}, "Get": {"type": "edited:Get"}}
    nodes["Get"]["inputs"] = {"a": {"from": "Wait"}}  # type: ignore[assignment]
    both = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})

    def meanwhile() -> None:
        gate.imports = lambda: None
        other = Thread(target=place.get)
        others.append(other)
        other.start()
        other.join(1)

    others: list[Thread] = []
    with place.session() as session, ThreadPoolExecutor(1) as thread:
        running = thread.submit(session.run, both, targets=["Get"])
        assert gate.began.wait(60)
        place.write("helper.py", "NUMBER = 2\n")
        assert place.get() == 2
        gate.imports = meanwhile
        gate.go.set()
        assert running.result()["Get.number"] == 1
    for other in others:
        other.join()
    place.write("helper.py", "NUMBER = 1\n")
    with place.session() as session:
        assert session.run(both, targets=["Get"])["Get.number"] == 1


def test_a_function_imports_what_was_there_with_it_though_another_session_took_up_an_edit(
    place: Workplace, gate: SimpleNamespace
) -> None:
    place.write("helper.py", "NUMBER = 1\n")
    body = "gate.began.set(); gate.go.wait(60); from . import helper; return helper.NUMBER"
    place.node(body, more="import gate\n")
    place.write("other.py", HEADER + node_text("Other", "return a"))
    with place.session() as session, ThreadPoolExecutor(1) as thread:
        running = thread.submit(place.get, session)
        assert gate.began.wait(60)
        place.write("helper.py", "NUMBER = 2\n")
        assert place.run(None, "Other").is_ok
        gate.go.set()
        assert running.result() == 1
    assert place.get() == 2
    place.write("helper.py", "NUMBER = 1\n")
    assert place.get() == 1


@pytest.mark.parametrize("start", ["", pytest.param(None, marks=pytest.mark.slow)])
def test_functions_of_two_versions_import_each_their_own_at_once(
    place: Workplace, start: str | None
) -> None:
    """Whatever was imported before, as modules and from them."""
    text = (
        "from . import helper; from .helper import NUMBER; from nodegraph_packs.edited import deep;"
        " from .deep.more import MORE; return {helper.NUMBER, NUMBER, MORE, deep.more.MORE}"
    )
    place.node(text)
    if start is not None:
        place.write("__init__.py", start)
    versions = []
    for number in (1, 2, 3):
        place.write("helper.py", f"NUMBER = {number}\n")
        place.write("deep/more.py", f"from ..helper import NUMBER as MORE\nAGAIN = {number}\n")
        registry = place.session().registry
        versions.append(({number}, registry.definition("edited:Get").function))

    def call(times: int) -> int:
        return sum(function() != own for _ in range(times) for own, function in versions)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(3) as threads:
            assert sum(threads.map(call, [10] * 3)) == 0
    finally:
        sys.setswitchinterval(interval)


def test_built_in_names_that_are_made_later_are_there(place: Workplace) -> None:
    place.write("words.py", "import gettext\n\ngettext.install('words')\nHELLO = _('hello')\n")
    place.node("from nodegraph_packs.edited.words import HELLO; return len(_(HELLO))")
    try:
        assert place.get() == 5
    finally:
        vars(builtins).pop("_", None)


@pytest.mark.slow
def test_two_packs_that_import_each_other_are_edited_in_two_threads(place: Workplace) -> None:
    packs = place.pack.parent

    def use(own: str, other: str) -> list[bool]:
        """Edit one pack, and run the node of the other one that takes its number."""
        flow = Workflow.from_dict(
            {"format": "nodegraph/1", "nodes": {"Get": {"type": f"{other}:Get"}}}
        )
        found = []
        with place.session() as session:
            for number in range(10):
                # Nobody finds it half-written.
                whole = place.folder / f"{own}.py"
                whole.write_text(f"AMOUNT = {number}\n")
                whole.replace(packs / own / "amounts.py")
                result = session.run(flow, targets=["Get"])
                assert result.is_ok, result.errors
                found.append(result["Get.number"] == number)
        return found

    for own, other in (("left", "right"), ("right", "left")):
        (packs / own).mkdir()
        (packs / own / "amounts.py").write_text("AMOUNT = 0\n")
        more = f"from nodegraph_packs.{other}.amounts import AMOUNT\n"
        (packs / own / "nodes.py").write_text(HEADER + more + node_text("Get", "return AMOUNT"))
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(use, *names) for names in (("left", "right"), ("right", "left"))]
        assert [all(each.result()) for each in both] == [True, True]


def test_a_single_file_beside_a_folder_takes_nothing_of_it(place: Workplace) -> None:
    (place.pack.parent / "a_file.py").write_text(HEADER + node_text("Other", "return 0"))
    table = "from pathlib import Path\nTABLE = Path(__file__).parent / 'table.txt'\n"
    place.node("return int(TABLE.read_text())", more=table)
    for number in (1, 2):
        place.write("table.txt", f"{number}\n")
        # In processes where no other pack was known before.
        assert place.get_elsewhere() == number


def test_a_later_session_runs_what_another_pack_has_become(place: Workplace) -> None:
    other = place.pack.parent / "other"
    other.mkdir()
    place.node("return amount()", more="from nodegraph_packs.other.amounts import amount\n")
    for number in (1, 2):
        (other / "amounts.py").write_text(f"def amount():\n    return {number}\n")
        assert place.get() == number
    (other / "amounts.py").unlink()
    with raises(InvalidWorkflow, node="Get"):
        place.run()


def test_two_sessions_by_turns_run_what_another_pack_has_become(place: Workplace) -> None:
    other = place.pack.parent / "other"
    other.mkdir()
    place.node("return amount()", more="from nodegraph_packs.other.amounts import amount\n")
    with place.session() as one, place.session() as two:
        for number, session in enumerate((one, two, two, one)):
            (other / "amounts.py").write_text(f"def amount():\n    return {number}\n")
            assert place.get(session) == number


def test_a_later_session_imports_anew_what_read_another_variable(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("settings.py", "import os\nNUMBER = int(os.environ['NUMBER_OF_THIS_TEST'])\n")
    place.node("return NUMBER", more="from .settings import NUMBER\n")
    for number in (1, 2):
        monkeypatch.setenv("NUMBER_OF_THIS_TEST", str(number))
        assert place.get() == number


def test_a_pack_that_is_gone_is_no_longer_imported(place: Workplace, session: Session) -> None:
    other = place.pack.parent / "other.py"
    other.write_text("def amount():\n    return 1\n")
    place.node("return amount()", more="from nodegraph_packs.other import amount\n")
    assert place.get(session) == 1
    other.unlink()
    for where in (session, None):
        with raises(InvalidWorkflow, node="Get"):
            place.run(where)


def test_a_snapshot_is_looked_at_while_another_thread_reads_files_beside_it(
    tmp_path: Path,
) -> None:
    for number in range(2000):
        (tmp_path / f"beside_{number}.py").write_text("")
    pack = tmp_path / "pack.py"
    pack.write_text("")
    snapshot = Snapshot(pack, pack, "nodegraph_packs.pack")
    beside = [tmp_path / f"beside_{number}.py" for number in range(2000)]
    reader = Thread(target=lambda: [snapshot.text(path) for path in beside])
    reader.start()
    while reader.is_alive():
        assert snapshot.is_current()
    reader.join()


def test_what_another_session_imported_with_another_variable_is_imported_anew(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "import os\nNUMBER = int(os.environ['NUMBER_OF_THIS_TEST'])\n"
    place.node("return NUMBER", more=more)
    with place.session() as one, place.session() as two:
        monkeypatch.setenv("NUMBER_OF_THIS_TEST", "1")
        one.plan(place.workflow("Get"), targets=["Get"])
        monkeypatch.setenv("NUMBER_OF_THIS_TEST", "2")
        assert place.get(two) == 2
        monkeypatch.setenv("NUMBER_OF_THIS_TEST", "1")
        assert place.get(one) == 1
