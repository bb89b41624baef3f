"""Whether plans come true: random edits of the gallery, each planned, then run.

    python benchmarks/plans.py [--json] [--quick] [--only NAME] [--seed N]

NAME is session or worker. Every workflow of the gallery is run once; then a seeded walk changes one
input of one of them at a time: numbers, seeds, sizes, prompts, choices, and now and then it takes
the last change back. Each time it is planned, then run, and the two are compared:

- the nodes that ran are exactly those that the plan says run; of those that it says *may* run, as
  what they wait for isn't known yet, some may not, and no other ran;
- how far the expected seconds are from those of the run: of all that ran, and only where the plan
  knew a time for all that runs for sure. On a busy machine this is an upper bound.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import Figure, options, show
from serving import prepared, serving

from nodegraph import Session, Workflow
from nodegraph.session.settings import Settings

GALLERY = Path(__file__).parent.parent / "workflows"
PACKS = [path for path in sorted(GALLERY.glob("*.py")) if path.stem != "__init__"]
EDITS = 60
_ENDED = {"node.finished": True, "node.failed": True, "node.cached": False, "node.skipped": False}
_THINGS = ("a red apple", "a fox face", "a blue car", "a lemon", "three ducks", "a castle")
_PLACES = ("a white", "a green", "a pink", "a blue")


@dataclass(frozen=True)
class Ran:
    """What a run did.

    Attributes:
        nodes: By name, whether it ran; those within an expanded node are left out.
        seconds: From its start to its end.
    """

    nodes: Mapping[str, bool]
    seconds: float


Plan = Mapping[str, Any]
Ask = Callable[[Mapping[str, Any]], Plan]
Run = Callable[[Mapping[str, Any]], Ran]


@dataclass
class Outcome:
    """How a plan compares with its run."""

    plan: Plan
    ran: Ran

    def _named(self, *, sure: bool) -> set[str]:
        return {
            name
            for name, node in self.plan["nodes"].items()
            if (node["status"] == "run" and (node["certain"] or node["reason"] == "first")) == sure
            and (sure or node["status"] in ("run", "lazy") or not node["certain"])
        }

    @property
    def is_true(self) -> bool:
        """Whether what ran is what was announced, and what was said may run."""
        ran = {name for name, is_run in self.ran.nodes.items() if is_run}
        return self._named(sure=True) <= ran <= self._named(sure=True) | self._named(sure=False)

    @property
    def is_equal(self) -> bool:
        """Whether all that was said to run, or that it may, did."""
        ran = {name for name, is_run in self.ran.nodes.items() if is_run}
        return ran == {n for n, node in self.plan["nodes"].items() if node["status"] == "run"}

    @property
    def error(self) -> float | None:
        """Of the time, as a share of it; None where nothing ran or no time was told."""
        totals = self.plan["totals"]
        if not any(self.ran.nodes.values()) or not totals["seconds"]:
            return None
        return abs(float(totals["seconds"]) - self.ran.seconds) / self.ran.seconds


class Walk:
    """A seeded walk through edits of the gallery."""

    def __init__(self, documents: Mapping[str, dict[str, Any]], seed: int) -> None:
        self._documents = dict(documents)
        self._before: dict[str, list[dict[str, Any]]] = {name: [] for name in documents}
        self._random = random.Random(seed)

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next workflow: which of the gallery, and how it is now."""
        rolled = self._random
        name = rolled.choice(sorted(self._documents))
        earlier = self._before[name]
        if earlier and rolled.random() < 0.2:
            self._documents[name] = earlier.pop()
        else:
            earlier.append(self._documents[name])
            self._documents[name] = self._edited(self._documents[name])
        return name, self._documents[name]

    def _edited(self, document: dict[str, Any]) -> dict[str, Any]:
        made = copy.deepcopy(document)
        nodes = [*made["nodes"].values()]
        nodes += [
            node for block in made.get("subgraphs", {}).values() for node in block["nodes"].values()
        ]
        places = [
            (node["inputs"], port)
            for node in nodes
            for port, value in node.get("inputs", {}).items()
            if self._value(port, value) is not None
        ]
        inputs, port = self._random.choice(places)
        inputs[port] = self._value(port, inputs[port])
        return made

    def _value(self, port: str, value: Any) -> Any:
        """Another value for an input; None for those that are left as they are."""
        rolled = self._random
        if port in ("seed", "start"):
            return rolled.randrange(1000)
        if port == "steps":
            return rolled.choice([4, 6, 10, 16, 24, 40])
        if port in ("width", "height"):
            return rolled.choice([64, 96, 128, 160])
        if port in ("count", "columns"):
            return rolled.randrange(2, 6)
        if port in ("cfg", "amount", "denoise") and isinstance(value, (int, float)):
            return round(rolled.uniform(0.5, 0.95) * (4 if port == "cfg" else 1), 2)
        if port == "text" and isinstance(value, str) and "euler" not in value:
            return f"{rolled.choice(_THINGS)} on {rolled.choice(_PLACES)} background"
        if port == "sampler" and isinstance(value, str):
            return rolled.choice(["euler", "heun", "dpmpp_2m"])
        return None


