"""What a person does, step by step, and whether each result is what it should be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Protocol

from tests.adversarial.cells import CELLS
from tests.adversarial.driving import Answer, Wish
from tests.adversarial.sheets import CHANGES, Sheet
from tests.adversarial.texts import PACK_TYPES, PART_TYPES, PARTS, NodeType
from tests.adversarial.world import PICTURE, SAVES, World

_ASSISTED = {"Assisted": ("assist_scale",), "AssistedByModule": ("assist_scale", "assist_base")}
CELL_TYPES = {name: NodeType(_ASSISTED.get(name, (name,))) for name in CELLS}
"""Node types that cells make."""

_APART = ("server", "command")
"""Runners that are known from outside only."""

Step = tuple[str, int]
"""What is done, and the number from which its particulars are drawn."""


class Runner(Protocol):
    """Runs workflows: a `Driver`, a `Remote`, a `Served` or a `Commanded`."""

    def run(self, wish: Wish) -> Answer: ...
    def restart(self) -> None: ...
    def close(self) -> None: ...


class Notebook(Runner, Protocol):
    """One that also runs cells."""

    def cell(self, text: str) -> None: ...
    def poke(self, text: str) -> None: ...
    def script(self, path: str) -> None: ...


class Divergence(AssertionError):
    """A result that isn't what the code gives, or work that was done twice."""


