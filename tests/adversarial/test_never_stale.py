"""No result is ever stale: the short form of `tests.adversarial.long`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.adversarial.driving import Driver
from tests.adversarial.play import WEIGHTS, Play, some_step
from tests.adversarial.process import Remote
from tests.adversarial.serving import Commanded, Served
from tests.adversarial.world import World, known_specs
from tests.properties import examples

_NUMBERS = itertools.count(1 << 30)
_IN_ONE_PROCESS = settings(max_examples=examples(10), stateful_step_count=40, print_blob=True)


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the installed packs declare."""
    return known_specs(tmp_path_factory.mktemp("specs"))


@pytest.fixture(autouse=True)
def _byte_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for people: where it isn't, stale byte code can't show itself."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def _world(root: Path, specs: Path) -> World:
    return World(root, next(_NUMBERS), specs)


def test_a_session_never_gives_stale_results(
    tmp_path_factory: pytest.TempPathFactory, specs: Path
) -> None:
    class Person(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            root = tmp_path_factory.mktemp("world")
            self.play = Play(_world(root, specs), {"live": Driver})

        @rule(random=st.randoms())
        def do(self, random: Random) -> None:
            self.play.do(some_step(random, WEIGHTS))

        def teardown(self) -> None:
            if hasattr(self, "play"):
                self.play.close()

    run_state_machine_as_test(Person, settings=_IN_ONE_PROCESS)


def test_several_processes_never_give_stale_results(tmp_path: Path, specs: Path) -> None:
    random = Random(14)
    weights = WEIGHTS | {"process": 2}
    play = Play(
        _world(tmp_path, specs),
        {"live": Driver, "child": Remote},
        Remote,
    )
    try:
        for _ in range(150):
            play.do(some_step(random, weights))
    finally:
        play.close()
    assert play.counts["runs in fresh"]
    assert play.counts["runs in child"]


@pytest.mark.slow
def test_neither_a_live_server_nor_the_command_gives_stale_results(
    tmp_path: Path, specs: Path
) -> None:
    random = Random(15)
    steps = ("edit", "undo_edit", "touch", "change", "undo_change")
    weights = {name: WEIGHTS[name] for name in steps} | {"serve": 20, "command": 4}
    play = Play(_world(tmp_path, specs), {"server": Served, "command": Commanded})
    try:
        for _ in range(60):
            play.do(some_step(random, weights))
    finally:
        play.close()
    assert play.counts["runs in server"] > 5
    assert play.counts["runs in command"]
