"""Models from other sites: a newcomer gets one, and a workflow gets what it lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from nodegraph.families.embedded_models import embedded_folder
from tests.downloads.stand_in import LOOPBACK, Fault, Site, standing_in, weights
from tests.editor.conftest import NewBrowser, knowing_home
from tests.editor.editing import Editor
from tests.editor.gates import text_to_image
from tests.editor.graphs import written
from tests.editor.serving import Server
from tests.server.hosting import eventually
from tests.vision.conftest import clipseg

PORTRAITS = "a/portraits"
FACES = "CIDAS/clipseg-rd64-refined"
"""The model that the page to generate offers to find faces."""
SETTINGS = {
    "width": 96,
    "height": 64,
    "steps": 2,
    "guidance": 3.0,
    "sampler": "euler",
    "schedule": "normal",
}
TINY = {
    "width": 128,
    "height": 128,
    "steps": 20,
    "guidance": 4.0,
    "sampler": "dpmpp_2m",
    "schedule": "karras",
}
PHONE = {"width": 390, "height": 800}


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The hub with models of which the editor can really make images, and find things in them."""
    with standing_in() as site:
        site.repositories[PORTRAITS] = files_of(embedded_folder())
        site.cards[PORTRAITS] = {"license": "openrail++"}
        folder = tmp_path_factory.mktemp("faces")
        clipseg(folder)
        site.repositories[FACES] = files_of(folder)
        site.cards[FACES] = {"license": "apache-2.0"}
        yield site


@pytest.fixture(scope="module")
def own_server(
    site: Site, tmp_path_factory: pytest.TempPathFactory, known_specs: Path
) -> Iterator[Server]:
    """A server that reaches the stand-in, and offers its model to newcomers."""
    folder = tmp_path_factory.mktemp("getting")
    size = sum(len(data) for data in site.repositories[PORTRAITS].values())
    model = {
        "id": "portraits",
        "title": "Portraits",
        "description": "Faces in soft light.",
        "purpose": "image",
        "family": "sd1",
        "license": "openrail++",
        "license_url": "https://example.org/openrail",
        "source": PORTRAITS,
        "kind": "diffusers",
        "bytes": size,
        "memory": 100_000_000,
        "settings": SETTINGS,
    }
    catalogue = folder / "catalogue.json"
    catalogue.write_text(
        json.dumps(
            {"format": "nodegraph-model-catalogue/1", "models": [model], "names": {"tiny": TINY}}
        ),
        encoding="utf-8",
    )
    variables = {
        "HF_ENDPOINT": site.url,
        "CIVITAI_ENDPOINT": site.civitai,
        "HF_HUB_CACHE": str(folder / "hub"),
        "NODEGRAPH_DOWNLOAD_HOSTS": ",".join(LOOPBACK),
        "NODEGRAPH_MODEL_CATALOGUE": str(catalogue),
    }
    with Server(knowing_home(folder, known_specs), environment=variables) as server:
        yield server


@pytest.fixture
def server(own_server: Server, site: Site) -> Iterator[Server]:
    """The same for all tests here, without models and downloads."""
    yield own_server
    site.faults.clear()
    for download in own_server.get("models/downloads")["items"]:
        own_server.client.delete(f"models/downloads/{download['id']}").raise_for_status()
    own_server.forget_all()


