"""The editor as people use it: parts of the page by what they are called."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.editor.serving import Server
from tests.editor.watching import Watch
from tests.server.hosting import eventually

PLANNED = re.compile(r"will run|all of it is cached|Can't run yet|% done")

_DROP = """(target, [name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, { type }));
    const box = target.getBoundingClientRect();
    const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
    for (const kind of ["dragenter", "dragover", "drop"])
        target.dispatchEvent(new DragEvent(kind, {
            bubbles: true, cancelable: true, composed: true, dataTransfer: carried, ...at,
        }));
}"""


_PREVIEW = """(node) => {
    const picture = document.querySelector(`[data-node="${node}"] img[alt^="Preview of "]`);
    return picture !== null && picture.naturalWidth > 0;
}"""


_TIMERS = "() => new Promise((done) => setTimeout(done))"
"""Waits for what the page was going to do at once."""


_AT_REST = """async (place) => {
    const seen = () => JSON.stringify(place.getBoundingClientRect());
    let last = seen();
    for (let still = 0; still < 3; ) {
        // Once nothing waits to be done, and the next frame is drawn. A page that has come to rest
        // may be given neither any more, unless a timer wakes it.
        await new Promise((done) => requestIdleCallback(done, {timeout: 300}));
        await new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 300); });
        const now = seen();
        still = now === last ? still + 1 : 0;
        last = now;
    }
}"""


_KEPT = """() => new Promise((resolve, reject) => {
    const opening = indexedDB.open("nodegraph");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
        const database = opening.result;
        const reading = database.transaction("documents").objectStore("documents").getAll();
        reading.onerror = () => reject(reading.error);
        reading.onsuccess = () => {
            database.close();
            const stepsOf = ({ history }) => [...history.entries.values()].map((e) => e.label);
            resolve(reading.result
                .filter((record) => record.document !== undefined)
                .map((record) => [record.text, ...stepsOf(record.document)].join("\\n")));
        };
    };
})"""


class Editor:
    """One tab of a browser with the editor in it.

    Attributes:
        page: The tab.
        server: What it speaks to.
        watch: What may not happen in the browser.
    """

    def __init__(self, page: Page, server: Server, watch: Watch) -> None:
        self.page = page
        self.server = server
        self.watch = watch

    def open(self, path: str = "/") -> Editor:
        """Go to the page, skip the tour, and wait until all is there."""
        self.page.goto(path)
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Skip").click()
        expect(dialog).to_have_count(0)
        return self.ready()

    def reload(self) -> Editor:
        """Load the page again."""
        self.page.reload()
        return self.ready()

    def wait_until_kept(self, *words: str) -> None:
        """Wait until the browser's database has workflows with these words in them.

        What was done to them is told by keys of its words, such as "history.restored".
        """

        def are_there() -> bool:
            texts: list[str] = self.page.evaluate(_KEPT)
            return all(any(word in text for text in texts) for word in words)

        eventually(are_there)

    def another_tab(self, path: str = "/") -> Editor:
        """One more tab of the same browser, with nothing in it."""
        other = Editor(self.page.context.new_page(), self.server, self.watch)
        other.page.goto(path)
        expect(other.status.get_by_text("Connected", exact=True)).to_be_visible()
        other.drawn()
        return other

    def ready(self) -> Editor:
        """Wait until it is connected and knows what a run would do."""
        expect(self.status.get_by_text("Connected", exact=True)).to_be_visible()
        expect(self.status.get_by_text(PLANNED)).to_be_visible()
        self.drawn()
        return self

    def drawn(self) -> None:
        """Wait until the graph is on the canvas, and takes mouse and keys."""
        expect(self.page.locator("main[data-ready]")).to_be_visible()

    # -- parts of the page

    @property
    def top(self) -> Locator:
        """The bar with the menus, the tabs and the button that runs."""
        return self.page.get_by_role("banner")

    @property
    def status(self) -> Locator:
        """The line at the bottom."""
        return self.page.get_by_role("contentinfo")

    @property
    def canvas(self) -> Locator:
        return self.page.get_by_label("Canvas", exact=True)

    @property
    def tabs(self) -> Locator:
        """Tabs of the open workflows."""
        return self.top.get_by_role("tab")

    @property
    def tab(self) -> Locator:
        """The tab that is shown."""
        return self.tabs.and_(self.page.locator("[aria-selected=true]"))

    @property
    def cards(self) -> Locator:
        """All nodes of the graph that is shown."""
        return self.canvas.get_by_role("article")

    def card(self, name: str) -> Locator:
        """The node of a name."""
        return self.canvas.get_by_role("group", name=re.compile(rf", {re.escape(name)}$"))

    def field(self, node: str, label: str) -> Locator:
        """An input's widget within a card."""
        return self.card(node).get_by_label(label, exact=True)

    def port(self, node: str, side: str, label: str) -> Locator:
        """The dot of a port.

        Args:
            side: "takes" for inputs, "gives" for outputs.
        """
        return self.card(node).get_by_role("img", name=re.compile(rf"^{re.escape(label)}: {side} "))

    def state(self, node: str, state: str | re.Pattern[str]) -> Locator:
        """The mark that tells what a node does, such as "Will run", "Cached" or "Done"."""
        if isinstance(state, str):
            state = re.compile(rf"^{re.escape(state)}")
        return self.card(node).get_by_role("img", name=state)

    def link(self, start: str, end: str) -> Locator:
        """A link between two nodes."""
        return self.canvas.get_by_label(f"Edge from {start} to {end}", exact=True)

    def dialog(self, title: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("dialog", name=title)

    def notice(self, text: str | re.Pattern[str]) -> Locator:
        """A toast by its words."""
        return self.page.get_by_role("region", name="Notices").get_by_text(text)

    def panel(self, name: str) -> Locator:
        """A panel, such as "Results", "Queue" or "Problems", by the name on its edge."""
        return self.page.get_by_role("region", name=name, exact=True)

    # -- what people do

    def fill(self, node: str, label: str, value: str) -> None:
        """Write into a field and leave it."""
        field = self.field(node, label)
        field.fill(value)
        field.blur()

    def click_card(self, node: str, *modifiers: Any) -> None:
        """Select a node by its head."""
        self.card(node).get_by_role("article").click(
            position={"x": 90, "y": 12}, modifiers=list(modifiers)
        )

    def command(self, name: str) -> None:
        """Choose a command by searching for it."""
        field = self.search()
        field.fill(name)
        expect(self.found().first).to_contain_text(name)
        field.press("Enter")
        expect(self.dialog("Search everything")).to_have_count(0)
        # The page does it a timer later, when the dialog is gone; keys would be before it.
        self.page.evaluate(_TIMERS)

    def search(self, key: str = "ControlOrMeta+k") -> Locator:
        """Open the search for everything, or by another key for what is in the workflow."""
        self.page.keyboard.press(key)
        field = self.dialog("Search everything").get_by_role("combobox")
        expect(field).to_be_focused()
        return field

    def found(self) -> Locator:
        """What the search shows."""
        return self.dialog("Search everything").get_by_role("option")

    def menu(self, name: str, *items: str) -> None:
        """Choose from a menu of the top bar."""
        self.top.get_by_role("button", name=name, exact=True).first.click()
        for item in items:
            self.page.get_by_role("menuitem", name=item).first.click()

    def save_as(self, name: str) -> None:
        """Save under a name that is new."""
        self.menu("File", "Save as")
        dialog = self.dialog("Save workflow")
        dialog.get_by_label("Name on the server").fill(name)
        dialog.get_by_role("button", name="Save", exact=True).click()
        expect(dialog).to_have_count(0)
        expect(self.notice(f"Saved “{name}”")).to_be_visible()

    def show(self, panel: str) -> Locator:
        """Open a panel that is closed."""
        found = self.panel(panel)
        if not found.is_visible():
            self.command(panel)
        expect(found).to_be_visible()
        return found

    def drop(self, name: str, data: bytes, kind: str) -> None:
        """Drop a file onto the canvas."""
        self.canvas.evaluate(_DROP, [name, kind, base64.b64encode(data).decode()])

    def open_workflow(self, workflow: dict[str, Any], name: str = "given.json") -> None:
        """Open a workflow in a tab of its own, as a dropped file, and wait for its plan.

        All of it is shown: at the zoom at which it opens, it may go beyond the window, and what
        isn't seen isn't on the page.
        """
        before = self.tab.get_attribute("data-tab") or ""
        self.drop(name, json.dumps(workflow).encode(), "application/json")
        # Its name and its number of nodes may be those of what was shown before.
        expect(self.tab).not_to_have_attribute("data-tab", before)
        expect(self.tab).to_have_text(workflow["title"])
        self.ready()
        if self.cards.count() < len(workflow["nodes"]):
            self.command("Show everything")
        expect(self.cards).to_have_count(len(workflow["nodes"]))

    def run(self) -> None:
        """Press the button that runs."""
        self.top.get_by_role("button", name=re.compile("^Run( [0-9]+ times)?$")).last.click()

    def results(self, node: str) -> Locator:
        """Pictures that a node gave, within its card; a click shows one in full."""
        buttons = self.card(node).get_by_role("button", name=re.compile("^Show .*, made by "))
        return buttons.locator("img")

    def see_preview(self, node: str) -> None:
        """Wait for the picture of a node that is still at work; it may be there for a moment."""
        self.page.wait_for_function(_PREVIEW, arg=node, polling="raf")

    def zoom_to_fit(self) -> None:
        self.page.get_by_role("button", name="Show everything").click()


def box_of(place: Locator) -> FloatRect:
    """Where something is seen, once it stands still."""
    place.evaluate(_AT_REST)
    box = place.bounding_box()
    assert box is not None, f"{place} isn't seen"
    return box


def expect_picture(picture: Locator) -> None:
    """Wait until a picture is really there: loaded, and of some size."""
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    expect(picture).not_to_have_js_property("naturalWidth", 0)
