"""What packs cost that are not edited: the time from the save of one to the next plan and job.

    python benchmarks/edits.py [--json] [--quick]

Beside the pack that comes with nodegraph there are 1, 10 and 40 others, of six nodes each and a
module that these use. One of them is edited again and again, and a workflow that uses all of them
is planned. The baseline is the same with one pack, so the ratio says what packs cost that weren't
edited. Then a server runs jobs of three nodes of one pack among 1 and 200, each a single file.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

from common import Figure, options, show
from serving import cpu, load, prepared, serving

from nodegraph import Session, Settings, Workflow

_NODE = '''
@node
def Node{}(x: int = 1) -> int:
    """A node."""
    return scale(x) + {}
'''


def prepare(folder: Path, packs: int) -> Workflow:
    """Write packs; a workflow that uses each of them."""
    nodes: dict[str, Any] = {}
    for number in range(packs):
        pack = folder / "packs" / f"pack{number}"
        pack.mkdir(parents=True)
        text = "".join(_NODE.format(each, each) for each in range(6))
        (pack / "nodes.py").write_text(
            f"from nodegraph import node\nfrom .scale import scale\n{text}"
        )
        edit(pack, 1)
        nodes[pack.name] = {"type": f"{pack.name}:Node0"}
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


def edit(pack: Path, by: int) -> None:
    """Save another text of the module that a pack's nodes use."""
    (pack / "scale.py").write_text(f"def scale(x):\n    return x * {by}\n")


def seconds(home: Path, packs: int, edits: int) -> float:
    """Median of the processor time that an edit of one pack takes until it is planned with."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        workflow = prepare(folder, packs)
        with Session(Settings(home=home, packs=(folder / "packs",))) as session:
            found = []
            for number in range(edits + 1):
                edit(folder / "packs" / "pack0", number + 2)
                since = time.process_time()
                plan = session.plan(workflow, targets=list(workflow.nodes), values=True)
                found.append(time.process_time() - since)
                assert not plan.problems, plan.problems
    return statistics.median(found[1:])


_FILE = '''
from nodegraph import node

@node
def Scale(x: int = 1) -> int:
    """A number, scaled."""
    return x * {}
'''
MANY = 200


class Costs(NamedTuple):
    """Of a job, in seconds: its median, and the processor time of server, planner and workers."""

    job: float
    job_cpu: float
    edited: float
    edited_cpu: float


def jobs(packs: int, workers: int, many: int) -> Costs:
    """What a server's jobs take, and the first ones after edits of their pack."""
    with tempfile.TemporaryDirectory() as folder:
        home = prepared(Path(folder) / "home")
        for number in range(packs - 1):
            (home / "packs" / f"other{number}.py").write_text(_FILE.format(number))
        with Session(Settings(home=home)) as session:
            session.registry.node_types()  # read what the packs declare
        bench = home / "packs" / "bench.py"
        text = bench.read_text()
        with serving(home, workers) as server:
            time.sleep(3)  # until files are older than their times can tell
            processes = [server.process, *server.process.children(recursive=True)]
            values = count()

            def cost(jobs: int) -> tuple[float, float]:
                before = sum(map(cpu, processes))
                wanted = list(islice(values, jobs))
                taken = load("latency", port=server.port, values=wanted, by="http")["seconds"]
                return statistics.median(taken), (sum(map(cpu, processes)) - before) / jobs

            cost(10)
            plain = cost(many)
            edited = []
            for number in range(max(2, many // 20)):
                bench.write_text(text.replace("a + b", f"a + b + {number}"))
                edited.append(cost(1))
            return Costs(*plain, *map(statistics.median, zip(*edited, strict=True)))


def job_figures(many: int) -> Iterator[Figure]:
    """Of a server with one pack and with many."""
    for workers in (1, 4):
        one, every = jobs(1, workers, many), jobs(MANY, workers, many)
        words = f"with {MANY} packs and {workers} worker{'s' if workers > 1 else ''}"
        for name, label in (
            ("job", f"a job {words}"),
            ("job_cpu", "… processor time of all processes"),
            ("edited", f"the first job after an edit {words}"),
            ("edited_cpu", "… processor time of all processes"),
        ):
            measured, base = getattr(every, name), getattr(one, name)
            yield Figure(label, measured * 1e3, "ms", None, base * 1e3, "one pack")


def figures(edits: int) -> Iterator[Figure]:
    """For each number of packs."""
    with tempfile.TemporaryDirectory() as home:
        one = seconds(Path(home), 1, edits)
        for packs in (1, 10, 40):
            taken = one if packs == 1 else seconds(Path(home), packs, edits)
            words = f"an edit of one of {packs} packs" if packs > 1 else "an edit of the only pack"
            yield Figure(words, taken * 1000, "ms", baseline=one * 1000, against="one pack")
    yield from job_figures(20 if edits < 60 else 200)


if __name__ == "__main__":
    given = options(__doc__)
    show(figures(5 if given.quick else 60), as_json=given.json)
