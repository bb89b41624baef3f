"""The editor: a large graph, frames and work while it moves, strokes on a canvas, its download.

    python benchmarks/editor.py [--json] [--quick]

In Chromium without a window, which draws without a GPU, on a real server. A browser draws 60 frames
a second at most. What the page itself has to do for each move is told in processor time of its main
thread; its aims are a third of what it took while each card was a layer of its own.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    run,
    swept,
    without_places,
    zoomed,
)
from painting import LAYERS, SIDE, canvas_graph, open_canvas, stroke_times
from playwright.sync_api import Browser, Page, Response, sync_playwright
from serving import prepared, serving

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


def fresh(browser: Browser, url: str) -> tuple[Page, int, float]:
    """The page as somebody new sees it, the bytes that it fetched, and the seconds it took."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE)
    fetched: list[int] = []

    def note(response: Response) -> None:
        if "/api/" not in response.url and response.ok:
            fetched.append(len(gzip.compress(response.body())))

    page.on("response", note)
    start = perf_counter()
    page.goto(url)
    page.locator("main[data-ready] [data-node=load]").wait_for()
    seconds = perf_counter() - start
    page.get_by_role("dialog").get_by_role("button", name="Skip").click()
    return page, sum(fetched), seconds


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


def measure(url: str, quick: bool) -> Iterator[Figure]:
    count, more, times = (100, 200, 1) if quick else (MANY, MORE, 3)
    with chromium() as browser:
        pages = [fresh(browser, url) for _ in range(times)]
        yield Figure("first visit: the starter graph is there", min(p[2] for p in pages), "s")
        yield Figure("… fetched for it, gzipped", pages[0][1] / 1e3, "kB", 500)
        graph = large_graph(count)
        seconds = [opened(page, graph) for page, _, _ in pages]
        yield Figure(f"opening {count} nodes", min(seconds), "s", 1.5)
        for page, _, _ in pages:
            all_in_sight(page, count)
        for what, action in MOVES:
            yield from motion(
                f"{what} them, all in sight", [page for page, _, _ in pages], action, 50, WORK[what]
            )
        near = pages[0][0]
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
        bare = without_places(large_graph(more))
        seconds = [opened(fresh(browser, url)[0], bare) for _ in range(times)]
        yield Figure(f"opening {more} nodes without places", min(seconds), "s", 1.5)
        canvas, _, _ = fresh(browser, url)
        open_canvas(canvas, canvas_graph(canvas))
        best = min(stroke_times(canvas) for _ in range(times))
        what = f"a stroke at {SIDE}² with {LAYERS} layers, 95th percentile"
        yield Figure(what, best.painting, "ms", 33, best.hovering, "moves that paint nothing")


def main() -> None:
    given = options(__doc__)
    with tempfile.TemporaryDirectory() as folder, serving(prepared(Path(folder))) as server:
        show(measure(f"http://127.0.0.1:{server.port}/", given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
