"""Make the images of the editor in docs/images, in Chromium, of a server with the embedded model.

python -m docs.generate_screenshots [NAME ...]
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Locator, ViewportSize, expect, sync_playwright

from tests.editor.conftest import ARGUMENTS, PATIENCE, chromium
from tests.editor.editing import Editor, expect_picture
from tests.editor.graphs import go_to, middle
from tests.editor.serving import Server
from tests.editor.watching import Watch
from tests.server.hosting import eventually, read_packs

WORKFLOWS = Path(__file__).parents[1] / "workflows"
IMAGES = Path(__file__).with_name("images")
SIZE = ViewportSize(width=1600, height=1000)
PROMPTS = (
    "a lemon on a white background",
    "a rocket on a pink background",
    "a panda on a pink background",
    "a pineapple on a blue background",
    "a red apple beside a banana",
    "a frog on a white background",
    "a penguin on a blue background",
    "a fox face on a green background",
)
"""What the results show, the newest last."""
STEPS = 120
"""Of the one that is seen at work."""


def workflow(name: str, **inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow of the gallery, with some inputs changed.

    Args:
        inputs: New literals by node.
    """
    found: dict[str, Any] = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    for node, values in inputs.items():
        found["nodes"][node]["inputs"] |= values
    return found


def submit(server: Server, **inputs: Mapping[str, Any]) -> None:
    """Have an image made of words."""
    wish = {"workflow": workflow("text_to_image", **inputs)}
    server.client.post("jobs", json=wish).raise_for_status()


def fill_gallery(server: Server) -> None:
    """Have images made of all prompts."""
    for seed, prompt in enumerate(PROMPTS):
        submit(server, positive={"text": prompt}, sample={"seed": seed})
        # One by one: a busy machine takes long for all of them.
        eventually(lambda: all(job["state"] == "finished" for job in server.jobs()))


def knowing_home(folder: Path) -> Path:
    """A home folder in which it is known what nodes there are: a server takes no job before."""
    home = folder / "home"
    home.mkdir()
    read_packs(home)
    return home


# -- what is shown


def editor_with_results(editor: Editor) -> None:
    last = len(PROMPTS) - 1
    editor.fill("positive", "Text", PROMPTS[last])
    editor.fill("sample", "Seed", str(last))
    editor.run()
    expect_picture(editor.results("save"))
    editor.show("Results")
    editor.show("Inspector")
    editor.click_card("sample")
    expect_picture(editor.panel("Results").locator("img").first)
    editor.zoom_to_fit()


def running(editor: Editor) -> None:
    editor.fill("positive", "Text", "a parrot on a yellow background")
    editor.fill("size", "Width", "256")
    editor.fill("size", "Height", "256")
    editor.fill("sample", "Steps", str(STEPS))
    editor.run()
    editor.see_preview("sample")
    bar = editor.card("sample").get_by_role("progressbar")
    # Until the image can be made out.
    eventually(lambda: int(bar.get_attribute("aria-valuenow") or 0) > STEPS / 3)


def search(editor: Editor) -> None:
    editor.click_card("decode")
    page = editor.page
    start, box = middle(editor.port("decode", "outputs", "image")), editor.canvas.bounding_box()
    assert box is not None
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 60, box["y"] + box["height"] * 0.9, steps=6)
    page.mouse.up()
    page.get_by_role("combobox", name="Search nodes").wait_for()


def compared(editor: Editor) -> None:
    last = len(PROMPTS) - 1
    for cfg in (1.5, 4):
        text, values = {"text": PROMPTS[last]}, {"seed": last, "cfg": cfg}
        submit(editor.server, positive=text, sample=values, save={"name": f"cfg {cfg:g}"})
    results = editor.show("Results")
    for cfg in (1.5, 4):
        cell = results.get_by_role("gridcell", name=re.compile(f"^cfg {cfg:g}"))
        expect_picture(cell.locator("img"))
        cell.click(modifiers=["ControlOrMeta"])
    results.get_by_role("button", name=re.compile("^Compare")).click()
    expect(editor.page.get_by_role("slider", name="Divider position")).to_be_visible()


