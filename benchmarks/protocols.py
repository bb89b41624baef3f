"""What protocols of other tools cost beside this server's own.

    python benchmarks/protocols.py [--json] [--quick]

A prompt of three nodes from its POST until its client is told of the end over a websocket, by turns
with the same workflow over the native API and its websocket, on one server: values that are new
each time, and the same ones again, whose results are known. Then the bytes that a prompt of many
nodes sends over the websocket.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from common import Figure, by_turns, options, show
from serving import PATIENCE, Server, prepared, serving
from websockets.sync.client import connect

UNLIMITED: dict[str, Any] = {"max_size": None, "ping_interval": None}
_colors = count(0x100000)
NATIVE, COMFYUI = "native", "ComfyUI"


def prompt(color: int) -> dict[str, Any]:
    """Three nodes in ComfyUI's words."""
    size = {"width": 16, "height": 16, "batch_size": 1}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "color": color}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }


def workflow(color: int) -> dict[str, Any]:
    """The same, as it is translated."""
    size = {"width": 16, "height": 16, "batch": 1}
    nodes = {
        "one": {"type": "EmptyImage", "inputs": {**size, "color": f"#{color:06x}"}},
        "two": {"type": "InvertImage", "inputs": {"image": {"from": "one.image"}}},
        "three": {"type": "PreviewImage", "inputs": {"image": {"from": "two"}}},
    }
    return {"format": "nodegraph/1", "nodes": nodes}


def fan(nodes: int) -> dict[str, Any]:
    """One number, many sums of it, and all of these shown."""
    count = nodes // 2
    made = {str(at): _sum(["0", 0], at) for at in range(1, count + 1)}
    made |= {f"s{at}": _show([str(at), 0]) for at in range(1, count + 1)}
    return {"0": {"class_type": "PrimitiveInt", "inputs": {"value": nodes}}, **made}


def _sum(a: Any, b: Any) -> dict[str, Any]:
    inputs = {"expression": "a + b", "values.a": a, "values.b": b}
    return {"class_type": "ComfyMathExpression", "inputs": inputs}


def _show(source: Any) -> dict[str, Any]:
    return {"class_type": "PreviewAny", "inputs": {"source": source}}


class Clients:
    """Two clients of one server, each with its websocket."""

    def __init__(self, server: Server, opened: ExitStack) -> None:
        host = f"127.0.0.1:{server.port}"
        self._server = server
        self.http = opened.enter_context(
            httpx.Client(base_url=f"http://{host}", timeout=PATIENCE, trust_env=False)
        )
        url = f"ws://{host}/comfyui/ws?clientId=bench"
        self.comfyui = opened.enter_context(connect(url, **UNLIMITED))
        form: Any = ["nodegraph.v1.json"]
        url = f"ws://{host}/api/v1/events"
        self.native = opened.enter_context(connect(url, subprotocols=form, **UNLIMITED))
        self.native.recv(timeout=PATIENCE)
        self.native.send(json.dumps({"type": "subscribe", "id": 1}))
        self.bytes = 0

    def run_native(self, color: int) -> None:
        """Submit the workflow that a prompt is translated into, and wait for its end."""
        job = self._server.submit({"workflow": workflow(color)})
        while not _has_ended(json.loads(self.native.recv(timeout=PATIENCE)), job):
            pass

    def run_comfyui(self, document: dict[str, Any]) -> None:
        """Submit a prompt, and wait for its end."""
        answer = self.http.post("/comfyui/prompt", json={"prompt": document, "client_id": "bench"})
        assert answer.status_code == 200, answer.text
        end = {"node": None, "prompt_id": answer.json()["prompt_id"]}
        while True:
            received = self.comfyui.recv(timeout=PATIENCE)
            self.bytes += len(received)
            if isinstance(received, str) and json.loads(received).get("data") == end:
                return


def _has_ended(message: dict[str, Any], job: str) -> bool:
    events = message.get("events", ())
    return any(each["job"] == job and each["kind"] == "job.finished" for each in events)


def measured(clients: Clients, *, quick: bool) -> Iterator[Figure]:
    """All figures."""
    times = 5 if quick else 60

    def turns(native: Any, comfyui: Any) -> tuple[float, float]:
        found = by_turns({NATIVE: native, COMFYUI: comfyui}, times)
        return min(found[COMFYUI]) * 1e3, min(found[NATIVE]) * 1e3

    for _ in range(5):
        clients.run_native(next(_colors))
        clients.run_comfyui(prompt(next(_colors)))
    new = turns(
        lambda: clients.run_native(next(_colors)),
        lambda: clients.run_comfyui(prompt(next(_colors))),
    )
    aim = 1.5 * new[1]
    yield Figure("a new prompt of 3 nodes, to its end", new[0], "ms", aim, new[1], NATIVE)
    same = next(_colors)
    again = turns(lambda: clients.run_native(same), lambda: clients.run_comfyui(prompt(same)))
    aim = 1.25 * again[1]
    yield Figure("the same prompt again", again[0], "ms", aim, again[1], NATIVE)
    for nodes in (101,) if quick else (1_001, 5_001):
        before, document = clients.bytes, fan(nodes)
        clients.run_comfyui(document)
        taken = (clients.bytes - before) / len(document)
        yield Figure(f"websocket, for each of {nodes:,} nodes", taken, "bytes", 1_000)


def main() -> None:
    """Measure, and print."""
    given = options(__doc__)
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        server = opened.enter_context(serving(prepared(folder / "home")))
        clients = Clients(server, opened)
        show(measured(clients, quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
