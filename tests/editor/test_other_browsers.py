"""A journey through the editor in Firefox and in WebKit; all else is tested in Chromium.

They are skipped where the browser is not installed: in Debian, ``firefox-esr`` is Firefox, and
``webkit2gtk-driver`` with ``xvfb`` is WebKit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editor.conftest import knowing_home
from tests.editor.serving import Server
from tests.editor.webdriver import Browser, firefox, webkit
from tests.server.hosting import eventually

Point = tuple[float, float]
NEEDS = {"Firefox": ("firefox-esr",), "WebKit": ("WebKitWebDriver", "Xvfb")}
OPENS: dict[str, Callable[[Path], Any]] = {"Firefox": firefox, "WebKit": webkit}
CONTROL, SHIFT, ALT = "\ue009", "\ue008", "\ue00a"
ENTER, ESCAPE = "\ue007", "\ue00c"

_MIDDLE = """(selector, name) => {
    const isNamed = (each) => [each.ariaLabel, each.textContent.trim(), each.title].includes(name);
    const isSeen = (each) => each.checkVisibility({ visibilityProperty: true });
    const found = [...document.querySelectorAll(selector)]
        .filter((each) => isSeen(each) && (name === null || isNamed(each))).at(-1);
    if (found === undefined) return null;
    const { x, y, width, height } = found.getBoundingClientRect();
    return width === 0 ? null : [x + width / 2, y + height / 2];
}"""
_AT_REST = """() => new Promise((done) => {
    setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done(true))), 150);
})"""


class Hands:
    """Somebody with mouse and keys."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def until(self, function: str, *values: Any) -> None:
        """Wait until a JavaScript function says that it is so."""
        eventually(lambda: bool(self.browser.evaluate(function, *values)))

    def sees(self, selector: str, name: str | None = None) -> Point:
        """Wait until something is there, by its name or text, and has come to rest; its middle."""
        found: list[Point | None] = [None]

        def is_still() -> bool:
            before = self.browser.evaluate(_MIDDLE, selector, name)
            self.browser.evaluate(_AT_REST)
            found[0] = self.browser.evaluate(_MIDDLE, selector, name)
            return before is not None and before == found[0]

        eventually(is_still)
        assert found[0] is not None
        return found[0][0], found[0][1]

    def click(self, selector: str, name: str | None = None) -> None:
        self.drag(self.sees(selector, name))

    def drag(self, *points: Point) -> None:
        """Press the button at the first point, and let it go at the last."""
        moves = [
            {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 50} for x, y in points
        ]
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        first, *others = moves
        self._perform("pointer", [first, down, *others, up], parameters={"pointerType": "mouse"})

    def press(self, key: str, *held: str) -> None:
        keys = [*held, key]
        downs = [{"type": "keyDown", "value": each} for each in keys]
        ups = [{"type": "keyUp", "value": each} for each in reversed(keys)]
        self._perform("key", [*downs, *ups])

    def type(self, text: str) -> None:
        for letter in text:
            self.press(letter)

    def _perform(self, kind: str, actions: list[dict[str, Any]], **more: Any) -> None:
        self.browser.perform([{"type": kind, "id": kind, "actions": actions, **more}])


@pytest.fixture
def server(tmp_path: Path, known_specs: Path) -> Iterator[Server]:
    with Server(knowing_home(tmp_path / "server", known_specs)) as server:
        yield server


@pytest.fixture(params=sorted(NEEDS))
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hands]:
    lacking = [name for name in NEEDS[request.param] if shutil.which(name) is None]
    if lacking:
        pytest.skip(f"{request.param} is not installed: {', '.join(lacking)} is missing")
    home = tmp_path / "browser"
    home.mkdir(mode=0o700)
    with OPENS[request.param](home) as browser:
        yield Hands(browser)


@pytest.mark.slow
def test_a_journey(hands: Hands, server: Server) -> None:
    hands.browser.goto(f"{server.url}/")
    hands.click("[role=dialog] button, dialog button", "Skip tour")
    for node in ("load", "positive", "sample", "save"):
        hands.sees(card(node))
    hands.until("() => document.body.innerText.includes('Connected')")
    add_and_link(hands)
    change_run_and_undo(hands)
    save_and_reload(hands, server)
    paint(hands)
    choose_language(hands)
    assert hands.browser.faults() == []


def card(node: str) -> str:
    return f'.react-flow__node[data-id="{node}"]'


def add_and_link(hands: Hands) -> None:
    """A second node that saves is found by its name, and linked."""
    hands.drag(hands.sees(card("sample") + " header"))
    hands.press(" ")
    hands.until("() => document.activeElement.matches('input')")
    hands.type("save image")
    hands.sees("[role=option]")
    hands.press(ENTER)
    hands.sees(card("save_image"))
    hands.press(ESCAPE)
    hands.press(ESCAPE)
    hands.press("1", SHIFT)
    start = hands.sees(card("decode") + " .react-flow__handle.source")
    end = hands.sees(card("save_image") + " .react-flow__handle.target")
    hands.drag(start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), end)
    hands.sees('[aria-label="Link from decode to save_image"] path')


def change_run_and_undo(hands: Hands) -> None:
    """Fewer steps give a picture; undo brings the steps back."""
    steps = card("sample") + ' [data-input="steps"] [role=spinbutton]'
    hands.click(steps)
    hands.until(f"() => document.activeElement.matches('{steps}')")
    hands.press("a", CONTROL)
    hands.type("2")
    hands.press(ENTER)
    value = f"(value) => document.querySelector('{steps}').ariaValueNow === value"
    hands.until(value, "2")
    hands.press(ENTER, CONTROL)
    picture = card("save") + " img"
    hands.until(f"() => document.querySelector('{picture}')?.naturalWidth > 0")
    hands.press(ESCAPE)
    hands.press("z", CONTROL)
    hands.until(value, "20")


def save_and_reload(hands: Hands, server: Server) -> None:
    """What was saved is on the server, and what was open is there again."""
    hands.press("s", CONTROL)
    hands.click("dialog button, [role=dialog] button", "Save")
    eventually(lambda: len(server.get("workflows")["items"]) == 1)
    hands.until("() => document.querySelector('[role=dialog]') === null")
    hands.browser.goto(f"{server.url}/")
    hands.sees(card("save_image"))


def paint(hands: Hands) -> None:
    """A stroke on an empty canvas is a step that can be undone."""
    hands.press("c", ALT)
    hands.click("button", "Empty canvas")
    hands.click("[data-painting] button", "Brush")
    hands.click("[data-painting] button", "Add a layer")
    hands.click("[role=menuitem]", "Empty layer")
    x, y = hands.sees("[data-stage]")
    hands.drag((x - 60, y), (x - 20, y + 20), (x + 60, y + 30))
    hands.press("z", CONTROL)
    redo = """() => [...document.querySelectorAll("[data-painting] button")]
        .some((each) => each.ariaLabel === "Redo" && !each.disabled)"""
    hands.until(redo)


def choose_language(hands: Hands) -> None:
    hands.press("c", ALT)
    hands.press(",", CONTROL)
    hands.click("[role=tab]", "Language")
    hands.sees("[role=tabpanel] select, dialog select")
    hands.browser.evaluate(
        """() => {
            const list = [...document.querySelectorAll("dialog select, [role=dialog] select")]
                .find((each) => [...each.options].some(({ text }) => text === "日本語"));
            list.value = [...list.options].find(({ text }) => text === "日本語").value;
            list.dispatchEvent(new Event("change", { bubbles: true }));
        }"""
    )
    hands.until("() => document.documentElement.lang === 'ja'")