class Play:
    """A world, those who run workflows in it, and what was done so far.

    Args:
        world: The folder.
        begin: Makes each runner, by its name, when it is first needed.
        fresh: Makes a process that lives for one run.
        packs, cells, saves, parts: What takes part: node types, cells, ways to save a file, and
            what comes and goes.
    """

    def __init__(
        self,
        world: World,
        begin: Mapping[str, Callable[[Path], Any]],
        fresh: Callable[[Path], Any] | None = None,
        *,
        packs: Mapping[str, NodeType] = PACK_TYPES,
        cells: Sequence[str] = tuple(CELLS),
        saves: Sequence[str] = tuple(SAVES),
        parts: Sequence[str] = tuple(PARTS),
    ) -> None:
        self.parts = parts
        self.saves = saves
        self.world = world
        self.counts: Counter[str] = Counter()
        self._begin = begin
        self._fresh = fresh
        self._runners: dict[str, Any] = {}
        self._sheets = {
            "packs": Sheet({**packs, **PART_TYPES}, PART_TYPES),
            "cells": Sheet({name: CELL_TYPES[name] for name in cells}),
        }
        self._undo: list[tuple[str, int]] = []
        self._pokes: dict[str, dict[str, int]] = {}
        self._done: dict[str, str] = {}

    def close(self) -> None:
        """End whatever runs."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def do(self, step: Step) -> None:
        """Do one thing.

        Raises:
            Divergence: Something isn't as it should be.
        """
        what, number = step
        self.counts[what] += 1
        getattr(self, f"_{what}")(Random(number))

    # What a person does to files

    def _edit(self, random: Random) -> None:
        used = [name for sheet in self._sheets.values() for name in sheet.digits()]
        # Most of what is there doesn't matter to the workflows of the moment.
        name = random.choice(used if used and random.random() < 0.8 else list(self.world.digits))
        self._undo.append((name, self.world.digits[name]))
        how = random.choice(self.saves)
        self.counts["variables set" if name[0] == "$" else f"saved {how}"] += 1
        self.world.edit(name, random.randint(0 if name[0] == "$" else 1, 9), how)

    def _undo_edit(self, random: Random) -> None:
        if self._undo:
            name, digit = self._undo.pop()
            self.world.edit(name, digit, random.choice(self.saves))

    def _touch(self, random: Random) -> None:
        self.world.save(random.choice(list(self.world.texts)), random.choice(self.saves))

    def _grow(self, random: Random) -> None:
        place = random.choice([name for name in self.world.texts if name.endswith(".py")])
        self.world.grown[place] = random.randint(0, 3)
        self.world.save(place, random.choice(self.saves))

    def _lose(self, random: Random) -> None:
        self.world.mend("in-place")
        self.world.lose(random.choice(self._parts()))

    def _break(self, random: Random) -> None:
        self.world.mend("in-place")
        places = [place for place in self._parts() if place.endswith(".py")]
        self.world.break_off(random.choice(places), random.choice(self.saves))

    def _appear(self, random: Random) -> None:
        away = [part for part in self.parts if part not in self.world.parts]
        if away:
            part = random.choice(away)
            self.world.appear(part, random.choice(self.saves))
            if part in PART_TYPES:
                self._sheets["packs"].come(part, random)

    def _vanish(self, random: Random) -> None:
        if self.world.parts:
            part = random.choice(sorted(self.world.parts))
            self.world.vanish(part, random.choice(self.saves))
            if part in PART_TYPES:
                self._sheets["packs"].go(part, random)

    def _mend(self, random: Random) -> None:
        self.world.mend(random.choice(self.saves))

    def _parts(self) -> list[str]:
        return [name for name in self.world.texts if "/kit/" in name or "/flat/" in name]

    def _paint(self, random: Random) -> None:
        self.world.paint(random.randint(1, 9), random.choice(self.saves))

    # To workflows

    def _change(self, random: Random) -> None:
        sheet = self._sheets[random.choice(list(self._sheets))]
        sheet.change(random.choice(CHANGES), random)

    def _undo_change(self, random: Random) -> None:
        self._sheets[random.choice(list(self._sheets))].undo()

    def _branch(self, random: Random) -> None:
        self._sheets[random.choice(list(self._sheets))].branch(random)

    # Running

    def _run(self, random: Random) -> None:
        self._run_in(self._some_runner(random), "packs", random)

    def _run_cells(self, random: Random) -> None:
        name = self._some_runner(random)
        self._run_in(name, "cells", random)

    def _recell(self, random: Random) -> None:
        """A person edits a cell and runs it, in place of what it was."""
        name = self._some_runner(random)
        for cell in self._cells_used() or list(self._sheets["cells"].types)[:1]:
            if random.random() < 0.5:
                if cell in self.world.digits:
                    self.world.edit(cell, random.randint(1, 9), "in-place")
                self._runners[name].cell(self.world.cell(cell))

    def _poke(self, random: Random) -> None:
        name = self._some_runner(random)
        cells = [cell for cell in self._cells_used() if CELLS[cell].poke]
        if not cells:
            return
        cell = random.choice(cells)
        self.world.edit(cell, random.randint(1, 9), "in-place")
        self._runners[name].poke(self.world.poke(cell))

    def _cells_used(self) -> list[str]:
        return sorted({entry["type"] for entry in self._sheets["cells"].nodes.values()})

    def _picture(self, random: Random) -> None:
        nodes = {"load": {"type": "LoadImage", "inputs": {"path": str(self.world.root / PICTURE)}}}
        runner = self._some_runner(random)
        self._ask(runner, Wish(nodes, ["load"]))

    def _again(self, random: Random) -> None:
        """The same once more: nothing is computed."""
        name = self._some_runner(random)
        sheet = self._sheets["packs"]
        if not sheet.nodes:
            return
        wish = self._wish("packs", random)
        first = self._ask(name, wish)
        # A value of a pack's own class is kept in memory only.
        is_kept = first.plain is not None and "Pair Pair" not in str(first.plain)
        if random.random() < 0.2 and is_kept:
            self._runners[name].restart()
        answer = self._ask(name, wish)
        if answer.outputs is not None and (answer.called or answer.ran):
            raise self._diverged(name, wish, answer, "computed again")

    def _midway(self, random: Random) -> None:
        """A file changes while nodes run: that run may see either, later ones see what is."""
        name = self._some_runner(random)
        names = [name for name in self.world.digits if self.world.places_of(name)]
        hole = random.choice([name for name in names if name not in CELLS])
        self._undo.append((hole, self.world.digits[hole]))
        place = self.world.places_of(hole)[0]
        if place in self.world.lost | self.world.broken or not self._sheets["packs"].nodes:
            return
        wish = self._wish("packs", random)
        self.world.digits[hole] = random.randint(1, 9)
        path = str(self.world.root / place)
        text = self.world.text(place).decode()
        midway = replace(wish, spoil=False, midway=(path, text))
        self._runners[name].run(midway)
        Path(path).write_text(text)
        self._ask(name, wish)

    def _restart(self, random: Random) -> None:
        name = random.choice(list(self._runners) or [""])
        if name and name not in _APART:
            self._runners[name].restart()

    def _process(self, random: Random) -> None:
        """A process that begins, runs a script or a workflow, and ends."""
        if self._fresh is None:
            return
        for name in [name for name in self._runners if name not in _APART]:
            self._runners[name].restart()
        self._runners["fresh"] = self._fresh(self.world.root)
        try:
            for book in ("cells", "packs"):
                if book == "cells":
                    self._runners["fresh"].script(str(self.world.root / "script.py"))
                self._run_in("fresh", book, random)
        finally:
            self._runners.pop("fresh").close()

    def _serve(self, random: Random) -> None:
        self._fill("packs", random)
        # Its variables are those that it was begun with.
        is_set = any(name[0] == "$" for name in self._sheets["packs"].digits())
        if "server" in self._begin and not is_set:
            self._started("server")
            self._run_in("server", "packs", random)

    def _command(self, random: Random) -> None:
        if "command" in self._begin:
            self._run_in(self._started("command"), "packs", random)

    def _at_once(self, random: Random) -> None:
        """Two processes run the same at the same moment; either may find the other's results."""
        if "child" not in self._begin:
            return
        self._fill("packs", random)
        wish = self._wish("packs", random)
        mine, other = (self._runners[self._started(name)] for name in ("live", "child"))
        other.begin(wish)
        answers = {"live": mine.run(wish), "child": other.answer()}
        for name, answer in answers.items():
            self.counts[f"runs in {name} at once"] += 1
            self._check_outputs(name, wish, answer)

    def _end_process(self, random: Random) -> None:
        """The long-lived child ends; another takes its place when one is needed."""
        if "child" in self._runners:
            self._runners.pop("child").close()

    # How it is checked

    def _some_runner(self, random: Random) -> str:
        names = [name for name in self._begin if name not in _APART]
        weights = [4 if name == "live" else 1 for name in names]
        return self._started(random.choices(names, weights)[0])

    def _started(self, name: str) -> str:
        if name not in self._runners:
            runner = self._runners[name] = self._begin[name](self.world.root)
            if name not in _APART:
                runner.cell(self.world.first())
                for cell in CELLS:
                    runner.cell(self.world.cell(cell))
        return name

    def _wish(self, book: str, random: Random) -> Wish:
        sheet = self._sheets[book]
        return Wish(
            json.loads(json.dumps(sheet.nodes)),
            sheet.targets(random),
            self.world.environ,
            spoil=random.random() < 0.3,
        )

    def _run_in(self, name: str, book: str, random: Random) -> None:
        self._fill(book, random)
        self._ask(name, self._wish(book, random))

    def _fill(self, book: str, random: Random) -> None:
        while len(self._sheets[book].nodes) < 2:
            self._sheets[book].change("add", random)

    def _ask(self, name: str, wish: Wish) -> Answer:
        self.counts[f"runs in {name}"] += 1
        self.counts["nodes asked"] += len(wish.targets)
        answer: Answer = self._runners[name].run(wish)
        self._check(name, wish, answer)
        return answer

    def _check_outputs(self, name: str, wish: Wish, answer: Answer) -> None:
        if answer.plain is None:
            self.counts["runs of broken code"] += 1
            if answer.outputs is not None:
                raise self._diverged(name, wish, answer, "a result of code that can't run")
            return
        if answer.refused:
            self.counts["runs of nodes that change what they share"] += 1
            if answer.outputs is not None or "changed this input" not in answer.fault:
                raise self._diverged(name, wish, answer, "no word of a value that was changed")
            return
        if answer.outputs is None:
            raise self._diverged(name, wish, answer, "no result")
        if answer.outputs != answer.plain:
            raise self._diverged(name, wish, answer, "another result")

    def _check(self, name: str, wish: Wish, answer: Answer) -> None:
        self._check_outputs(name, wish, answer)
        if name in _APART or answer.plain is None or answer.refused:
            return
        self.counts["nodes run"] += len(answer.called)
        # Of equal nodes one runs, no matter which.
        ran, surely, perhaps = (
            {answer.calls[node] for node in nodes}
            for nodes in (answer.ran, answer.surely, answer.perhaps)
        )
        called = sorted(_function_name(call) for call in ran if not call.startswith("LoadImage "))
        if called != sorted(answer.called):
            raise self._diverged(name, wish, answer, "another report than what ran")
        # Another process may still have been writing down what it knew when this one looked.
        is_alone = len(self._runners) == 1
        if not (ran <= surely | perhaps and (surely <= ran or not is_alone)):
            raise self._diverged(name, wish, answer, "another plan than what ran")

    def _diverged(self, name: str, wish: Wish, answer: Answer, what: str) -> Divergence:
        return Divergence(
            f"{what}, in {name}: targets {list(wish.targets)} of {json.dumps(wish.nodes)}: {answer}"
        )


def _function_name(call: str) -> str:
    return call.partition(" ")[0].rpartition(":")[2]


WEIGHTS: dict[str, int] = {
    "edit": 24,
    "undo_edit": 8,
    "touch": 4,
    "grow": 3,
    "lose": 1,
    "break": 1,
    "mend": 3,
    "appear": 2,
    "vanish": 1,
    "paint": 4,
    "change": 16,
    "undo_change": 4,
    "branch": 3,
    "run": 20,
    "run_cells": 8,
    "recell": 8,
    "poke": 6,
    "picture": 4,
    "again": 6,
    "midway": 2,
    "restart": 3,
}
"""How often each kind of step is taken, to each other."""


def some_step(random: Random, weights: Mapping[str, int] = WEIGHTS) -> Step:
    """A step drawn by chance."""
    return random.choices(list(weights), list(weights.values()))[0], random.getrandbits(32)
