"""Images of the embedded model, by sessions on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodegraph import Session, Settings, Workflow
from nodegraph.core.events import Event
from nodegraph.engine.result import RunResult

Pixels = NDArray[np.uint8]


def workflow(dtype: str = "float32", size: int = 64, **sample: Any) -> dict[str, Any]:
    """Text to image in few steps.

    Args:
        dtype: Of the weights; named, as ``auto`` is another one on an accelerator.
        size: Of the image, in pixels.
        sample: Inputs of the sampler.
    """
    prompt = {"encoder": {"from": "load.text_encoder"}, "text": "a red apple"}
    given = {
        "model": {"from": "load.model"},
        "positive": {"from": "prompt"},
        "latent": {"from": "size"},
        "seed": 1,
        "steps": 3,
        "sampler": "dpmpp_2m",
        "schedule": "normal",
    }
    decode = {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}}
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny", "dtype": dtype}},
        "prompt": {"type": "EncodePrompt", "inputs": prompt},
        "size": {"type": "EmptyLatent", "inputs": {"width": size, "height": size}},
        "sample": {"type": "KSampler", "inputs": given | sample},
        "decode": {"type": "VAEDecode", "inputs": decode},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}}},
    }
    return {"format": "nodegraph/1", "nodes": nodes}


class Painter:
    """A session that computes on a device; remembers the events of its last run."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[Event] = []

    def run(
        self,
        document: Mapping[str, Any],
        watch: Callable[[Event], object] = lambda event: None,
        **options: Any,
    ) -> RunResult:
        self.events = []

        def listen(event: Event) -> None:
            self.events.append(event)
            watch(event)

        return self.session.run(Workflow.from_dict(document), listener=listen, **options)

    def paint(self, document: Mapping[str, Any]) -> Pixels:
        """The pixels of the one file that a run writes."""
        result = self.run(document)
        assert not result.errors, result.errors
        (written,) = result.files
        return pixels(written.path)

    def retries(self) -> list[tuple[str, str]]:
        """Nodes that were tried again, and whether in full or with less."""
        told = [event for event in self.events if event.kind == "node.retried"]
        ways = {"smaller footprint": "small", "offloaded weights": "offloaded"}
        names = [(event.node or "", event.data["measure"].partition(":")[0]) for event in told]
        return [(node, ways.get(name, "full")) for node, name in names]

    def in_parts(self) -> dict[str, str]:
        """How weights came to nodes that they were brought to in parts."""
        said = [event for event in self.events if event.kind == "log"]
        ways = ("one by one", "block by block", "layer by layer")
        return {
            event.node or "": way
            for event in said
            for way in ways
            if f"is loaded on cuda:0 {way}" in event.data["message"]
        }


def pixels(file: Path) -> Pixels:
    """Of an image, (height, width, 3)."""
    with Image.open(file) as picture:
        return np.asarray(picture)


@contextmanager
def painting(folder: Path, device: str, **settings: Any) -> Iterator[Painter]:
    """A session with nothing on disk but what it writes."""
    given: dict[str, Any] = {"device": device, "disk_cache": 0, "outputs": folder / "output"}
    with Session(Settings(home=folder / "home", **given | settings)) as session:
        yield Painter(session)
