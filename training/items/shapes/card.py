"""The page that tells what the model of shapes can do, of the record of its making."""

from pathlib import Path
from typing import Any

_PAGE = Path(__file__).with_name("card.md")
_COLUMNS = ("renders", "grids", "cfg1", "cfg2")
_ROWS = {
    "nearest_right": "nearest solid of the library is of the kind asked for",
    "coverage": "solids that are the nearest to some shape",
    "proportion_error": "error of log2(height / width)",
    "colour_right": "colour right",
    "shapes": "anything at all",
    "watertight": "meshes closed",
    "outward": "faces look outward",
    "pieces": "pieces of a shape",
}
_NUMBERS = ("proportion_error", "pieces")
"""What isn't told as a share."""


def card(record: dict[str, Any]) -> str:
    """Markdown.

    Args:
        record: As ``train.json`` has it.
    """
    figures, settings = record["figures"], record["settings"]
    missed = ", ".join(f"`{name}`" for name in record["missed"])
    return _PAGE.read_text(encoding="utf-8").format(
        state=f"It misses of its aims: {missed}." if missed else "It meets all of its aims.",
        steps=record["steps"],
        count=record["count"],
        library=2 * record["count"],
        rows="\n".join(_row(figures, *names) for names in _ROWS.items()),
        milliseconds=round(1000 * figures["cfg2_seconds"]),
        made=f"{settings['count']:,}",
        width=settings["width"],
        parameters=f"{record['parameters'] / 1e6:.2f}",
        megabytes=figures["megabytes"],
        train_steps=f"{record['progress']['step']:,}",
        batch=settings["fit"]["batch"],
    )


def _row(figures: dict[str, float], name: str, title: str) -> str:
    values = [figures.get(f"{column}_{name}") for column in _COLUMNS]
    return f"| {title} | " + " | ".join(_told(name, value) for value in values) + " |"


def _told(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if name in _NUMBERS else f"{100 * value:.1f} %"