@pytest.fixture
def hold(site: Site) -> Iterator[Callable[[], Event]]:
    """Keeps the largest file of the model back after its first half."""
    gates: list[Event] = []

    def begin() -> Event:
        files = site.repositories[PORTRAITS]
        name = max(files, key=lambda each: len(files[each]))
        gate = Event()
        gates.append(gate)
        site.faults[f"/cdn/{PORTRAITS}//{name}"] = Fault(gate=(len(files[name]) // 2, gate))
        return gate

    yield begin
    for gate in gates:
        gate.set()


class Clicks:
    """Clicks as people do, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, target: Locator) -> None:
        target.click()
        self.count += 1


def models_panel(editor: Editor) -> Locator:
    return editor.panel("Models")


def get_models(editor: Editor) -> Locator:
    """The panel, at what can be got."""
    editor.page.get_by_role("navigation").get_by_role("button", name="Models").click()
    panel = models_panel(editor)
    panel.get_by_role("tab", name="Get models").click()
    return panel


def test_a_newcomer_gets_and_uses_a_model_in_five_clicks(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server)
    editor.page.goto("/")
    click = Clicks()
    click(editor.page.get_by_role("dialog").get_by_role("button", name="Skip"))
    editor.ready()
    click(editor.page.get_by_role("navigation").get_by_role("button", name="Models"))
    panel = models_panel(editor)
    click(panel.get_by_role("tab", name="Get models"))
    card = panel.get_by_role("listitem").filter(has_text="Portraits")
    expect(card).to_contain_text("openrail++")
    expect(card).to_contain_text("memory")
    click(card.get_by_role("button", name="Get Portraits"))
    click(card.get_by_role("button", name="Put Portraits into the graph"))
    assert click.count <= 5
    nodes = written(editor)["nodes"]
    assert nodes["load"]["inputs"]["model"] == "portraits"
    assert nodes["size"]["inputs"] == {"width": 96, "height": 64}
    sampled = nodes["sample"]["inputs"]
    assert {key: sampled[key] for key in ("steps", "cfg", "sampler", "schedule")} == {
        "steps": 2,
        "cfg": 3.0,
        "sampler": "euler",
        "schedule": "normal",
    }
    expect(editor.notice("96 × 64")).to_be_visible()
    # It is one step to undo.
    editor.page.keyboard.press("ControlOrMeta+z")
    assert written(editor)["nodes"] == text_to_image()["nodes"]
    editor.page.keyboard.press("ControlOrMeta+Shift+z")
    editor.run()
    expect(editor.results("save").first).to_be_visible()


def test_a_download_is_followed_held_and_survives_a_reload(
    new_browser: NewBrowser, server: Server, hold: Callable[[], Event]
) -> None:
    gate = hold()
    editor = new_browser(server).open_link(text_to_image())
    panel = get_models(editor)
    panel.get_by_role("button", name="Get Portraits").click()
    running = editor.status.get_by_role("button", name=re.compile("1 model coming"))
    expect(running).to_be_visible()
    bar = panel.get_by_role("progressbar").first
    expect(bar).to_be_visible()
    editor.reload()
    expect(running).to_be_visible()
    running.click()
    card = panel.get_by_role("listitem").filter(has_text="Portraits")
    expect(card).to_contain_text(" of ")
    card.get_by_role("button", name="Pause the download of portraits").click()
    expect(card).to_contain_text("Paused")
    expect(running).to_have_count(0)
    gate.set()
    card.get_by_role("button", name="Continue the download of portraits").click()
    expect(editor.notice("portraits is here")).to_be_visible()
    expect(panel.get_by_role("button", name="Put Portraits into the graph")).to_be_visible()


def lacking() -> dict[str, Any]:
    """A workflow that names a model with its source, and one that nobody knows."""
    workflow = text_to_image()
    workflow["nodes"]["load"]["inputs"]["model"] = "portraits"
    workflow["models"] = [{"name": "portraits", "source": PORTRAITS}]
    return workflow


def test_what_a_workflow_lacks_is_got_from_the_dialog(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server).open_link(text_to_image())
    editor.open_workflow(lacking())
    dialog = editor.dialog("What is missing")
    row = dialog.get_by_role("listitem").filter(has_text="portraits")
    expect(row).to_contain_text(PORTRAITS)
    expect(row).to_contain_text("openrail++")
    dialog.get_by_role("button", name=re.compile("^Get it")).click()
    expect(dialog.get_by_text("Everything that this workflow needs is available")).to_be_visible()
    editor.page.keyboard.press("Escape")
    expect(editor.status.get_by_text(re.compile("^[0-9] nodes will run"))).to_be_visible()


def test_a_model_without_a_source_says_so(new_browser: NewBrowser, server: Server) -> None:
    workflow = lacking()
    workflow["models"] = []
    editor = new_browser(server).open_link(text_to_image())
    editor.open_workflow(workflow)
    row = editor.dialog("What is missing").get_by_role("listitem")
    expect(row).to_contain_text("The workflow does not state where to get it")
    # It is looked for where models are got.
    row.get_by_role("button", name="Search").click()
    panel = models_panel(editor)
    expect(panel.get_by_label("Search, or paste an address")).to_have_value("portraits")
    expect(panel.get_by_role("link", name=PORTRAITS)).to_be_visible()


def test_an_address_is_planned_before_it_is_downloaded(
    new_browser: NewBrowser, server: Server, site: Site
) -> None:
    editor = new_browser(server).open_link(text_to_image())
    panel = get_models(editor)
    field = panel.get_by_label("Search, or paste an address")
    field.fill(f"{site.url}/{PORTRAITS}")
    field.press("Enter")
    plan = panel.get_by_role("region", name="What the download brings")
    expect(plan).to_contain_text("openrail++")
    expect(plan.get_by_role("listitem").first).to_contain_text("B")
    assert server.get("models/downloads")["items"] == []
    with editor.watch.allowing("422"):
        field.fill(f"{site.url}/nobody/nothing")
        field.press("Enter")
        expect(plan.get_by_role("alert")).to_contain_text("no repository nobody/nothing")


def test_the_library_is_walked_by_keys_and_noted_in(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server).open_link(text_to_image())
    editor.page.keyboard.press("Alt+o")
    panel = models_panel(editor)
    panel.get_by_label("Search models").fill("upscaler")
    expect(panel.get_by_role("status")).to_contain_text("1 of")
    panel.get_by_label("Search models").fill("lora")
    cards = panel.get_by_role("gridcell")
    cards.first.focus()
    editor.page.keyboard.press("ArrowRight")
    expect(cards.nth(1)).to_be_focused()
    editor.page.keyboard.press("Space")
    expect(panel.get_by_text("This model is built in")).to_be_visible()
    # So nothing is offered that the server refuses.
    expect(panel.get_by_role("button", name="4 stars")).to_have_count(0)
    expect(panel.get_by_label("Notes")).to_have_count(0)
    panel.get_by_role("button", name="Back to all models").click()
    cards.first.focus()
    editor.page.keyboard.press("Enter")
    expect(editor.card("load_lora")).to_be_visible()


def test_on_a_phone_the_graph_is_seen_once_a_model_is_in_it(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server, viewport=PHONE, has_touch=True, is_mobile=True)
    editor.page.goto("/")
    editor.page.get_by_role("dialog").get_by_role("button", name="Skip").tap()
    expect(editor.cards.first).to_be_visible()
    editor.page.keyboard.press("Alt+o")
    panel = models_panel(editor)
    panel.get_by_role("gridcell", name=re.compile("^tiny,")).tap()
    expect(panel).to_have_count(0)
    assert written(editor)["nodes"]["load"]["inputs"]["model"] == "tiny"


def settings_of(editor: Editor) -> Locator:
    """What is chosen at the page without a graph."""
    return editor.page.get_by_role("region", name="Settings")


@pytest.mark.slow
def test_the_page_to_generate_gets_a_model_and_what_a_task_lacks(
    new_browser: NewBrowser, server: Server
) -> None:
    editor = new_browser(server)
    page = editor.page
    page.goto("/generate")
    settings = settings_of(editor)
    settings.get_by_label("Prompt", exact=True).fill("a red apple")
    settings.get_by_role("button", name="Get models").click()
    dialog = editor.dialog("Get models")
    dialog.get_by_role("button", name="Get Portraits").click()
    dialog.get_by_role("button", name="Use Portraits").click()
    expect(dialog).to_have_count(0)
    expect(settings.get_by_role("combobox", name="Model", exact=True)).to_have_text("portraits")
    expect(settings.get_by_label("Width in pixels")).to_have_value("96")
    page.keyboard.press("ControlOrMeta+Enter")
    images = page.get_by_role("region", name="Images").get_by_role("figure")
    expect(images).to_have_count(1)

    images.get_by_role("button", name=re.compile("^More actions")).click()
    page.get_by_role("menuitem", name="Face detail").click()
    lacking = editor.dialog("Face detail")
    expect(lacking).to_contain_text("It needs a vision model that finds faces")
    expect(lacking).to_contain_text("apache-2.0")
    lacking.get_by_role("button", name="Get CLIPSeg").click()
    lacking.get_by_role("button", name="Face detail").click()
    expect(lacking).to_have_count(0)
    eventually(lambda: len(server.jobs()) == 2)
    nodes = server.get(f"jobs/{server.jobs()[0]['id']}/workflow")["nodes"]
    assert "SegmentByText" in {node["type"] for node in nodes.values()}
    # The library names it by its folder, not by its file.
    page.goto("/")
    page.get_by_role("navigation").get_by_role("button", name="Models").click()
    name = re.compile("^clipseg-rd64-refined, Vision model")
    expect(models_panel(editor).get_by_role("gridcell", name=name)).to_be_visible()


def test_folders_of_other_programs_are_used_where_they_are(
    new_browser: NewBrowser, server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "ComfyUI" / "models"
    (folder / "loras").mkdir(parents=True)
    (folder / "loras" / "ink.safetensors").write_bytes(weights(2_000))
    editor = new_browser(server).open_link(text_to_image())
    panel = get_models(editor)
    panel.get_by_text("Other folders").click()
    path = panel.get_by_label("Folder on the server")
    add = panel.get_by_role("button", name="Add", exact=True)
    with editor.watch.allowing("422"):
        path.fill(str(tmp_path / "nothing"))
        add.click()
        expect(panel.get_by_role("alert")).to_contain_text("no such folder")
    path.fill(str(folder.parent))
    path.press("Enter")
    row = panel.get_by_role("list", name="Other folders").get_by_role("listitem")
    expect(row).to_contain_text("1 model")
    expect(path).to_have_value("")
    assert [each["folder"] for each in server.get("models/links")["items"]] == [str(folder)]
    row.get_by_role("button", name=re.compile("^Stop using")).click()
    expect(row).to_have_count(0)
    assert (folder / "loras" / "ink.safetensors").exists()
    assert server.get("models/links")["items"] == []
