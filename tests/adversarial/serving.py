"""A live server that runs workflows, and the command that does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from nodegraph.client import Client
from nodegraph.errors import NodegraphError
from tests.adversarial.driving import Answer, Wish, set_environment
from tests.adversarial.plain import Plain, evaluate
from tests.adversarial.process import environment
from tests.server.hosting import PATIENCE, Process


class Served:
    """`nodegraph serve` over a world's folder, with one worker."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._process = Process(root, "--workers", "1", "--devices", "cpu")
        self._client = Client(self._process.ready().url)

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server."""
        self._client.close()
        self._process.stop()
        self._process.__exit__()

    def restart(self) -> None:
        """End the server and begin another."""
        self.close()
        self._process = Process(self.root, "--workers", "1", "--devices", "cpu")
        self._client = Client(self._process.ready().url)

    def run(self, wish: Wish) -> Answer:
        """Have the server run a workflow; each target is told to a file by a sink."""
        return _told(self.root, wish, self._run)

    def _run(self, workflow: dict[str, Any], targets: Sequence[str]) -> None:
        job = self._client.submit(workflow, targets=targets)
        self._client.wait(job, timeout=PATIENCE).checked()


class Commanded:
    """`nodegraph run` over a world's folder, a process for each run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def close(self) -> None:
        """Nothing is left of it."""

    def restart(self) -> None:
        """It does so each time."""

    def run(self, wish: Wish) -> Answer:
        """Run a workflow; each target is told to a file by a sink."""
        return _told(self.root, wish, self._run)

    def _run(self, workflow: dict[str, Any], targets: Sequence[str]) -> None:
        file = self.root / "told.json"
        file.write_text(json.dumps(workflow))
        command = [sys.executable, "-m", "nodegraph", "--home", str(self.root), "run", str(file)]
        done = subprocess.run(
            [*command, *(f"--to={name}" for name in targets)],
            cwd=self.root,
            env=environment(),
            capture_output=True,
            timeout=PATIENCE,
        )
        if done.returncode:
            raise NodegraphError(f"exit {done.returncode}: {done.stderr.decode()}")


def _told(root: Path, wish: Wish, run: Callable[[dict[str, Any], Sequence[str]], None]) -> Answer:
    set_environment(wish.environ)
    answer = Answer()
    try:
        answer.take(evaluate(wish.nodes, wish.targets, Plain(root).function), wish.targets)
    except Exception as error:  # noqa: BLE001 - the border with code that may be broken
        answer.fault = f"plainly: {type(error).__name__}: {error}"
    places = {name: root / f"told-{name}.txt" for name in wish.targets}
    for place in places.values():
        place.unlink(missing_ok=True)
    sinks: dict[str, Any] = {
        f"tell_{name}": {
            "type": "loose:Tell",
            "inputs": {"value": {"from": name}, "to": str(place)},
        }
        for name, place in places.items()
    }
    try:
        # What else is in the workflow may be of a pack that is gone.
        run({"format": "nodegraph/1", "nodes": {**wish.nodes, **sinks}}, list(sinks))
    except NodegraphError as error:
        answer.fault += f" {type(error).__name__}: {error}"
    else:
        answer.outputs = {name: place.read_text() for name, place in places.items()}
    return answer
