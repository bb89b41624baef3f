"""ComfyUI's public page in a browser: it opens a workflow, runs it, and shows what comes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.server.hosting import PATIENCE, Process, prepared_home

CLIENTS = Path(__file__).parent / "clients" / ".venv"
PAGES = sorted(CLIENTS.glob("lib/python*/site-packages/comfyui_frontend_package/static"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PAGES, reason="tests/server/clients/requirements.txt has not been installed"
    ),
]
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Execution.PreviewMethod": "latent2rgb",
    "Comfy.Workflow.ShowMissingModelsWarning": False,
}
NOT_OURS = ("api.comfy.org", "huggingface.co", "deprecated", "Invalid layout total size")
"""What the page says of itself, or asks of sites that its policy refuses."""
ABSENT = (
    *("/userdata/comfy.templates.json", "/userdata?dir=subgraphs"),
    *("/userdata?dir=workflows", "/userdata/workflows%2F.index.json"),
)
"""Files that a new client has not; ComfyUI's server has none either."""


def node(number: int, kind: str, x: int, inputs: Any, outputs: Any, *values: Any) -> dict[str, Any]:
    """A node as the page saves it.

    Args:
        inputs: Name, type and link of each.
        outputs: Name and links of each.
    """
    return {
        "id": number,
        "type": kind,
        "pos": [x, 100 + 120 * (number % 3)],
        "size": [260, 100],
        "flags": {},
        "order": number,
        "mode": 0,
        "inputs": [dict(zip(("name", "type", "link"), each, strict=True)) for each in inputs],
        "outputs": [
            {"name": name, "type": name, "links": links, "slot_index": at}
            for at, (name, links) in enumerate(outputs)
        ],
        "properties": {},
        "widgets_values": list(values),
    }


