"""A large graph in the editor: how long it takes to open, and how smoothly it moves."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Page

MANY = 500
MORE = 2000

_OPEN = """async (data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], "large.json", { type: "application/json" }));
    const options = { bubbles: true, cancelable: true, dataTransfer: carried };
    const canvas = document.querySelector("main");
    const before = performance.now();
    for (const kind of ["dragenter", "dragover", "drop"])
        canvas.dispatchEvent(new DragEvent(kind, options));
    // A page at rest may be given no frame any more, unless a timer wakes it.
    const frame = () => new Promise((done) => {
        requestAnimationFrame(done);
        setTimeout(done, 300);
    });
    while (document.querySelector("main[data-ready] [data-node=load_0]") === null) await frame();
    await frame();
    return (performance.now() - before) / 1000;
}"""
_COUNT = """() => {
    window.benchmark = { times: [], on: true };
    const note = (time) => {
        window.benchmark.times.push(time);
        if (window.benchmark.on) requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
}"""
_RATE = """() => {
    const { times } = window.benchmark;
    window.benchmark.on = false;
    return (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
}"""


_WORK = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


@dataclass(frozen=True)
class Motion:
    """How the editor kept up with somebody who moves the view.

    Attributes:
        rate: Frames a second.
        work: Milliseconds of processor time of the page's main thread, each move.
        script: Of these, in scripts.
        layout: Of these, in styles and layout.
    """

    rate: float
    work: float
    script: float
    layout: float


_NODES = """(count) => document.querySelectorAll("main [data-node]").length >= count"""
_PICTURES = """(count) => {
    const seen = [...document.querySelectorAll("main [data-node] img")];
    return seen.filter((each) => each.complete && each.naturalWidth > 0).length >= count;
}"""


def large_graph(count: int) -> dict[str, Any]:
    """Graphs that make images, of ten nodes each, side by side in one workflow."""
    nodes: dict[str, Any] = {}
    positions: dict[str, list[int]] = {}
    chains_a_row = max(1, round(math.sqrt(count / 20)))
    for number in range(count // 10):
        found = _chain(number)
        left, top = number % chains_a_row * 2400, number // chains_a_row * 1100
        for place, name in enumerate(found):
            positions[name] = [left + place // 2 * 440, top + place % 2 * 520]
        nodes |= found
    return {
        "format": "nodegraph/1",
        "title": "Large",
        "nodes": nodes,
        "ui": {"positions": positions},
    }


def _chain(number: int) -> dict[str, Any]:
    def of(kind: str, port: str = "") -> dict[str, str]:
        return {"from": f"{kind}_{number}.{port}" if port else f"{kind}_{number}"}

    def prompt(text: str) -> dict[str, Any]:
        return {"encoder": of("load", "text_encoder"), "text": text}

    def sample(latent: str) -> dict[str, Any]:
        led = {"positive": of("positive"), "negative": of("negative")}
        return {
            "model": of("load", "model"),
            **led,
            "latent": of(latent),
            "seed": number,
            "steps": 1,
        }

    def decode(latent: str) -> dict[str, Any]:
        return {"vae": of("load", "vae"), "latent": of(latent)}

    found: dict[str, tuple[str, dict[str, Any]]] = {
        "load": ("LoadModel", {"model": "tiny"}),
        "size": ("EmptyLatent", {"width": 64, "height": 64}),
        "positive": ("EncodePrompt", prompt(f"a red apple, number {number}")),
        "negative": ("EncodePrompt", prompt("a blue background")),
        "first": ("KSampler", sample("size")),
        "second": ("KSampler", sample("first")),
        "decode": ("VAEDecode", decode("first")),
        "other": ("VAEDecode", decode("second")),
        "save": ("SaveImage", {"image": of("decode"), "name": "first"}),
        "keep": ("SaveImage", {"image": of("other"), "name": "second"}),
    }
    return {
        f"{kind}_{number}": {"type": node_type, "inputs": inputs}
        for kind, (node_type, inputs) in found.items()
    }


def opened(page: Page, graph: dict[str, Any]) -> float:
    """Seconds from dropping the file until the graph is drawn."""
    data = base64.b64encode(json.dumps(graph).encode()).decode()
    seconds: float = page.evaluate(_OPEN, data)
    return seconds


@contextmanager
def slowed(page: Page, times: float) -> Iterator[None]:
    """Meanwhile the page's main thread is so many times as slow as this processor."""
    browser = page.context.new_cdp_session(page)
    browser.send("Emulation.setCPUThrottlingRate", {"rate": times})
    try:
        yield
    finally:
        browser.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        browser.detach()


def without_places(graph: dict[str, Any]) -> dict[str, Any]:
    """The graph as a file has it that no editor has written."""
    return {key: value for key, value in graph.items() if key != "ui"}


def all_in_sight(page: Page, nodes: int) -> None:
    """Go as far away as it takes to see the whole graph."""
    page.keyboard.press("Shift+1")
    page.wait_for_function(_NODES, arg=nodes)


def planned(page: Page) -> None:
    """Wait until the server's plan of the graph has come, which each card learns of."""
    page.get_by_text("nodes will run").first.wait_for(state="attached")
    page.wait_for_timeout(1000)


def run(page: Page, pictures: int) -> None:
    """Run the graph, until so many of its results are seen."""
    page.keyboard.press("Control+Enter")
    page.wait_for_function(_PICTURES, arg=pictures)


def panned(page: Page, moves: int = 120) -> Motion:
    """The canvas is dragged to and fro with the middle button."""
    x, y = _middle(page)
    page.mouse.move(x, y)
    page.mouse.down(button="middle")

    def drag() -> int:
        for step in range(moves):
            away = abs(step % 40 - 20) * 12
            page.mouse.move(x - 120 + away, y - 60 + away / 2)
        return moves

    found = _watched(page, drag)
    page.mouse.up(button="middle")
    return found


def swept(page: Page, drags: int = 8, moves: int = 20) -> Motion:
    """The view sweeps over a graph and back, with new cards all the time."""
    x, y = _middle(page)

    def sweep() -> int:
        for drag in range(drags):
            way = -1 if drag < drags // 2 else 1
            page.mouse.move(x - way * 300, y - way * 150)
            page.mouse.down(button="middle")
            for step in range(moves):
                page.mouse.move(x + way * (step * 30 - 300), y + way * (step * 15 - 150))
            page.mouse.up(button="middle")
        return drags * moves

    return _watched(page, sweep)


def zoomed(page: Page, moves: int = 60) -> Motion:
    """The wheel zooms in and out."""
    page.mouse.move(*_middle(page))

    def zoom() -> int:
        for step in range(moves):
            page.mouse.wheel(0, -80 if step % 20 < 10 else 80)
        return moves

    return _watched(page, zoom)


def _watched(page: Page, action: Callable[[], int]) -> Motion:
    """What became of an action's moves, whose number it returns."""
    browser = page.context.new_cdp_session(page)
    # Processor time, which other work on the machine disturbs less than a clock's.
    browser.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _work(browser)
    page.evaluate(_COUNT)
    moves = action()
    rate: float = page.evaluate(_RATE)
    spent = [1e3 * (now - then) / moves for now, then in zip(_work(browser), before, strict=True)]
    browser.detach()
    return Motion(rate, work=spent[0], script=spent[1], layout=spent[2] + spent[3])


def _work(browser: CDPSession) -> list[float]:
    found = browser.send("Performance.getMetrics")["metrics"]
    seconds = {metric["name"]: float(metric["value"]) for metric in found}
    return [seconds[name] for name in _WORK]


def _middle(page: Page) -> tuple[float, float]:
    box = page.locator("main").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
