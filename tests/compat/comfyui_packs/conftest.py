"""A session with the test pack in a process of its own, and prompts that are run in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings
from nodegraph.engine.result import RunResult
from nodegraph.errors import NodeFailed
from nodegraph.interop.comfyui.importer import NodeTable, node_table
from nodegraph.interop.comfyui.prompt_check import CheckedPrompt, InvalidPrompt, check_prompt
from nodegraph.packs.pack import Isolation, Pack, pack_at

PACK = Path(__file__).parent / "pack"


def comfy_pack(folder: Path, *allowed: str) -> Pack:
    """A folder as a pack of ComfyUI, in the environment of the tests."""
    isolation = Isolation(sys.executable, "tests", kind="comfyui", allowed=allowed)
    return replace(pack_at(folder), isolation=isolation)


@dataclass
class Outcome:
    """A prompt that was run."""

    result: RunResult
    names: Mapping[str, str]

    def ui(self, node_id: str) -> Any:
        """What a node shows."""
        report = self.result.nodes[self.names[node_id]]
        return [shown for name, shown in sorted(report.ui.items())]

    def text(self, node_id: str) -> str:
        """The text that a node shows."""
        (shown,) = self.ui(node_id)
        return shown["text"][0]

    def texts(self, node_id: str) -> list[str]:
        """The texts that a mapped node shows."""
        return [text for shown in self.ui(node_id) for text in shown["text"]]

    def has_run(self, node_id: str) -> bool:
        """Whether a node ran or was answered from the cache."""
        report = self.result.nodes.get(self.names[node_id])
        return report is not None and report.status in ("ran", "cached")

    def status(self, node_id: str) -> str:
        return self.result.nodes[self.names[node_id]].status

    def failure(self, node_id: str) -> NodeFailed:
        """The error of a node."""
        name = self.names[node_id]
        return next(each for each in self.result.errors if each.problem.node == name)

    def error(self, node_id: str) -> str:
        return str(self.failure(node_id))


@dataclass
class Prompts:
    """Checks and runs prompts in the form of ComfyUI's API."""

    session: Session
    table: NodeTable

    def check(self, prompt: Mapping[str, Any], *targets: str) -> CheckedPrompt:
        registry = self.session.registry
        return check_prompt(prompt, self.table, registry, self.session.environment, targets or None)

    def refusal(self, prompt: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
        """Type and details of what is wrong, by node."""
        with pytest.raises(InvalidPrompt) as refused:
            self.check(prompt)
        return {
            node: [(each["type"], each["details"]) for each in reasons["errors"]]
            for node, reasons in refused.value.node_errors.items()
        }

    def run(self, prompt: Mapping[str, Any], /, *targets: str, **metadata: Any) -> Outcome:
        checked = self.check(prompt, *targets)
        workflow = {**checked.workflow, "metadata": metadata}
        result = self.session.run(workflow, targets=checked.targets)
        return Outcome(result, {node_id: name for name, node_id in checked.origins.items()})


@pytest.fixture(scope="session")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompts]:
    home = tmp_path_factory.mktemp("home")
    with Session(Settings(home=home), packs=[comfy_pack(PACK)]) as session:
        registry = session.registry
        assert not registry.problems
        yield Prompts(session, node_table([], registry))


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A node of a prompt."""
    return {"class_type": class_type, "inputs": inputs}
