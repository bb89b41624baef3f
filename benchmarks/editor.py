"""The editor: a large graph, frames and work while it moves, strokes on a canvas, its download.

    python benchmarks/editor.py [--json] [--quick] [--against COMMIT]

In Chromium without a window, which draws without a GPU, on a real server. A browser draws 60 frames
a second at most. What the page itself has to do for each move is told in processor time of its main
thread; its aims are a third of what it took while each card was a layer of its own.

The editor of an earlier commit is measured by turns with this one, both with a slowed processor: on
a quick one each draws as many frames as a browser does.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from common import Figure, options, show
from large import (
    MANY,
    MORE,
    Motion,
    all_in_sight,
    large_graph,
    opened,
    panned,
    planned,
    run,
    slowed,
    swept,
    without_places,
    zoomed,
)
from painting import LAYERS, SIDE, canvas_graph, open_canvas, stroke_times
from playwright.sync_api import Browser, Page, Request, Response, sync_playwright
from serving import earlier, prepared, serving

NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "chromium-headless-shell",
)
PATIENCE = 300_000.0
MOVES = (("panning", panned), ("zooming", zoomed))
WORK = {"panning": 1.0, "zooming": 4.8}
"""Milliseconds of the main thread, each move, at most: 500 nodes, all in sight."""
MORE_WORK = {"panning": 2.3, "zooming": 12.0}
"""The same of 2000."""
NEAR_WORK = 2.0
"""The same at 100 %, where cards are seen in full."""

EARLIER = "fc7adf3c3"
"""The last commit before the canvas for painting; its library learned of the view in each frame."""
SLOWER = 6
"""So many times as slow is the processor where two editors are compared."""
FASTER = 3.0
"""How many times the earlier frames a second are asked for, as far as a browser draws them."""
NEAR_CAP = 55.0
"""Frames a second that count as all a browser draws."""
REQUESTS = 60
"""Of a first visit, at most."""
_BARE = """<main style="position: fixed; inset: 0"><div>A layer</div></main><script>
const layer = document.querySelector("div");
layer.style = "width: 3000px; height: 2000px; will-change: transform";
addEventListener("mousemove", (event) => requestAnimationFrame(() => {
    layer.style.transform = `translate(${event.clientX}px, ${event.clientY}px)`;
}));
</script>"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise SystemExit("there is no Chromium here: install it (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        yield browser
        browser.close()


@dataclass(frozen=True)
class Visit:
    """A first visit.

    Attributes:
        fetched: Bytes of the editor's own files, gzipped.
        requests: How many it made of whatever kind.
        seconds: Until the starter graph was there.
    """

    page: Page
    fetched: int
    requests: int
    seconds: float


def fresh(browser: Browser, url: str) -> Visit:
    """The page as somebody new sees it."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE)
    fetched: list[int] = []
    requests: list[str] = []

    def count(request: Request) -> None:
        requests.append(request.url)

    def note(response: Response) -> None:
        if "/api/" not in response.url and response.ok:
            fetched.append(len(gzip.compress(response.body())))

    page.on("request", count)
    page.on("response", note)
    start = perf_counter()
    page.goto(url)
    page.locator("main[data-ready] [data-node=load]").wait_for()
    seconds = perf_counter() - start
    # What it fetches later may not have come when it is closed.
    page.remove_listener("request", count)
    page.remove_listener("response", note)
    visit = Visit(page, sum(fetched), len(requests), seconds)
    page.get_by_role("dialog").get_by_role("button", name="Skip").click()
    return visit


def motion(
    what: str,
    pages: list[Page],
    action: Callable[[Page], Motion],
    rate: float = 50,
    work: float | None = None,
) -> Iterator[Figure]:
    """The frames and the work of a move: the best of several pages."""
    found = [action(page) for page in pages]
    yield Figure(what, max(each.rate for each in found), "/s", rate, more_is_better=True)
    least = min(found, key=lambda each: each.work)
    shares = (
        f"… of the main thread, each move (scripts {least.script:.1f}, layout {least.layout:.1f})"
    )
    yield Figure(shares, least.work, "ms", work)


def measure(url: str, quick: bool, against: str | None = None) -> Iterator[Figure]:
    """All figures.

    Args:
        against: The address of the earlier editor.
    """
    with chromium() as browser:
        yield from _measure(browser, url, quick)
        if against is not None:
            yield from compared(browser, url, against, quick)


def _measure(browser: Browser, url: str, quick: bool) -> Iterator[Figure]:
    count, more, times = (100, 200, 1) if quick else (MANY, MORE, 3)
    visits = [fresh(browser, url) for _ in range(times)]
    pages = [visit.page for visit in visits]
    seconds = min(visit.seconds for visit in visits)
    yield Figure("first visit: the starter graph is there", seconds, "s", 1.5)
    yield Figure("… fetched for it, gzipped", visits[0].fetched / 1e3, "kB", 500)
    yield Figure("… requests until then", visits[0].requests, "", REQUESTS)
    graph = large_graph(count)
    yield Figure(f"opening {count} nodes", min(opened(page, graph) for page in pages), "s", 1.5)
    for page in pages:
        all_in_sight(page, count)
    for what, action in MOVES:
        yield from motion(f"{what} them, all in sight", pages, action, 50, WORK[what])
    near = pages[0]
    again = [near] * times
    run(near, count // 5)
    for what, action in MOVES:
        yield from motion(f"{what} them with their images", again, action)
    near.keyboard.press("Shift+0")
    yield from motion("panning at 100 %", again, panned, 50, NEAR_WORK)
    yield from motion("going through them at 100 %", again, swept)
    yield Figure(f"opening {more} nodes", opened(near, large_graph(more)), "s")
    all_in_sight(near, more)
    for what, action in MOVES:
        name = f"{what} them, all in sight"
        yield from motion(name, again, action, 30, MORE_WORK[what])
    near.keyboard.press("Shift+0")
    yield from motion("panning them at 100 %", again, panned, 50, NEAR_WORK)
    for page in pages:
        page.close()
    canvas = fresh(browser, url).page
    open_canvas(canvas, canvas_graph(canvas))
    best = min(stroke_times(canvas) for _ in range(times))
    what = f"a stroke at {SIDE}² with {LAYERS} layers, 95th percentile"
    yield Figure(what, best.painting, "ms", 33, best.hovering, "moves that paint nothing")
    canvas.close()


def compared(browser: Browser, url: str, against: str, quick: bool) -> Iterator[Figure]:
    """Frames a second of two editors by turns, with a slowed processor: the best of several."""
    counts, times = ((100,), 1) if quick else ((MANY, MORE), 2)
    # So much takes the browser for a page that has nothing to do but move one layer.
    bare = browser.new_page(viewport={"width": 1440, "height": 900})
    bare.set_content(_BARE)
    with slowed(bare, SLOWER):
        most = max(panned(bare, 80).rate for _ in range(times))
    yield Figure(f"a page with one layer, {SLOWER} × slower", most, "/s", more_is_better=True)
    bare.close()
    for count in counts:
        pair = [fresh(browser, each).page for each in (url, against)]
        for page in pair:
            opened(page, large_graph(count))
            all_in_sight(page, count)
            planned(page)
        for what, action in (("zooming", _zoomed_shortly), ("panning", _panned_shortly)):
            yield _pair(f"{what} {count}, all in sight", pair, action, times)
        for page in pair:
            page.bring_to_front()
            page.keyboard.press("Shift+0")
            # Cards come to have their fields while the view rests.
            page.wait_for_timeout(1500)
        yield _pair(f"panning {count} at 100 %", pair, _panned_shortly, times)
        yield _pair(f"going through {count} at 100 %", pair, _swept_shortly, times)
        for page in pair:
            page.close()
    bare_graph = without_places(large_graph(counts[-1]))
    seconds: dict[str, list[float]] = {url: [], against: []}
    for _ in range(times):
        for each, found in seconds.items():
            page = fresh(browser, each).page
            found.append(opened(page, bare_graph))
            page.close()
    now, then = min(seconds[url]), min(seconds[against])
    what = f"opening {counts[-1]} nodes without places"
    yield Figure(what, now, "s", then / 5, then, "earlier")


def _pair(what: str, pages: Sequence[Page], action: Callable[[Page], Motion], times: int) -> Figure:
    rates: list[list[float]] = [[] for _ in pages]
    for _ in range(times):
        for page, found in zip(pages, rates, strict=True):
            page.bring_to_front()
            with slowed(page, SLOWER):
                found.append(action(page).rate)
    now, then = map(max, rates)
    aim = min(FASTER * then, NEAR_CAP)
    return Figure(f"{what}, {SLOWER} × slower", now, "/s", aim, then, "earlier", True)


def _zoomed_shortly(page: Page) -> Motion:
    return zoomed(page, 40)


def _panned_shortly(page: Page) -> Motion:
    return panned(page, 80)


def _swept_shortly(page: Page) -> Motion:
    return swept(page, 4)


def main() -> None:
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--against",
            default=EARLIER,
            metavar="COMMIT",
            help="its editor is measured by turns with this one (default: %(default)s)",
        )

    given = options(__doc__, add)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        before = earlier(given.against, folder / "earlier")
        server = stack.enter_context(serving(prepared(folder / "home")))
        other = stack.enter_context(serving(folder / "other", 0, before))
        now, then = (f"http://127.0.0.1:{each.port}/" for each in (server, other))
        show(measure(now, given.quick, then), as_json=given.json)


if __name__ == "__main__":
    main()