def documents(*, quick: bool) -> dict[str, dict[str, Any]]:
    """The gallery, by name; or one of it, of few steps."""
    if quick:
        document = json.loads((GALLERY / "text_to_image.json").read_text())
        document["nodes"]["sample"]["inputs"]["steps"] = 2
        return {"text_to_image": document}
    return {path.stem: json.loads(path.read_text()) for path in sorted(GALLERY.glob("*.json"))}


@contextmanager
def in_session(home: Path, packs: Sequence[Path]) -> Iterator[tuple[Ask, Run]]:
    """Plans and runs in this process."""
    settings = Settings(home=home, outputs=home / "out")
    with Session(settings, packs=packs, inputs=GALLERY) as session:

        def ask(document: Mapping[str, Any]) -> Plan:
            return session.plan(Workflow.from_dict(document)).as_dict()

        def run(document: Mapping[str, Any]) -> Ran:
            result = session.run(Workflow.from_dict(document), values=False)
            assert result.status == "ok", result.errors
            nodes = {
                name: report.status == "ran"
                for name, report in result.nodes.items()
                if "/" not in name
            }
            return Ran(nodes, result.seconds)

        yield ask, run


@contextmanager
def on_a_worker(home: Path, packs: Sequence[Path]) -> Iterator[tuple[Ask, Run]]:
    """Plans of a server's planner, and runs of its worker."""
    prepared(home)
    for pack in packs:
        shutil.copy(pack, home / "packs")
    (home / "inputs").mkdir()
    shutil.copy(GALLERY / "apple.png", home / "inputs")
    with serving(home) as server:

        def ask(document: Mapping[str, Any]) -> Plan:
            return server.plan({"workflow": document})

        def run(document: Mapping[str, Any]) -> Ran:
            job = server.run({"workflow": document})["id"]
            events = server.client.get(f"/jobs/{job}/events").json()["items"]
            nodes: dict[str, bool] = {}
            for event in events:
                for name in (
                    event["data"].get("nodes", [event["node"]]) if event["kind"] in _ENDED else ()
                ):
                    if "/" not in name and "[" not in name:
                        nodes[name] = _ENDED[event["kind"]]
            return Ran(nodes, max(event["seconds"] or 0.0 for event in events))

        yield ask, run


WHERE = {"session": in_session, "worker": on_a_worker}


def compared(where: str, edits: int, seed: int, *, tell: bool) -> list[Outcome]:
    """Each edit's plan with its run."""
    found = []
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        quick = edits < EDITS
        ask, run = stack.enter_context(WHERE[where](home, () if quick else PACKS))
        gallery = documents(quick=quick)
        for document in gallery.values():
            run(document)
        walk = Walk(gallery, seed)
        for _ in range(edits):
            name, document = walk.next()
            outcome = Outcome(ask(document), run(document))
            found.append(outcome)
            if tell:
                _tell(name, outcome)
    return found


def _tell(name: str, outcome: Outcome) -> None:
    ran = sorted(node for node, is_run in outcome.ran.nodes.items() if is_run)
    said = {
        node: (plan["status"], plan["certain"], plan["seconds"], plan["load_seconds"])
        for node, plan in outcome.plan["nodes"].items()
        if plan["status"] != "hit"
    }
    expected, took = outcome.plan["totals"]["seconds"], outcome.ran.seconds
    print(f"{name}: {'true' if outcome.is_true else 'FALSE'}; {expected:.2f} s, {took:.2f} s")
    print(f"    said {said}\n    ran {ran}", flush=True)


def figures(where: str, outcomes: list[Outcome]) -> Iterator[Figure]:
    """What came true."""
    label = "in a session" if where == "session" else "with a server's worker"
    many = len(outcomes)
    true = sum(outcome.is_true for outcome in outcomes)
    equal = sum(outcome.is_equal for outcome in outcomes)
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    yield Figure(f"{label}: plans that came true", true, f"of {many}", many, more_is_better=True)
    yield Figure("… all that may run did", equal, f"of {many}")
    error = 100 * statistics.median(errors) if errors else 0.0
    yield Figure("… median error of the time", error, "%", 30)
    yield Figure("… of how many runs", len(errors), f"of {many}")


def main() -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", choices=sorted(WHERE), help="session or worker")
        parser.add_argument("--seed", type=int, default=14, help="of the walk")
        parser.add_argument("--tell", action="store_true", help="tell of each edit")

    given = options(__doc__, more)
    edits = 2 if given.quick else EDITS
    found = [
        figure
        for where in ([given.only] if given.only else WHERE)
        for figure in figures(where, compared(where, edits, given.seed, tell=given.tell))
    ]
    show(found, as_json=given.json)


if __name__ == "__main__":
    main()