def mask(editor: Editor) -> None:
    editor.open_workflow(workflow("image_to_image", picture={"path": ""}))
    picture = editor.card("picture")
    picture.get_by_label("Upload a file").last.set_input_files(WORKFLOWS / "apple.png")
    expect_picture(picture.get_by_role("img", name="Image apple.png"))
    picture.get_by_role("button", name="Paint a mask").click()
    dialog = editor.dialog("Paint a mask")
    x, y = middle(dialog.get_by_label("Mask of apple.png"))
    mouse = editor.page.mouse
    mouse.move(x - 90, y - 40)
    mouse.down()
    for dx, dy in ((-30, 60), (40, -50), (90, 50), (130, -30)):
        mouse.move(x + dx, y + dy, steps=8)
    mouse.up()
    expect(dialog.get_by_text(re.compile("[1-9].* % masked"))).to_be_visible()


def form(editor: Editor) -> None:
    editor.top.get_by_role("button", name="Parameter form").click()
    editor.page.get_by_role("region", name="Parameters").get_by_role(
        "button", name="Run", exact=True
    ).click()
    # Not the preview, which is there before.
    expect_picture(editor.page.get_by_role("region", name="Outputs").locator("img").first)


def seen(editor: Editor, nodes: Mapping[str, Any], name: str) -> Locator:
    """What a workflow gave, in its viewer.

    Args:
        name: What the file's name begins with.
    """
    given = {"format": "nodegraph/1", "nodes": nodes}
    editor.server.outputs(editor.server.submit(given))
    results = editor.show("Results")
    results.get_by_role("gridcell", name=re.compile(f"^{name}")).click()
    return editor.dialog(re.compile(f"^{name}"))


def space(editor: Editor) -> None:
    inputs = editor.server.home / "inputs"
    inputs.mkdir(exist_ok=True)
    shutil.copy(WORKFLOWS / "caffeine.sdf", inputs)
    nodes = {
        "load": {"type": "LoadMolecule", "inputs": {"path": "caffeine.sdf"}},
        "save": {
            "type": "SaveMolecule",
            "inputs": {"molecule": {"from": "load"}, "name": "caffeine", "picture": False},
        },
    }
    dialog = seen(editor, nodes, "caffeine")
    dialog.get_by_role("tab", name="3D view").click()
    expect(dialog.locator("canvas")).to_have_attribute("data-drawn", "true")
    for key in ("ArrowUp", "ArrowUp", "ArrowRight"):
        dialog.locator("canvas").press(key)


def plot(editor: Editor) -> None:
    nodes: dict[str, Any] = {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}}
    names = ("karras", "exponential", "beta", "laplace")
    for name in names:
        nodes[name] = {"type": f"{name.capitalize()}Schedule", "inputs": {"steps": 20}}
        given = {"model": {"from": "load.model"}, "schedule": {"from": name}}
        nodes[f"{name}_levels"] = {"type": "ScheduleLevels", "inputs": given}
        labels = {"title": "Schedules", "x_label": "Step", "y_label": "Sigma"}
        values = {"values": {"from": f"{name}_levels"}, "name": name, **labels}
        nodes[f"{name}_plot"] = {"type": "PlotValues", "inputs": values}
    before = f"{names[0]}_plot"
    for name in names[1:]:
        joined = {"plots": {"from": before}, "last": {"from": f"{name}_plot"}}
        before = f"{name}_joined"
        nodes[before] = {"type": "JoinPlots", "inputs": joined}
    kept = {"plot": {"from": before}, "name": "schedules", "picture": False}
    nodes["save"] = {"type": "SavePlot", "inputs": kept}
    dialog = seen(editor, nodes, "schedules")
    room = dialog.get_by_role("img", name=re.compile("^Plot"))
    for _ in range(7):
        room.press("ArrowRight")


def templates(editor: Editor) -> None:
    editor.menu("File", "Templates")
    pictures = editor.dialog("Open a workflow").locator("img")
    for number in range(6):
        expect_picture(pictures.nth(number))


def grid(editor: Editor) -> None:
    editor.open_workflow(workflow("prompt_grid"))
    go_to(editor, "sample")
    editor.zoom_to_fit()