def workflow() -> dict[str, Any]:
    """Text to image with the model that comes with nodegraph."""
    nodes = [
        node(
            4, "CheckpointLoaderSimple", 0, [],
            [("MODEL", [1]), ("CLIP", [3, 5]), ("VAE", [8])], "tiny",
        ),
        node(5, "EmptyLatentImage", 0, [], [("LATENT", [2])], 64, 64, 1),
        node(
            6, "CLIPTextEncode", 320, [("clip", "CLIP", 3)], [("CONDITIONING", [4])],
            "a red circle",
        ),
        node(7, "CLIPTextEncode", 320, [("clip", "CLIP", 5)], [("CONDITIONING", [6])], ""),
        node(
            3, "KSampler", 640,
            [
                ("model", "MODEL", 1), ("positive", "CONDITIONING", 4),
                ("negative", "CONDITIONING", 6), ("latent_image", "LATENT", 2),
            ],
            [("LATENT", [7])],
            *(7, "fixed", 12, 4.0, "euler", "normal", 1.0),
        ),
        node(
            8, "VAEDecode", 960, [("samples", "LATENT", 7), ("vae", "VAE", 8)], [("IMAGE", [9])]
        ),
        node(9, "SaveImage", 1240, [("images", "IMAGE", 9)], [], "page"),
    ]  # fmt: skip
    links = [
        *([1, 4, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [3, 4, 1, 6, 0, "CLIP"]),
        *([4, 6, 0, 3, 1, "CONDITIONING"], [5, 4, 1, 7, 0, "CLIP"]),
        *([6, 7, 0, 3, 2, "CONDITIONING"], [7, 3, 0, 8, 0, "LATENT"], [8, 4, 2, 8, 1, "VAE"]),
        [9, 8, 0, 9, 0, "IMAGE"],
    ]
    return {
        "last_node_id": 9,
        "last_link_id": 9,
        "nodes": nodes,
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


@pytest.fixture(scope="module")
def serving(known_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    home = prepared_home(tmp_path_factory.mktemp("page") / "home", known_packs)
    options = ("--workers", "1", "--comfyui", "--comfyui-frontend", str(PAGES[-1]))
    with Process(home, *options) as made:
        yield made.ready()


@dataclass
class Seen:
    """What a page said and got.

    Attributes:
        faults: Errors in the console, and answers that are errors.
        messages: Types of the messages of the websocket, in order.
        frames: Beginnings of binary frames.
    """

    faults: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("response", self._response)
        page.on("websocket", lambda socket: socket.on("framereceived", self._frame))

    def _console(self, message: Any) -> None:
        is_known = any(part in message.text for part in NOT_OURS)
        if message.type == "error" and not is_known and "Failed to load" not in message.text:
            self.faults.append(message.text)

    def _response(self, response: Any) -> None:
        if response.status >= 400 and not any(part in response.url for part in ABSENT):
            self.faults.append(f"{response.status} {response.url}")

    def _frame(self, data: Any) -> None:
        if isinstance(data, bytes):
            self.frames.append(data[:4])  # the editor's are all so
        else:
            self.messages.append(json.loads(data)["type"])


@pytest.fixture
def page(serving: Process) -> Iterator[tuple[Any, Seen]]:
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.set_default_timeout(PATIENCE * 1000)
        seen = Seen()
        seen.watch(page)
        yield page, seen
        browser.close()


def wait_for(page: Any, expression: str) -> None:
    """Wait until something is so in the page, whose policy lets no wait of its own be evaluated."""
    end = monotonic() + PATIENCE
    while not page.evaluate(expression):
        assert monotonic() < end, expression
        page.wait_for_timeout(100)


def test_a_new_user_sees_templates_and_runs_one(serving: Process, page: tuple[Any, Seen]) -> None:
    tab, seen = page
    tab.goto(serving.url)
    tab.get_by_text("Text to image", exact=True).first.click()
    wait_for(tab, "app.graph?._nodes?.some((node) => node.type === 'SaveImage')")
    tab.get_by_role("button", name="Run", exact=True).click()
    image = "app.graph._nodes.find((node) => node.type === 'SaveImage').imgs?.[0]?.naturalWidth"
    wait_for(tab, f"{image} > 0")
    assert "execution_success" in seen.messages
    assert seen.faults == []


def test_a_workflow_is_opened_run_and_its_image_shown(
    serving: Process, page: tuple[Any, Seen]
) -> None:
    api = f"{serving.url}/api"
    saved = httpx.post(f"{api}/userdata/workflows%2Fcircle.json", json=workflow(), timeout=PATIENCE)
    assert saved.status_code == 200, saved.text
    assert httpx.post(f"{api}/settings", json=SETTINGS, timeout=PATIENCE).status_code == 200

    tab, seen = page
    tab.goto(serving.url)
    wait_for(tab, "window.app?.graph?._nodes?.length > 0")
    tab.get_by_role("button", name="Workflows").first.click()
    tab.get_by_text("circle", exact=True).first.click()
    wait_for(tab, "app.graph.getNodeById(4)?.type === 'CheckpointLoaderSimple'")
    widgets = tab.evaluate("app.graph.getNodeById(4).widgets.map((widget) => widget.value)")
    assert widgets == ["tiny"]

    tab.get_by_role("button", name="Run", exact=True).click()
    wait_for(tab, "app.graph.getNodeById(9).imgs?.[0]?.naturalWidth === 64")

    started = seen.messages.index("execution_start")
    ran = seen.messages[started:]
    for kind in ("executing", "progress", "executed", "execution_success"):
        assert kind in ran, ran
    assert b"\0\0\0\4" in seen.frames, "no preview"
    *_, history = httpx.get(f"{api}/history", timeout=PATIENCE).json().values()
    assert history["status"]["status_str"] == "success"
    image = history["outputs"]["9"]["images"][0]
    assert image["filename"].startswith("page")
    assert httpx.get(f"{api}/view", params=image, timeout=PATIENCE).content[:4] == b"\x89PNG"
    assert seen.faults == []


def test_the_editor_works_at_its_own_path(serving: Process, page: tuple[Any, Seen]) -> None:
    tab, seen = page
    tab.goto(f"{serving.url}/editor")
    tab.locator(".react-flow__node").first.wait_for()
    tab.get_by_role("button", name="Run", exact=True).last.click()
    # The result's address is below the editor's path, as all that it is sent.
    wait_for(
        tab,
        "[...document.images].some((image) => image.naturalWidth > 0"
        " && image.src.startsWith(location.origin + '/editor/api/v1/'))",
    )
    tab.goto(f"{serving.url}/editor/generate")
    tab.get_by_role("button", name="Generate", exact=True).first.wait_for()
    assert tab.url == f"{serving.url}/editor/generate"
    assert seen.faults == []
