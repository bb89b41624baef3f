"""The whole engine with the built-in pack, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

from nodegraph import Facts, Image, Session, Settings, Vae, Workflow, node
from nodegraph.core.analysis import analyse, workflow_warnings
from nodegraph.core.events import Event
from nodegraph.engine.result import RunResult
from nodegraph.errors import NodeFailed, Problem
from tests.diffusion.conftest import one_thread, sd1_folder  # noqa: F401 - fixtures


@node
def Picture(width: int = 16, height: int = 8, batch: int = 1, seed: int = 0) -> Image:
    """Random pixels in steps of 1 / 255, so that files hold them exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, height, width, 3), generator=generator) / 255


@node(deterministic=False)
def Overwrite(vae: Vae, file: str) -> Vae:
    """Changes a byte of a file in place, as somebody may while a run uses it."""
    content = bytearray(Path(file).read_bytes())
    content[-2] ^= 1
    with Path(file).open("r+b") as opened:
        opened.write(content)
    return vae


class Bench:
    """Runs small workflows; remembers the events of the last one."""

    def __init__(self, folder: Path, nodes: Sequence[Any] = (), **settings: Any) -> None:
        given: dict[str, Any] = {
            "home": folder / "home",
            "models": (folder / "models",),
            "inputs": folder / "inputs",
            "outputs": folder / "outputs",
            "device": "cpu",
        }
        (folder / "inputs").mkdir()
        self.folder = folder
        self.session = Session(Settings(**given | settings), nodes=[Picture, Overwrite, *nodes])
        self.events: list[Event] = []

    def run(self, nodes: Mapping[str, Any], *targets: str) -> RunResult:
        self.events = []
        return self.session.run(
            _workflow(nodes), targets=targets or None, listener=self.events.append
        )

    def value(self, nodes: Mapping[str, Any], output: str) -> Any:
        """The value of one output, ``node.port``."""
        result = self.run(nodes, output.partition(".")[0])
        assert not result.errors, result.errors
        return result[output]

    def failure(self, nodes: Mapping[str, Any], *targets: str) -> NodeFailed:
        [error] = self.run(nodes, *targets).errors
        return error

    def problems(self, nodes: Mapping[str, Any], *targets: str) -> list[Problem]:
        """What is found before anything runs."""
        return self.session.check(_workflow(nodes), targets=targets or None)

    def warnings(self, nodes: Mapping[str, Any]) -> list[Problem]:
        """What is worth knowing before it runs, besides nodes that nothing needs."""
        session = self.session
        found = workflow_warnings(_workflow(nodes), session.registry, session.environment)
        return [warning for warning in found if warning.code != "unused"]

    def facts(self, nodes: Mapping[str, Any], node: str) -> Mapping[str, Facts]:
        """What is known of a node's outputs before anything runs."""
        session = self.session
        found = analyse(_workflow(nodes), session.registry, session.environment, targets=[node])
        assert not found.problems, found.problems
        return found.nodes[node].facts

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


@pytest.fixture
def bench(tmp_path: Path, known_specs: Path) -> Iterator[Bench]:
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    made = Bench(tmp_path)
    yield made
    made.session.close()


def link(output: str) -> dict[str, str]:
    return {"from": output}


def _workflow(nodes: Mapping[str, Any]) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})
