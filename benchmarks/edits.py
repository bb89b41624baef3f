"""What it takes to take up an edit of a pack: processor time from the save to the next plan.

    python benchmarks/edits.py [--json] [--quick]

Beside the pack that comes with nodegraph there are 1, 10 and 40 others, of six nodes each and a
module that these use. One of them is edited again and again, and a workflow that uses all of them
is planned. The baseline is the same with one pack, so the ratio says what packs cost that weren't
edited.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Figure, options, show

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


def figures(edits: int) -> Iterator[Figure]:
    """For each number of packs."""
    with tempfile.TemporaryDirectory() as home:
        one = seconds(Path(home), 1, edits)
        for packs in (1, 10, 40):
            taken = one if packs == 1 else seconds(Path(home), packs, edits)
            words = f"an edit of one of {packs} packs" if packs > 1 else "an edit of the only pack"
            yield Figure(words, taken * 1000, "ms", baseline=one * 1000, against="one pack")


if __name__ == "__main__":
    given = options(__doc__)
    show(figures(5 if given.quick else 60), as_json=given.json)
