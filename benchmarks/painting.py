"""Strokes on the painting canvas: from the pointer's event to the frame that shows it."""

from __future__ import annotations

import math
import statistics
from typing import Any, NamedTuple

from large import opened
from playwright.sync_api import Page

SIDE = 2048
LAYERS = 5
_STROKES = 4
_MOVES = 70

# A frame is painted once the tasks after its animation callbacks run.
_WATCH = """() => {
    window.strokes = { painting: [], hovering: [] };
    let open = [];
    const painted = () => {
        const mine = open;
        open = [];
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
            const now = performance.now();
            for (const [what, then] of mine) window.strokes[what].push(now - then);
        };
        port2.postMessage(null);
    };
    document.querySelector("[data-stage]").addEventListener("pointermove", (event) => {
        open.push([event.buttons & 1 ? "painting" : "hovering", event.timeStamp]);
        if (open.length === 1) requestAnimationFrame(painted);
    }, true);
}"""
_UPLOAD = """async ([side, layers]) => {
    const upload = async (number) => {
        const canvas = new OffscreenCanvas(side, side);
        const context = canvas.getContext("2d");
        for (let at = 0; at < 40; at++) {
            context.fillStyle = `hsl(${(number * 70 + at * 31) % 360} 70% 55% / 80%)`;
            const [x, y] = [number * 977 + at * 613, number * 331 + at * 911];
            context.beginPath();
            context.arc(x % side, y % side, side / 12, 0, 7);
            context.fill();
        }
        const form = new FormData();
        form.append("file", await canvas.convertToBlob(), `layer_${number}.png`);
        const answer = await fetch("api/v1/uploads", { method: "POST", body: form });
        return (await answer.json()).value;
    };
    return Promise.all(Array.from({ length: layers }, (_, number) => upload(number)));
}"""
_SEEN = """() => {
    const canvas = document.querySelector("[data-stage] canvas");
    const context = canvas?.getContext("2d");
    if (!context || canvas.width < 2) return false;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return data.some((byte) => byte !== 0);
}"""


class StrokeTimes(NamedTuple):
    """95th percentiles in milliseconds, from the pointer's event to the painted frame."""

    painting: float
    hovering: float


def canvas_graph(page: Page, side: int = SIDE, layers: int = LAYERS) -> dict[str, Any]:
    """A workflow whose canvas has layers of a size, all of them painted on."""
    values: list[str] = page.evaluate(_UPLOAD, [side, layers])
    box = {"width": side, "height": side, "sampled_width": 512, "sampled_height": 512}
    nodes: dict[str, Any] = {
        "load_0": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "box": {"type": "BoundingBox", "inputs": box},
    }
    below: dict[str, Any] = {}
    for number, value in enumerate(values):
        nodes[f"file_{number}"] = {"type": "LoadImage", "inputs": {"path": value}}
        image = {"from": f"file_{number}.image"}
        nodes[f"layer_{number}"] = {"type": "AddLayer", "inputs": {"image": image, **below}}
        below = {"layers": {"from": f"layer_{number}"}}
    nodes["flat"] = {
        "type": "FlattenLayers",
        "inputs": {**below, "box": {"from": "box.box"}, "color": "white"},
    }
    vae = {"from": "load_0.vae"}
    nodes["encode"] = {
        "type": "VAEEncode",
        "inputs": {"vae": vae, "image": {"from": "flat.image"}},
    }
    # The node that `opened` waits for lies in sight.
    positions = {name: [0, at * 600] for at, name in enumerate(nodes)}
    ui = {"positions": positions}
    return {"format": "nodegraph/1", "title": "Layers", "nodes": nodes, "ui": ui}


def open_canvas(page: Page, graph: dict[str, Any]) -> None:
    """Drop a workflow, and show its canvas with all of its pictures."""
    opened(page, graph)
    page.get_by_role("button", name="Canvas", exact=True).click()
    page.wait_for_function(_SEEN)


def stroke_times(page: Page, strokes: int = _STROKES) -> StrokeTimes:
    """Paint strokes on the active layer, and move over it without painting."""
    page.evaluate(_WATCH)
    box = page.locator("[data-stage]").bounding_box()
    assert box is not None
    for stroke in range(strokes):
        for paints in (False, True):
            _wave(page, box, stroke / strokes, paints=paints)
            # What a stroke leaves to do, such as its file, is no part of the next one's time.
            page.wait_for_timeout(700)
    times: dict[str, list[float]] = page.evaluate("window.strokes")
    return StrokeTimes(_percentile(times["painting"]), _percentile(times["hovering"]))


def _wave(page: Page, box: Any, height: float, *, paints: bool) -> None:
    across, down = box["width"], box["height"]
    for move in range(_MOVES):
        x = box["x"] + across * (0.15 + 0.7 * move / _MOVES)
        y = box["y"] + down * (0.25 + 0.5 * height + 0.1 * math.sin(move / 5))
        page.mouse.move(x, y)
        if move == 0 and paints:
            page.mouse.down()
    if paints:
        page.mouse.up()


def _percentile(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