def sweep(editor: Editor) -> None:
    last = len(PROMPTS) - 1
    editor.fill("positive", "Text", PROMPTS[last])
    editor.fill("sample", "Seed", str(last))
    card = editor.card("sample")
    for label, values in (("Steps", "4, 12, 20"), ("Cfg", "1.5, 4")):
        card.get_by_text(label, exact=True).click(button="right")
        editor.page.get_by_role("menuitemcheckbox", name="Sweep").click()
        dialog = editor.dialog("Run with several values")
        dialog.get_by_label("Values", exact=True).last.fill(values)
        dialog.get_by_role("button", name="Close", exact=True).click()
    editor.command("Run with several values")
    editor.dialog("Run with several values").get_by_role("button", name="Run 6 times").click()
    pictures = editor.dialog(re.compile("^Grid of")).locator("td img")
    for number in range(6):
        expect_picture(pictures.nth(number))


def canvas(editor: Editor) -> None:
    last = len(PROMPTS) - 1
    editor.fill("positive", "Text", PROMPTS[last])
    editor.fill("sample", "Seed", str(last))
    editor.run()
    expect_picture(editor.results("save"))
    editor.card("save").get_by_role("button", name=re.compile("^Continue with")).click()
    editor.page.get_by_role("menuitem", name="Paint on the canvas").click()
    page = editor.page
    board = page.locator("[data-painting]")
    board.get_by_label("Width", exact=True).fill("192")
    board.get_by_label("Width", exact=True).press("Enter")
    board.get_by_role("button", name="Show the box").click()
    board.get_by_role("button", name="Add a layer").click()
    page.get_by_role("menuitem", name="Empty layer").click()
    board.get_by_label("Color", exact=True).fill("#c8102e")
    box = page.get_by_role("application", name=re.compile("^Canvas,")).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.68, box["y"] + box["height"] * 0.6
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y - 40, steps=8)
    page.mouse.move(x + 90, y + 50, steps=8)
    page.mouse.up()
    board.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_role("region", name="Candidates")).to_be_visible()


def tour(editor: Editor) -> None:
    editor.menu("Help", "Show tour")
    expect(editor.dialog("Write a prompt")).to_be_visible()
    editor.zoom_to_fit()


def guided(editor: Editor) -> None:
    editor.menu("Help", "Lessons")
    editor.page.get_by_role("button", name="Start: Guidance, taken apart").click()
    card = editor.page.locator("section[role=dialog]")
    card.get_by_role("button", name="Next").click()
    expect(card).to_contain_text("Run it")
    editor.run()
    expect(card).to_contain_text("Four rows")
    expect_picture(editor.results("save"))


SCENES: Mapping[str, tuple[Callable[[Editor], None], Mapping[str, Any]]] = {
    "editor": (editor_with_results, {"color_scheme": "dark"}),
    "running": (running, {"color_scheme": "light"}),
    "search": (search, {"color_scheme": "dark"}),
    "compare": (compared, {"color_scheme": "dark"}),
    "mask": (mask, {"color_scheme": "light"}),
    "form": (form, {"color_scheme": "light"}),
    "space": (space, {"color_scheme": "dark"}),
    "plot": (plot, {"color_scheme": "light"}),
    "templates": (templates, {"color_scheme": "dark"}),
    "sweep": (sweep, {"color_scheme": "dark"}),
    "canvas": (canvas, {"color_scheme": "light"}),
    "tour": (tour, {"color_scheme": "light"}),
    "lesson": (guided, {"color_scheme": "dark"}),
    "contrast": (grid, {"contrast": "more"}),
}


def take(name: str, browser: Browser, server: Server) -> None:
    """Make one of the images."""
    act, options = SCENES[name]
    context = browser.new_context(
        viewport=SIZE, reduced_motion="reduce", base_url=server.url, **options
    )
    context.set_default_timeout(PATIENCE)
    watch = Watch(context, server.host)
    editor = Editor(context.new_page(), server, watch).open()
    act(editor)
    editor.page.mouse.move(0, 0)
    for close in editor.page.get_by_role("button", name="Dismiss").all():
        close.click()
    shot = Image.open(io.BytesIO(editor.page.screenshot())).convert("RGB")
    file = IMAGES / f"{'editor' if name == 'editor' else f'editor-{name}'}.webp"
    shot.save(file, quality=88, method=6)
    sys.stdout.write(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB\n")
    watch.check()
    context.close()
    server.cancel_all()


def main(names: list[str]) -> None:
    path = chromium()
    if path is None:
        raise SystemExit("there is no Chromium here: install it (apt-get install chromium)")
    with (
        TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        Server(knowing_home(Path(folder)), pack="") as server,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        fill_gallery(server)
        for name in names or SCENES:
            take(name, browser, server)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
