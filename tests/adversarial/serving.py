"""A live server that runs workflows."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from nodegraph.client import Client
from nodegraph.errors import NodegraphError
from tests.adversarial.driving import Answer, Wish
from tests.adversarial.plain import Plain, evaluate
from tests.server.hosting import PATIENCE, Process


class Served:
    """`nodegraph serve` over a world's folder, with one worker."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._process = Process(root, "--workers", "1", "--worker-device", "cpu")
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
        self._process = Process(self.root, "--workers", "1", "--worker-device", "cpu")
        self._client = Client(self._process.ready().url)

    def run(self, wish: Wish) -> Answer:
        """Have the server run a workflow; each target is told to a file by a sink."""
        answer = Answer()
        try:
            function = Plain(self.root).function
            answer.take(evaluate(wish.nodes, wish.targets, function), wish.targets)
        except Exception as error:  # noqa: BLE001 - the border with code that may be broken
            answer.fault = f"plainly: {type(error).__name__}: {error}"
        try:
            answer.outputs = self._run(wish)
        except NodegraphError as error:
            answer.fault += f" {type(error).__name__}: {error}"
        return answer

    def _run(self, wish: Wish) -> dict[str, str]:
        places = {name: self.root / f"told-{name}.txt" for name in wish.targets}
        for place in places.values():
            place.unlink(missing_ok=True)
        sinks: dict[str, Any] = {
            f"tell_{name}": {
                "type": "loose:Tell",
                "inputs": {"value": {"from": name}, "to": str(place)},
            }
            for name, place in places.items()
        }
        workflow = {"format": "nodegraph/1", "nodes": {**wish.nodes, **sinks}}
        job = self._client.submit(workflow)
        self._client.wait(job, timeout=PATIENCE).checked()
        return {name: place.read_text() for name, place in places.items()}
