"""The editor as people use it: parts of the page by what they are called."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.editor.serving import Server
from tests.editor.visits import Visit
from tests.editor.watching import Watch
from tests.server.hosting import eventually

PLANNED = re.compile(r"will run|everything is cached|Cannot run yet|% done")

_DROP = """(target, [name, type, data]) => {
    // What a script has made lies nowhere; to be told so may take a busy browser for ever.
    delete DataTransferItem.prototype.getAsFileSystemHandle;
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
    const root = document.querySelector("meta[name=root-path]").content;
    const opening = indexedDB.open("nodegraph" + root);
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


_WRITTEN = """async () => {
    // What follows from what was done last comes with the next frames.
    for (let still = 0; still < 2; still += 1) {
        await new Promise((done) => requestIdleCallback(done, {timeout: 300}));
        await new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 300); });
    }
    document.dispatchEvent(new Event("visibilitychange"));
    const id = document.querySelector("[role=tab][aria-selected=true][data-tab]").dataset.tab;
    const database = await new Promise((done, fail) => {
        const opening = indexedDB.open("nodegraph");
        opening.onerror = () => fail(opening.error);
        opening.onsuccess = () => done(opening.result);
    });
    const read = () => new Promise((done, fail) => {
        const reading = database.transaction("documents").objectStore("documents")
            .get(`document/${id}`);
        reading.onerror = () => fail(reading.error);
        reading.onsuccess = () => done(reading.result);
    });
    // Each waits for what was to be written when it was asked for, and that is several records,
    // one after the other.
    const rounds = 4 + 2 * document.querySelectorAll("[role=tab][data-tab]").length;
    for (let round = 1; round < rounds; round += 1) await read();
    const record = await read();
    database.close();
    return record?.text ?? "";
}"""


_BEGIN_ANEW = """async (link) => {
    // What Escape doesn't close asks something.
    if (document.querySelector("[role=dialog], [role=menu]")) return false;
    if (document.documentElement.lang !== "en") return false;
    const panels = JSON.parse(localStorage.getItem("nodegraph.panels") ?? "{}");
    if (Object.entries(panels).some(([key, value]) => key in SIZES && SIZES[key] !== value))
        return false;
    const all = (selector) => [...document.querySelectorAll(selector)];
    const until = async (is) => {
        for (let round = 0; !is(); round += 1) {
            if (round > 2000) return false;
            await new Promise((done) => setTimeout(done, 5));
        }
        return true;
    };
    // As if another tab of the browser had changed what is kept.
    const keep = (settings) => {
        localStorage.clear();
        localStorage.setItem("nodegraph.seen", "1");
        localStorage.setItem("nodegraph.settings", JSON.stringify(settings));
        for (const key of ["nodegraph.settings", "nodegraph.favourite-types"])
            dispatchEvent(new StorageEvent("storage", { key }));
    };
    keep({ confirmations: { closeUnsaved: false } });
    document.activeElement.blur();
    // With the graph come the panels beside it.
    document.querySelector("header [aria-label=Graph][aria-pressed=false]")?.click();
    await new Promise((done) => setTimeout(done));
    const isClosed = () => {
        const buttons = all("[aria-label='Close panel'], [aria-label=Dismiss]");
        for (const button of buttons) button.click();
        return buttons.length === 0;
    };
    if (!await until(isClosed)) return false;
    const others = all("[role=tab][data-tab]").map(({ dataset }) => dataset.tab);
    location.hash = link;
    const shown = "[role=tab][data-tab][aria-selected=true]";
    const isNew = () => !others.includes(document.querySelector(shown)?.dataset.tab);
    if (!await until(isNew)) return false;
    for (const id of others)
        document.querySelector(`[data-tab="${CSS.escape(id)}"] + button`)?.click();
    if (!await until(() => all("[role=tab][data-tab]").length === 1)) return false;
    keep({});
    return true;
}""".replace(
    "SIZES",
    "({ leftSize: 264, rightSize: 356, bottomSize: 248, resultSide: 'right',"
    " rightResultSize: 440, bottomResultSize: 400 })",
)
"""Opens a link in a page in which all else is closed, and set as at first; false if it can't."""


_TYPES = """() => {
    const { activeElement: place } = document;
    return place.matches("input, textarea, select, [contenteditable], iframe");
}"""


SHORTCUTS = {
    "Undo": "ControlOrMeta+z",
    "Settings": "ControlOrMeta+,",
    "Save": "ControlOrMeta+s",
    "New workflow": "Alt+n",
    "Close tab": "Alt+w",
    "Fit view": "Shift+1",
    "Zoom in": "=",
    "Zoom out": "-",
    "Add a note": "n",
    "History": "Alt+h",
    "Inspector": "Alt+i",
    "Nodes": "Alt+a",
    "Problems": "Alt+p",
    "Queue": "Alt+q",
    "Results": "Alt+g",
    "Arrange automatically": "Shift+A",
    "Keyboard shortcuts": "?",
}
"""Keys of commands and panels; that they are these is tested with the keyboard."""


def packed(workflow: dict[str, Any]) -> str:
    """A workflow as links hold it."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = packing.compress(json.dumps(workflow).encode()) + packing.flush()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Editor:
    """One tab of a browser with the editor in it.

    Attributes:
        page: The tab.
        server: What it speaks to.
        watch: What may not happen in the browser.

    Args:
        visit: Whose tab it is, if tests have it one after the other.
    """

    def __init__(
        self, page: Page, server: Server, watch: Watch, visit: Visit | None = None
    ) -> None:
        self.page = page
        self.server = server
        self.watch = watch
        self._visit = visit

    def open(self, path: str = "/") -> Editor:
        """Go to the page, skip the tour, and wait until all is there."""
        self.page.goto(path)
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Skip").click()
        expect(dialog).to_have_count(0)
        return self.ready()

    def open_link(
        self, workflow: dict[str, Any], *, anew: bool = False, whole: bool = True
    ) -> Editor:
        """Go to the page by a link that holds a workflow, and wait for its plan; there is no tour.

        All of it is shown: at the zoom at which it opens, it may go beyond the window, and what
        isn't seen isn't on the page.

        Args:
            anew: Load the page, even if that of the test before can be used again.
            whole: Show all of it, if need be; else what is seen is what people see.
        """
        link = f"#w={packed(workflow)}"
        if anew or self._visit is None or not self._begin_anew(link):
            if self._visit is not None:
                self._visit.forget()
            self.page.goto(f"/{link}")
        self._opened(workflow, whole=whole)
        if self._visit is not None:
            self._visit.is_open = True
        return self

    def _begin_anew(self, link: str) -> bool:
        """Make the page that the test before left what it would be if it were loaded."""
        if self._visit is None or not self._visit.is_open:
            return False
        self._visit.is_open = False
        self.page.mouse.move(0, 0)
        for _ in range(3):
            self.page.keyboard.press("Escape")
        done: bool = self.page.evaluate(_BEGIN_ANEW, link)
        return done

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
        expect(self.page.locator("main[data-ready]:not([data-moving])")).to_be_visible()

    # -- parts of the page; a dialog hides what lies behind it from screen readers

    @property
    def top(self) -> Locator:
        """The bar with the menus, the tabs and the button that runs."""
        return self.page.get_by_role("banner", include_hidden=True)

    @property
    def status(self) -> Locator:
        """The line at the bottom."""
        return self.page.get_by_role("contentinfo", include_hidden=True)

    @property
    def canvas(self) -> Locator:
        return self.page.get_by_role("main", name="Graph", exact=True, include_hidden=True)

    @property
    def tabs(self) -> Locator:
        """Tabs of the open workflows."""
        return self.top.get_by_role("tab", include_hidden=True)

    @property
    def tab(self) -> Locator:
        """The tab that is shown."""
        return self.tabs.and_(self.page.locator("[aria-selected=true]"))

    @property
    def cards(self) -> Locator:
        """All nodes of the graph that is shown."""
        return self.canvas.get_by_role("article", include_hidden=True)

    def card(self, name: str) -> Locator:
        """The node of a name."""
        ending = re.compile(rf", {re.escape(name)}$")
        return self.canvas.get_by_role("group", name=ending, include_hidden=True)

    def field(self, node: str, label: str) -> Locator:
        """An input's widget within a card."""
        return self.card(node).get_by_label(label, exact=True)

    def port(self, node: str, side: str, label: str) -> Locator:
        """The dot of a port.

        Args:
            side: "takes" for inputs, "outputs" for outputs.
        """
        return self.card(node).get_by_role("img", name=re.compile(rf"^{re.escape(label)}: {side} "))

    def state(self, node: str, state: str | re.Pattern[str]) -> Locator:
        """The mark that tells what a node does, such as "Will run", "Cached" or "Done"."""
        if isinstance(state, str):
            state = re.compile(rf"^{re.escape(state)}")
        return self.card(node).get_by_role("img", name=state)

    def link(self, start: str, end: str) -> Locator:
        """A link between two nodes."""
        return self.canvas.get_by_label(f"Link from {start} to {end}", exact=True)

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

    def written(self) -> str:
        """The text of the workflow's file, as the browser keeps it from now on.

        What is downloaded is the same, and takes twenty times the work. It is empty for a workflow
        in which nothing was ever done.
        """
        text: str = self.page.evaluate(_WRITTEN)
        return text

    def command(self, name: str) -> None:
        """Choose a command by searching for it, or by its key where one knows that by heart."""
        if name in SHORTCUTS and not self.page.evaluate(_TYPES):
            self.page.keyboard.press(SHORTCUTS[name])
            self.page.evaluate(_TIMERS)
            return
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

    def drop(self, name: str, data: bytes, kind: str, *, onto: Locator | None = None) -> None:
        """Drop a file onto the canvas, or onto another part of the page."""
        target = self.canvas if onto is None else onto
        target.evaluate(_DROP, [name, kind, base64.b64encode(data).decode()])

    def open_workflow(self, workflow: dict[str, Any], name: str = "given.json") -> None:
        """Open a workflow in a tab of its own, as a dropped file, and wait for its plan.

        All of it is shown: at the zoom at which it opens, it may go beyond the window, and what
        isn't seen isn't on the page.
        """
        before = self.tab.get_attribute("data-tab") or ""
        self.drop(name, json.dumps(workflow).encode(), "application/json")
        # Its name and its number of nodes may be those of what was shown before.
        expect(self.tab).not_to_have_attribute("data-tab", before)
        self._opened(workflow)

    def _opened(self, workflow: dict[str, Any], *, whole: bool = True) -> Editor:
        """Wait until a workflow that was opened is there, and show all of it."""
        if not whole:
            # On small screens not everything has a place.
            expect(self.status.get_by_text(PLANNED)).to_be_visible()
            self.drawn()
            return self
        expect(self.tab).to_have_text(workflow["title"])
        self.ready()
        if self.cards.count() < len(workflow["nodes"]):
            self.zoom_to_fit()
        expect(self.cards).to_have_count(len(workflow["nodes"]))
        return self

    def run(self) -> None:
        """Press the button that runs."""
        self.top.get_by_role("button", name=re.compile("^Run( [0-9]+ times)?$")).last.click()

    def results(self, node: str) -> Locator:
        """Images that a node gave, within its card; a click shows one in full."""
        buttons = self.card(node).get_by_role("button", name=re.compile("^Show .*, made by "))
        return buttons.locator("img")

    def see_preview(self, node: str) -> None:
        """Wait for the image of a node that is still at work; it may be there for a moment."""
        self.page.wait_for_function(_PREVIEW, arg=node, polling="raf")

    def zoom_to_fit(self) -> None:
        self.page.get_by_role("button", name="Fit view").click()


def box_of(place: Locator) -> FloatRect:
    """Where something is seen, once it stands still."""
    place.evaluate(_AT_REST)
    box = place.bounding_box()
    assert box is not None, f"{place} isn't seen"
    return box


def expect_picture(picture: Locator) -> None:
    """Wait until an image is really there: loaded, and of some size."""
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    expect(picture).not_to_have_js_property("naturalWidth", 0)
