"""Prompts of ComfyUI's clients, and what tests of the protocol share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
from fastapi.routing import APIRoute
from websockets.sync.client import ClientConnection, connect

from tests.server.hosting import PATIENCE, Process

ENVIRONMENT = {"NODEGRAPH_SERVER_COMFYUI": "true"}
NODES = '''
import time
from nodegraph import Context, Expand, NodeOutput, Preview, node

@node
def Count(number: int = 1) -> int:
    """A number."""
    return number

@node
def Pair(a: int, b: int) -> int:
    """A sum."""
    return a + b

@node(output=True)
def Show(ctx: Context, number: int) -> None:
    """Shows a number."""
    path = ctx.environment.outputs / "numbers" / f"{number}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(number))
    ctx.wrote(path, kind="text")

@node
def Note(number: int) -> int:
    """Shows its number beside it."""
    return NodeOutput(number, ui={"text": [f"note {number}"], "number": number})

@node
def Notes(number: int) -> int:
    """Shows what it does, and what a node that it returns does."""
    nodes = {"inner": {"type": "trial:Note", "inputs": {"number": number}}}
    return NodeOutput(Expand(nodes, {"number": "inner"}), ui={"text": ["outer"]})

@node(output=True)
def Break(number: int = 1) -> None:
    """Fails, whatever it gets."""
    raise ValueError("it is broken on purpose")

@node(output=True)
def Fail(ctx: Context, number: int) -> None:
    """Fails."""
    raise ValueError(f"{number} is refused on purpose")

@node
def Wait(ctx: Context, number: int, steps: int = 100_000) -> int:
    """Takes long, and shows what it does."""
    for step in range(steps):
        ctx.progress(step + 1, steps, preview=lambda: Preview(b"\\xff\\xd8 a JPEG", "image/jpeg"))
        time.sleep(0.01)
    return number
'''
ENTRIES = """
from nodegraph.interop.comfyui.entries import entry, same
from nodegraph.interop.comfyui.translating import MadeOutput

def twice(node):
    first = node.add("trial:Pair", a=node.inputs["number"], b=node.inputs["number"])
    second = node.add("trial:Wait", number=MadeOutput(first, ""), steps=30)
    node.give("INT", MadeOutput(second, ""))

ENTRIES = (
    same("Count(number: INT = 1) -> INT", "trial:Count"),
    same("Pair(a: INT, b: INT) -> INT", "trial:Pair"),
    same("Show(number: INT)", "trial:Show"),
    same("Note(number: INT) -> INT", "trial:Note"),
    same("Notes(number: INT) -> INT", "trial:Notes"),
    same("Break(number: INT = 1)", "trial:Break"),
    same("Fail(number: INT)", "trial:Fail"),
    same("Wait(number: INT, steps: INT = 100000) -> INT", "trial:Wait"),
    entry("Twice(number: INT) -> INT", twice),
)
"""


def write_trial_pack(home: Path) -> None:
    """Put nodes that need no libraries, and their entries, where a server looks for packs."""
    folder = home / "packs" / "trial"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(NODES)
    (folder / "comfyui.py").write_text(ENTRIES)


Prompt = dict[str, dict[str, Any]]


def node(class_type: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    """A node of a prompt."""
    meta = {"title": title or class_type}
    return {"class_type": class_type, "inputs": inputs, "_meta": meta}


def image_prompt(seed: int = 5, **nodes: Any) -> Prompt:
    """Makes an image of the embedded model."""
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name="tiny"),
        "5": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "6": node("CLIPTextEncode", text="a red apple", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="", clip=["4", 1]),
        "3": node(
            "KSampler",
            seed=seed,
            steps=4,
            cfg=3.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", "Save Image", filename_prefix="apple", images=["8", 0]),
        **nodes,
    }


def plain_prompt(color: int = 0x336699, **nodes: Any) -> Prompt:
    """Makes an image of one color, without a model."""
    return {
        "1": node("EmptyImage", width=32, height=16, batch_size=1, color=color),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("SaveImage", filename_prefix="plain", images=["2", 0]),
        **nodes,
    }


@dataclass
class Listener:
    """A websocket of a client, and what it was sent."""

    socket: ClientConnection
    messages: list[dict[str, Any]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    bytes: int = 0

    def next(self) -> dict[str, Any] | None:
        """The next message; None for a binary one."""
        received = self.socket.recv(timeout=PATIENCE)
        self.bytes += len(received)
        if not isinstance(received, str):
            self.frames.append(received)
            return None
        message: dict[str, Any] = json.loads(received)
        self.messages.append(message)
        return message

    def until(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Listen until a message is as wanted; that one."""
        while True:
            message = self.next()
            if message is not None and is_so(message):
                return message

    def until_end(self, prompt_id: str) -> None:
        """Listen until a prompt has ended."""
        end = {"node": None, "prompt_id": prompt_id}
        self.until(lambda each: each["type"] == "executing" and each["data"] == end)

    def of(self, prompt_id: str) -> list[dict[str, Any]]:
        """The messages of a prompt."""
        return [each for each in self.messages if each["data"].get("prompt_id") == prompt_id]


@dataclass
class Comfy:
    """A server with ComfyUI's routes at their own paths."""

    process: Process
    http: httpx.Client

    def submit(self, prompt: Prompt, **fields: Any) -> str:
        """Submit a prompt; its id."""
        answer = self.http.post("/prompt", json={"prompt": prompt, **fields})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["prompt_id"])

    def refused(self, prompt: object, **fields: Any) -> dict[str, Any]:
        """What a prompt is refused with."""
        answer = self.http.post("/prompt", json={"prompt": prompt, **fields})
        assert answer.status_code == 400, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def ended(self, prompt_id: str) -> dict[str, Any]:
        """The history's entry of a prompt, once it has ended."""
        end = time.monotonic() + PATIENCE
        while not (found := self.http.get(f"/history/{prompt_id}").json()):
            assert time.monotonic() < end, "it didn't end"
            time.sleep(0.02)
        entry: dict[str, Any] = found[prompt_id]
        return entry

    def image(self, item: Mapping[str, str], **query: str) -> httpx.Response:
        """A file of the history."""
        return self.http.get("/view", params={**item, **query})

    @contextmanager
    def listening(
        self, client_id: str = "test", path: str = "/ws", flags: Mapping[str, Any] | None = None
    ) -> Iterator[Listener]:
        """A websocket until the end of the `with`, which was greeted."""
        url = f"ws://{self.process.host}{path}?clientId={client_id}"
        with connect(url, max_size=None, compression=None, open_timeout=PATIENCE) as socket:
            listener = Listener(socket)
            if flags is not None:
                socket.send(json.dumps({"type": "feature_flags", "data": dict(flags)}))
                listener.until(lambda each: each["type"] == "feature_flags")
            if not any(each["type"] == "status" for each in listener.messages):
                listener.until(lambda each: each["type"] == "status")
            yield listener


@contextmanager
def comfy_server(process: Process) -> Iterator[Comfy]:
    """A server that is starting, once it answers."""
    process.ready()
    with httpx.Client(base_url=process.url, timeout=PATIENCE, trust_env=False) as client:
        yield Comfy(process, client)


def comfyui_routes(*modules: str) -> list[tuple[str, str]]:
    """The methods and paths of modules of the protocol; no websockets."""
    found = []
    for name in modules:
        module = import_module(f"nodegraph.server.protocols.comfyui.{name}")
        for route in module.router.routes:
            if isinstance(route, APIRoute):
                found += [(method, route.path) for method in sorted(route.methods or ())]
    return found
