"""Draws the icons of the installed app from the logo in public/favicon.svg.

    python scripts/icons.py

Systems cut a maskable icon to a shape of their own, such as a circle: its background goes to the
edges, and the logo stays within the inner 80 percent.
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.editor.conftest import chromium

PUBLIC = Path(__file__).parents[1] / "public"
BACKGROUND = "#4a66e0"
SCALE = 0.72
"""Of the logo in a maskable icon."""


def page_of(logo: str, size: int, maskable: bool) -> str:
    """A page that shows an icon at its upper left."""
    share = SCALE if maskable else 1.0
    side, margin = size * share, size * (1 - share) / 2
    color = BACKGROUND if maskable else "transparent"
    return f"""<!doctype html>
        <body style="margin: 0">
        <div style="width: {size}px; height: {size}px; background: {color}">
        <div style="position: absolute; left: {margin}px; top: {margin}px; width: {side}px">
        {logo}</div></div>"""


def draw() -> None:
    """Write all icons."""
    logo = (PUBLIC / "favicon.svg").read_text(encoding="utf-8")
    logo = logo.replace("<svg ", '<svg style="display: block" ')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name, size, maskable in (
            ("icon-192.png", 192, False),
            ("icon-512.png", 512, False),
            ("icon-maskable-512.png", 512, True),
        ):
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(page_of(logo, size, maskable))
            page.screenshot(path=PUBLIC / name, omit_background=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    draw()
