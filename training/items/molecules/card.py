"""The page that tells what the model of molecules can do, of the record of its making."""

from pathlib import Path
from typing import Any

_PAGE = Path(__file__).with_name("card.md")
_NAMES = {"logp": "logP", "qed": "QED", "rings": "rings", "atoms": "atoms"}


def card(record: dict[str, Any]) -> str:
    """Markdown.

    Args:
        record: As ``train.json`` has it.
    """
    figures, settings = record["figures"], record["settings"]
    missed = ", ".join(f"`{name}`" for name in record["missed"])
    return _PAGE.read_text(encoding="utf-8").format(
        **figures,
        state=f"It misses of its aims: {missed}." if missed else "It meets all of its aims.",
        count=record["count"],
        asked_count=record["count"] // 4,
        asked_rows="\n".join(_asked(figures, *names) for names in _NAMES.items()),
        distance_rows="\n".join(_distance(figures, *names) for names in _NAMES.items()),
        made=f"{settings['count']:,}",
        held=f"{settings['held']:,}",
        parameters=f"{record['parameters'] / 1e6:.2f}",
        steps=f"{record['progress']['step']:,}",
        batch=settings["fit"]["batch"],
    )


def _asked(figures: dict[str, float], name: str, title: str) -> str:
    right = figures.get(f"{name}_right")
    cells = (
        figures[f"{name}_error"],
        figures[f"{name}_error_by_chance"],
        "" if right is None else f"{right} %",
        f"{figures[f'{name}_valid']} %",
    )
    return f"| {title} | {' | '.join(str(cell) for cell in cells)} |"


def _distance(figures: dict[str, float], name: str, title: str) -> str:
    made, trained = figures[f"{name}_distance"], figures[f"{name}_distance_of_data"]
    return f"| {title} | {made} | {trained} |"
